"""`python -m medqa ask|evaluate`: one question answered, or a whole data set."""

from __future__ import annotations

import argparse
import json

from medqa import scope, trust
from medqa.command_line import adapter_named, engine_on, question_on_input
from medqa.datasets import NAMES, SPLITS, handbook
from medqa.question import LETTERS
from medqa.said import said_of
from medqa.settings import Settings


def add_to(commands: argparse._SubParsersAction) -> None:
    ask = commands.add_parser("ask", help="answer and explain the question on standard input")
    ask.add_argument("--adapter", default="base", help="a run's name, a Hub id, or base; default: base")
    ask.add_argument(
        "--not-sure-below",
        type=_share,
        default=0.0,
        metavar="SHARE",
        help="name no option less probable, e.g. 0.6; default: 0",
    )
    ask.add_argument("--json", action="store_true")
    ask.set_defaults(command=ask_command)

    evaluate = commands.add_parser("evaluate", help="how often it is right on a data set")
    evaluate.add_argument("--adapter", default="base", help="a run's name, a Hub id, or base; default: base")
    evaluate.add_argument(
        "--dataset", default="handbook", help=f"{', '.join(NAMES)}, or the path of a file or folder; default: handbook"
    )
    evaluate.add_argument(
        "--split",
        help=f"{', '.join(handbook.SPLITS)} of the handbook, {', '.join(SPLITS)} of others; default: the one held out",
    )
    evaluate.add_argument("--limit", type=int, metavar="N", help="only so many, drawn at random; default: all")
    evaluate.add_argument(
        "--cop-base", type=int, choices=(0, 1), help="the number of the first option, when the data can't tell"
    )
    evaluate.add_argument("--json", action="store_true")
    evaluate.set_defaults(command=evaluate_command)


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text} is no share; give one from 0 to 1, e.g. 0.6")
    return share


def ask_command(chosen: argparse.Namespace, settings: Settings) -> int:
    question = question_on_input()
    adapter, base, engine = _engine(chosen.adapter, settings)
    folder, name = (adapter.folder, adapter.name) if adapter else (None, None)
    answer = engine.score(question, folder, name)
    *_, explanation = engine.explain(answer, folder)
    about = said_of(answer, adapter, chosen.not_sure_below)
    doubt = scope.explanation_doubt(answer, explanation.text)
    sure = trust.is_sure(answer, chosen.not_sure_below)
    if chosen.json:
        by_letter = {LETTERS[i]: share for i, share in enumerate(answer.probabilities)}
        letter, correct = (answer.letter, answer.correct) if sure else (None, None)
        said = {
            "letter": letter,
            "probabilities": by_letter,
            "explanation": explanation.text,
            "explanation_cut": explanation.cut,
            "explanation_doubt": doubt,
            "adapter": name,
            "base": base,
            "key": question.key,
            "correct": correct,
            "doubts": about.doubts,
            "sure": sure,
            "record": about.record,
        }
        print(json.dumps(said))
        return 0
    print(f"{answer.letter}) {question.options[answer.index]}\n" if sure else "Not sure\n")
    for reason in about.doubts:
        print(f"Careful: {reason}\n")
    for letter, option, share in zip(LETTERS, question.options, answer.probabilities, strict=False):
        print(f"  {letter}  {'█' * round(30 * share):30} {100 * share:5.1f} %  {option}")
    if about.record:
        print(f"\n{about.record}")
    if sure:
        print(f"\n{explanation.text}")
        if doubt:
            print(f"\nCareful: {doubt}")
    print(f"\nBy {base}{f' with {name}' if name else ''}. Not medical advice.")
    return 0


def evaluate_command(chosen: argparse.Namespace, settings: Settings) -> int:
    from tqdm import tqdm

    from medqa import datasets
    from medqa.evaluate import report
    from medqa.question import Answer

    split = chosen.split or datasets.held_out_split(chosen.dataset)
    loaded = datasets.load(chosen.dataset, split, limit=chosen.limit, cop_base=chosen.cop_base)
    adapter, base, engine = _engine(chosen.adapter, settings)
    name = adapter.name if adapter else None
    scored = engine.score_many(loaded.questions, adapter.folder if adapter else None)
    bar = tqdm(scored, total=len(loaded.questions), unit="question", disable=chosen.json)
    made = report(Answer(loaded.questions[i], scores, base, name) for i, scores in bar)
    if chosen.json:
        about = {"dataset": chosen.dataset, "split": split, "adapter": name, "base": base}
        print(json.dumps(made.to_json() | about | {"left_out": loaded.skipped_by_reason}))
        return 0
    low, high = made.overall.interval_95
    print(f"{100 * made.overall.share:.1f} % right: {made.overall.correct} of {made.overall.total} "
          f"(95 % interval {100 * low:.1f} to {100 * high:.1f} %; chance {100 * made.chance:.0f} %)")  # fmt: skip
    for subject, accuracy in made.by_subject.items():
        print(f"  {subject:32} {accuracy.correct:5} of {accuracy.total}")
    for reason, count in loaded.skipped_by_reason.items():
        print(f"  left out, {reason}: {count}")
    return 0


def _engine(name: str, settings: Settings):
    adapter = adapter_named(name, settings)
    base = adapter.base if adapter else settings.base_model
    return adapter, base, engine_on(base, settings)
