"""MedMCQA rows (NEET-PG and AIIMS questions, four options) to Questions. Reads no file and no network."""

from __future__ import annotations

import re
from collections.abc import Iterable

from medqa.datasets import rows as raw
from medqa.datasets.rows import Loaded, Row, Skipped
from medqa.question import LETTERS, Question

HUB_ID = "openlifescienceai/medmcqa"
OPTIONS = ("opa", "opb", "opc", "opd")
UNLABELLED = -1  # the Hub's test split has no keys
MIN_EXPLANATION_CHARACTERS = 15

# "Answer DThyrotoxic crisis": the letter glued to the text. Only taken off when it is the key, or "DNase" would suffer.
_GLUED = re.compile(r"\W*ans(?:wer)?\b[\s.:–-]*([A-D])(?=[A-Z][a-z])", re.I)
_NAMES_AN_OPTION = re.compile(r"\b(?:options?|choices?|ans(?:wer)?)\b(?:[\s.:'\"‘’“”(–-]|is\b)*[a-d]\b", re.I)


def matches(row: Row) -> bool:
    """Whether this is a row of MedMCQA's columns."""
    return {"question", "cop", *OPTIONS} <= row.keys()


def to_questions(rows: Iterable[Row], name: str, cop_base: int | None = None) -> Loaded:
    """`cop_base`: 0 or 1 states how `cop` counts; None reads it from the rows. Raises DatasetError when it can't."""
    rows = list(rows)
    raw.check_base(cop_base)
    labelled = any(raw.whole_number(row.get("cop")) not in (None, UNLABELLED) for row in rows)
    base = cop_base if cop_base is not None else raw.cop_base(rows)[0] if labelled else 0
    return raw.collected(_to_question(row, raw.source_of(name, row, i), base) for i, row in enumerate(rows, 1))


def _to_question(row: Row, source: str, base: int) -> Question | Skipped:
    options = [raw.one_line(row.get(column)) for column in OPTIONS]
    cop = raw.whole_number(row.get("cop"))
    answer = None if cop in (None, UNLABELLED) else cop - base
    explanation = None
    if answer is not None and 0 <= answer < len(options):
        explanation = explanation_of(str(row.get("exp") or ""), answer, options[answer])
    return raw.question_or_skipped(source, row.get("question"), options, answer, explanation, row.get("subject_name"))


def explanation_of(text: str, answer: int, option: str) -> str | None:
    """The explanation without its answer letter, which is wrong once options are shuffled; None when no text is left.

    An explanation that goes on naming options by letter is dropped whole, as is one that only repeats the option. In
    the published rows the option's text is often glued to the next sentence ("PAX5PAX5 is a B-cell factor"); they are
    parted.
    """
    text = raw.one_line(text)
    letter, rest = raw.split_marker(text)
    glued = _GLUED.match(text)
    if letter is None and glued and glued[1].upper() == LETTERS[answer]:
        rest = text[glued.end() :]
    if option and rest.casefold().startswith(option.casefold()) and rest[len(option) :][:1].isupper():
        rest = f"{rest[: len(option)]}. {rest[len(option) :]}"
    only_the_option = rest.strip(" .()").casefold() == option.strip(" .()").casefold()
    if _NAMES_AN_OPTION.search(rest) or len(rest) < MIN_EXPLANATION_CHARACTERS or only_the_option:
        return None
    return rest
