"""How long a clinician waits for each probe: real vignettes of about so many words, the embedded model with an adapter.

    OMP_WAIT_POLICY=PASSIVE python tests/bench/probe_speed.py --data FOLDER --adapter FOLDER [--words 100]

One JSON line per probe: seconds, median and worst. `explanation` writes the explanation itself, which the page has at
hand; the page writes the defences of `why-not` on demand. `--data`: MedQA-USMLE or MedMCQA in a local
folder. `--adapter`: a run's adapter folder.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from medqa import adapters, datasets, device, model
from medqa.datasets import held_out_split
from medqa.engine import Engine
from medqa.probes.compare import compare, side
from medqa.probes.explanation import explanation
from medqa.probes.findings import findings
from medqa.probes.neighbours import neighbours
from medqa.probes.order import order
from medqa.probes.what_if import what_if
from medqa.probes.why_not import why_not
from medqa.question import Question
from medqa.settings import EMBEDDED

NEAR = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--adapter", type=Path, required=True)
    parser.add_argument("--base", default=EMBEDDED)
    parser.add_argument("--words", type=int, default=100)
    parser.add_argument("--questions", type=int, default=10)
    chosen = parser.parse_args()
    engine = Engine(model.load(chosen.base, device.choose()))
    questions = vignettes(chosen.data, chosen.words, chosen.questions)
    print(json.dumps({"figure": "setting", "device": device.choose().badge, "questions": len(questions),
                      "words": [len(question.stem.split()) for question in questions]}))  # fmt: skip
    for name, probe in probes(engine, chosen.adapter, questions).items():
        probe(questions[0])  # what only the first one pays for
        seconds = sorted(timed(probe, question) for question in questions)
        print(json.dumps({"figure": "probe", "name": name, "median_seconds": round(median(seconds), 2),
                          "worst_seconds": round(seconds[-1], 2)}), flush=True)  # fmt: skip


def vignettes(data: str, words: int, wanted: int) -> list[Question]:
    """Held-out questions of about that length, in their order."""
    near = (1 - NEAR) * words, (1 + NEAR) * words
    loaded = datasets.load(data, held_out_split(data)).questions
    return [question for question in loaded if near[0] <= len(question.stem.split()) <= near[1]][:wanted]


def probes(engine: Engine, adapter: Path, questions: list[Question]) -> dict[str, Callable[[Question], object]]:
    # On the page the card has the answer and its explanation already.
    shown = {question: engine.score(question, adapter) for question in questions}
    written = {question: list(engine.explain(shown[question], adapter))[-1].text for question in questions}
    with_adapter, alone = side(engine, adapters.read("measured", adapter)), side(engine, None)
    return {
        "order": lambda question: order(engine, question, adapter),
        "order, 24": lambda question: order(engine, question, adapter, many=True),
        "findings": lambda question: findings(engine, question, adapter),
        "why-not": lambda question: why_not(engine, question, adapter, defended=()),
        "why-not, with defences": lambda question: why_not(engine, question, adapter),
        "explanation": lambda question: explanation(engine, question, adapter),
        "explanation, as on the page": lambda question: explanation(
            engine, question, adapter, answer=shown[question], written=written[question]
        ),
        "neighbours": lambda question: neighbours(question, adapter),
        "compare": lambda question: compare(with_adapter, alone, question),
        "what-if": lambda question: what_if(engine, question, edited(question), adapter),
    }


def edited(question: Question) -> Question:
    return replace(question, stem=f"In winter: {question.stem}")


def timed(probe: Callable[[Question], object], question: Question) -> float:
    began = time.perf_counter()
    probe(question)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
