"""What the Quick demo teaches, and how long it takes: base against adapter on every split of the handbook.

    python tests/bench/quick_demo.py [--seeds 0 1 2] [--set FIELD=VALUE …] [--explain 40]

One JSON line per figure. Trains in a temporary folder through the real training process.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from medqa import device, launch, model, runs
from medqa.datasets import handbook
from medqa.engine import Engine
from medqa.evaluate import report
from medqa.question import Answer
from medqa.spec import PRESETS, with_text_settings

SPLITS = ("test", "read", "unknown")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--set", nargs="+", action="extend", default=[])
    parser.add_argument("--explain", type=int, default=0, help="check this many explanations of right test answers")
    chosen = parser.parse_args()
    spec = with_text_settings(PRESETS["quick"].spec, chosen.set)
    engine = Engine(model.load(spec.base_model, device.choose()))
    for split in SPLITS:
        say("base", split=split, **accuracy(engine, split, None))
    with tempfile.TemporaryDirectory() as folder:
        for seed in chosen.seeds:
            run = finished(replace(spec, name=f"seed-{seed}", seed=seed), Path(folder))
            for split in SPLITS:
                say("adapter", seed=seed, split=split, **accuracy(engine, split, run.adapter))
            if chosen.explain:
                say("explanations", seed=seed, **explanations(engine, run.adapter, chosen.explain))


def finished(spec, folder: Path) -> runs.Run:
    """Train to the end; says when the first loss came and how long the whole took, process start included."""
    began = time.monotonic()
    run = launch.start(spec, folder)
    first = None
    while (seen := runs.progress_of(run)).status == "running":
        if first is None and seen.steps:
            first = time.monotonic() - began
        time.sleep(0.1)
    if seen.status != "done":
        sys.exit(f"{run.name}: {seen.status}: {seen.reason}")
    whole = time.monotonic() - began
    rates = sorted(step["tokens_per_second"] for step in seen.steps)
    say("run", seed=spec.seed, first_loss_seconds=round(first or 0, 1), whole_seconds=round(whole, 1), steps=seen.step,
        trained_seconds=seen.steps[-1]["seconds"], tokens_per_second_median=rates[len(rates) // 2])  # fmt: skip
    return run


def accuracy(engine: Engine, split: str, adapter: Path | None) -> dict:
    questions = handbook.questions(split)
    answers = [Answer(questions[i], scores, "") for i, scores in engine.score_many(questions, adapter)]
    made = report(answers)
    top = sum(max(answer.probabilities) for answer in answers) / len(answers)
    interval = [round(bound, 3) for bound in made.overall.interval_95]
    return {"accuracy": round(made.overall.share, 3), "correct": made.overall.correct, "total": made.overall.total,
            "interval_95": interval, "mean_top_probability": round(top, 3)}  # fmt: skip


def explanations(engine: Engine, adapter: Path, wanted: int) -> dict:
    """Of right test answers: how many explanations state the answer, and how many end by themselves."""
    questions = handbook.questions("test")
    answers = [engine.score(question, adapter) for question in questions[:: max(1, len(questions) // (2 * wanted))]]
    right = [answer for answer in answers if answer.correct][:wanted]
    last = [list(engine.explain(answer, adapter))[-1] for answer in right]
    stated = sum(
        handbook.holds(e.text, a.question.options[a.index]) for a, e in zip(right, last, strict=True)
    )  # the answer's own words
    for answer, explanation in list(zip(right, last, strict=True))[:5]:
        print(
            f"  {answer.question.stem} → {answer.question.options[answer.index]}: {explanation.text}", file=sys.stderr
        )
    return {"checked": len(last), "state_the_answer": stated, "ended": sum(e.ended for e in last)}


def say(figure: str, **values: object) -> None:
    print(json.dumps({"figure": figure, **values}), flush=True)


if __name__ == "__main__":
    main()
