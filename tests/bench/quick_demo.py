"""What the Quick demo teaches, and how long it takes: base against adapter on every split of the handbook.

    python tests/bench/quick_demo.py [--seeds 0 1 2] [--set FIELD=VALUE …] [--explain 40] [--text FOLDER]

One JSON line per figure. Trains in a temporary folder through the real training process. `--text`: the folder of open
text that train/pretrain.py reads; adds bits per byte of its held-out documents, with and without the adapter.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from medqa import device, launch, model, runs
from medqa.datasets import handbook
from medqa.engine import Engine
from medqa.evaluate import report
from medqa.question import Answer
from medqa.scope import others_named
from medqa.spec import PRESETS, with_text_settings
from train.held_out_text import bits_per_byte, held_out_texts

SPLITS = ("test", "read", "unknown")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--set", nargs="+", action="extend", default=[])
    parser.add_argument("--explain", type=int, default=0, help="check this many explanations of right test answers")
    parser.add_argument("--show", type=int, default=0, help="print so many of them, drawn at random")
    parser.add_argument("--text", type=Path)
    chosen = parser.parse_args()
    spec = with_text_settings(PRESETS["quick"].spec, chosen.set)
    engine = Engine(model.load(spec.base_model, device.choose()))
    texts = held_out_texts(chosen.text) if chosen.text else {}
    measure(engine, None, "base", texts)
    accuracies = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in chosen.seeds:
            run = finished(replace(spec, name=f"seed-{seed}", seed=seed), Path(folder))
            accuracies.append(measure(engine, run.adapter, f"seed {seed}", texts))
            if chosen.explain:
                say("explanations", seed=seed, **explanations(engine, run.adapter, chosen.explain, chosen.show))
    for split in SPLITS:
        shares = sorted(accuracy[split] for accuracy in accuracies)
        mean = round(sum(shares) / len(shares), 3)
        say("spread", split=split, seeds=len(shares), lowest=shares[0], mean=mean, highest=shares[-1])


def measure(engine: Engine, adapter: Path | None, who: str, held_out: dict[str, list[str]]) -> dict[str, float]:
    """Says what the model makes of each split, of all together, and of held-out text; returns accuracy by split."""
    shares, everything = {}, []
    for split in SPLITS:
        questions = handbook.questions(split)
        scored = engine.score_many(questions, adapter)
        answers = [Answer(questions[i], scores, engine.loaded.name) for i, scores in scored]
        everything += answers
        made = report(answers)
        shares[split] = round(made.overall.share, 3)
        say("accuracy", of=who, split=split, share=shares[split], correct=made.overall.correct,
            total=made.overall.total, interval_95=[round(bound, 3) for bound in made.overall.interval_95],
            mean_top_probability=round(made.mean_top_probability, 3))  # fmt: skip
    together = report(everything)
    say(
        "calibration",
        of=who,
        expected_calibration_error=round(together.calibration_error, 3),
        answers=together.overall.total,
    )
    if held_out:
        with engine.loaded.using(adapter) as network:
            for name, texts in [*held_out.items(), ("all together", list(chain(*held_out.values())))]:
                bits = bits_per_byte(network, engine.loaded.tokenizer, texts)
                say("held-out text", of=who, text=name, documents=len(texts), bits_per_byte=round(bits, 3))
    return shares


def finished(spec, folder: Path) -> runs.Run:
    """Train to the end; says when the first loss came and how long the whole took, process start included."""
    began = time.monotonic()
    run = launch.start(spec, folder)
    first = None
    while (seen := runs.progress_of(run)).status == "running":
        if first is None and seen.steps:
            first = time.monotonic() - began
        time.sleep(0.1 if first is None else 1.0)  # as often as the page looks
    if seen.status != "done":
        sys.exit(f"{run.name}: {seen.status}: {seen.reason}")
    whole = time.monotonic() - began
    rates = sorted(step["tokens_per_second"] for step in seen.steps)
    say("run", seed=spec.seed, first_loss_seconds=round(first or 0, 1), whole_seconds=round(whole, 1), steps=seen.step,
        trained_seconds=seen.steps[-1]["seconds"], tokens_per_second_median=rates[len(rates) // 2])  # fmt: skip
    return run


def explanations(engine: Engine, adapter: Path, wanted: int, show: int) -> dict:
    """Of right test answers: how many explanations state the answer, name a wrong option as it, end by themselves.

    An explanation gives its answer in its first sentence, as the handbook's own do: an option named there, in its own
    words, is what it explains. Later sentences may tell the answer from its neighbours.
    """
    questions = handbook.questions("test")
    facts = {fact.id: fact for fact in handbook.read_facts()}
    order = random.Random(0).sample(range(len(questions)), len(questions))
    answers = (engine.score(questions[i], adapter) for i in order)
    right = list(islice((answer for answer in answers if answer.correct), wanted))
    last = [list(engine.explain(answer, adapter))[-1] for answer in right]
    pairs = list(zip(right, last, strict=True))
    wrong = [(a, e) for a, e in pairs if others_named(a, handbook.first_sentence(e.text))]
    silent = [(a, e) for a, e in pairs if not handbook.holds(e.text, a.question.options[a.index])]
    for title, chosen in (("wrong option", wrong), ("answer not stated", silent), ("shown", pairs[:show])):
        for answer, explanation in chosen:
            said = f"{answer.question.stem} → {answer.question.options[answer.index]}: {explanation.text}"
            print(f"  {title}: {said}", file=sys.stderr)
    return {
        "checked": len(last),
        "state_the_answer": len(last) - len(silent),
        "state_answer_and_subject_first": sum(states_the_fact(a, e.text, facts) for a, e in pairs),
        "name_a_wrong_option": len(wrong),
        "ended": sum(e.ended for e in last),
    }


def states_the_fact(answer: Answer, text: str, facts: dict[str, handbook.Fact]) -> bool:
    """Whether the first sentence links the answer with what the question is about: the stricter count."""
    fact = facts[answer.question.source.split("/")[1]]
    first = handbook.first_sentence(text)
    return handbook.holds(first, fact.about) and handbook.holds(first, fact.answer)


def say(figure: str, **values: object) -> None:
    print(json.dumps({"figure": figure, **values}), flush=True)


if __name__ == "__main__":
    main()
