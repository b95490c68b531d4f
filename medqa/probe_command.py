"""`python -m medqa probe NAME`: what an answer hangs on, in words or as JSON. The question is on standard input."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medqa.adapters import Adapter, AdapterError
from medqa.command_line import adapter_named, engine_on, question_on_input
from medqa.paste import read_pasted
from medqa.probes import Tell
from medqa.probes.compare import compare, side
from medqa.probes.edits import Edited, age, drugs, negation, pregnancy, sex
from medqa.probes.explanation import explanation
from medqa.probes.findings import SLIGHT, by_size, findings, signed
from medqa.probes.neighbours import Neighbour, neighbours
from medqa.probes.order import order
from medqa.probes.what_if import what_if
from medqa.probes.why_not import why_not
from medqa.question import LETTERS, Answer, Question, QuestionError, percent_text
from medqa.settings import Settings

if TYPE_CHECKING:
    from medqa.engine import Engine

EDITS: dict[str, Callable[[str], Edited]] = {
    "--other-sex": sex.other_sex,
    "--pregnant": pregnancy.pregnant,
    "--to-generic": drugs.to_generic,
    "--to-brand": drugs.to_brand,
}


@dataclass(frozen=True)
class Asking:
    """What every probe is given. The model is loaded by the first one that needs it."""

    chosen: argparse.Namespace
    settings: Settings
    question: Question
    adapter: Adapter | None
    tell: Tell

    @property
    def folder(self) -> Path | None:
        return self.adapter.folder if self.adapter else None

    @property
    def base(self) -> str:
        return self.adapter.base if self.adapter else self.settings.base_model

    @property
    def engine(self) -> Engine:
        return self._answered[0]

    @property
    def answer(self) -> Answer:
        """As `ask` gives it, so that no probe speaks of another."""
        return self._answered[1]

    @cached_property
    def _answered(self) -> tuple[Engine, Answer]:
        engine = engine_on(self.base, self.settings)
        return engine, engine.score(self.question, self.folder)  # raises QuestionError when it is too long


# A result with `sentences`, and texts to show under them.
Found = tuple[Any, tuple[str, ...]]


def add_to(commands: argparse._SubParsersAction) -> None:
    top = commands.add_parser("probe", help="what an answer hangs on; the question on standard input")
    probes = top.add_subparsers(required=True, metavar="NAME")

    moved = _probe(probes, "order", _order, "would it hold if the options moved?")
    moved.add_argument("--many", action="store_true", help="up to 24 orders instead of all rotations")

    _probe(probes, "findings", _findings, "what did it hang on?")

    edited = _probe(probes, "what-if", _what_if, "would another patient get another answer?")
    edits = edited.add_mutually_exclusive_group(required=True)
    edits.add_argument("--edited", type=Path, metavar="FILE", help="the whole question as edited by hand")
    edits.add_argument("--years", type=int, metavar="N", help="so much older; with a minus sign, younger")
    edits.add_argument("--negate", metavar="FINDING", help="in the words of the question")
    for flag, edit in EDITS.items():
        edits.add_argument(flag, action="store_const", const=edit, dest="edit")

    against = _probe(probes, "why-not", _why_not, "why not another option?")
    against.add_argument("--option", metavar="LETTER", help="default: the runner-up")

    _probe(probes, "explanation", _explanation, "does the explanation carry the answer?")
    _probe(probes, "neighbours", _neighbours, "where did it learn this?")

    changed = _probe(probes, "compare", _compare, "what did fine-tuning change?")
    changed.add_argument("--other", default="base", metavar="ADAPTER", help="to compare with; default: base")
    changed.add_argument("--explain", action="store_true", help="both explanations, too")


def _probe(
    probes: argparse._SubParsersAction, name: str, work: Callable[[Asking], Found], asks: str
) -> argparse.ArgumentParser:
    added = probes.add_parser(name, help=asks)
    added.add_argument("--adapter", default="base", help="a run's name, a Hub id, or base")
    added.add_argument("--json", action="store_true")
    added.set_defaults(command=partial(probe_command, name, work))
    return added


def probe_command(name: str, work: Callable[[Asking], Found], chosen: argparse.Namespace, settings: Settings) -> int:
    from tqdm import tqdm

    question, adapter = question_on_input(), adapter_named(chosen.adapter, settings)
    # disable=None: shown on a terminal only.
    with tqdm(desc=name, leave=False, disable=None) as bar:

        def tell(done: int, of: int) -> None:
            bar.total, bar.n = of, done
            bar.refresh()

        asking = Asking(chosen, settings, question, adapter, tell)
        result, texts = work(asking)
    by = adapter.name if adapter else None
    if chosen.json:
        print(json.dumps({"probe": name, "adapter": by, "base": asking.base} | plain(result), default=plain))
        return 0
    print("\n".join(result.sentences))
    for text in texts:
        print(f"\n{text}")
    print(f"\nBy {asking.base}{f' with {by}' if by else ''}. Not medical advice.")
    return 0


def plain(value: Any) -> dict[str, Any]:
    """A dataclass's fields and what it derives from them, for json.dumps."""
    derived = [name for name, member in vars(type(value)).items() if isinstance(member, property) and name[0] != "_"]
    return {name: getattr(value, name) for name in (*(field.name for field in fields(value)), *derived)}


def _order(asking: Asking) -> Found:
    many = asking.chosen.many
    return order(asking.engine, asking.question, asking.folder, tell=asking.tell, many=many, answer=asking.answer), ()


def _findings(asking: Asking) -> Found:
    result = findings(asking.engine, asking.question, asking.folder, tell=asking.tell, answer=asking.answer)
    chosen, changed = LETTERS[result.chosen], set(result.deciding)
    texts = [
        f"{text} (without it, {answer.letter} is chosen)" if i in changed else text
        for i, (text, answer) in enumerate(zip(result.cut.findings, result.left_out, strict=True))
    ]
    return result, _ranking(texts, result.influences, f"towards {chosen}", f"away from {chosen}")


def _ranking(texts: Sequence[str], influences: Sequence[float], towards: str, away: str) -> tuple[str, ...]:
    """As one text; none when no finding moves the score noticeably."""
    rows = [
        f"  {signed(influences[i])}  {towards if influences[i] > 0 else away}: {texts[i]}" for i in by_size(influences)
    ]
    slight = f"Hardly any influence (below {SLIGHT}): {len(texts) - len(rows)} of {len(texts)}."
    return ("\n".join(["Influence on the score, in log-odds:", *rows, slight]),) if rows else ()


def _what_if(asking: Asking) -> Found:
    chosen, question = asking.chosen, asking.question
    if chosen.edited:
        edited, changed = _read(chosen.edited), ()
    else:
        done = _edit(chosen)(question.stem)
        edited, changed = replace(question, stem=done.stem), (f"{done.changed} Now it reads:\n{done.stem}",)
    return what_if(asking.engine, question, edited, asking.folder, tell=asking.tell), changed


def _edit(chosen: argparse.Namespace) -> Callable[[str], Edited]:
    if chosen.years is not None:
        return partial(age.aged, years=chosen.years)
    return partial(negation.negated, finding=chosen.negate) if chosen.negate is not None else chosen.edit


def _read(path: Path) -> Question:
    try:
        return read_pasted(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise QuestionError(f"{path} can't be read: {getattr(error, 'strerror', 'it is no UTF-8 text')}.") from error


def _why_not(asking: Asking) -> Found:
    question, letter = asking.question, asking.chosen.option
    letters = LETTERS[: len(question.options)]
    if letter is not None and (len(letter) != 1 or letter.upper() not in letters):
        raise QuestionError(f"There is no option {letter}; the question has {letters[0]} to {letters[-1]}.")
    option = None if letter is None else letters.index(letter.upper())
    result = why_not(asking.engine, question, asking.folder, option, tell=asking.tell, answer=asking.answer)
    ways = (f"towards {LETTERS[i]}" for i in (result.option, result.findings.chosen))
    pulls = _ranking(result.findings.cut.findings, result.pulls, *ways)
    defended = zip(range(len(letters)), result.defences, strict=False)
    return result, pulls + tuple(f"Made to defend {question.named(i)}, it writes:\n{text.text}" for i, text in defended)


def _explanation(asking: Asking) -> Found:
    result = explanation(asking.engine, asking.question, asking.folder, tell=asking.tell, answer=asking.answer)
    read = {
        "The explanation": result.whole,
        "Its first half": result.half,
        f"An explanation of {asking.question.named(result.other)}": result.defence,
    }
    texts = tuple(f"{name}:\n{reading.text or 'Nothing.'}" for name, reading in read.items())
    return result, texts if result.whole.text else ()


def _neighbours(asking: Asking) -> Found:
    result = neighbours(asking.question, asking.folder)
    return result, tuple(_row(number, neighbour) for number, neighbour in enumerate(result.found, 1))


def _row(number: int, neighbour: Neighbour) -> str:
    row = neighbour.row
    options = "\n".join(f"  {row.named(i)}{' ✓ key' if i == row.answer else ''}" for i in range(len(row.options)))
    explained = "This row came without an explanation."
    if row.explanation:
        explained = f"Explanation in the training row, not by the model:\n{row.explanation}"
    measured = (
        f"{percent_text(neighbour.same)} of the words of the two stand in both; score {neighbour.score:.1f} (BM25)."
    )
    return f"{number}. {row.stem}\n{options}\n{measured}\n{explained}"


def _compare(asking: Asking) -> Found:
    chosen, settings = asking.chosen, asking.settings
    if chosen.other == chosen.adapter:
        raise AdapterError(f"“{chosen.other}” is on both sides. Give --other another adapter.")
    other = adapter_named(chosen.other, settings)
    engine = asking.engine if other is None or other.base == asking.base else engine_on(other.base, settings)
    sides = side(asking.engine, asking.adapter), side(engine, other)
    result = compare(*sides, asking.question, tell=asking.tell, explanations=chosen.explain)
    written = zip(result.names, result.explanations, strict=False)
    return result, tuple(f"{name} explains:\n{explained.text}" for name, explained in written)
