"""The keys in a user's file: which option each row's names, by letter, number or text. Knows no file formats."""

from __future__ import annotations

import re

from medqa.datasets import rows as raw
from medqa.datasets.rows import DatasetError
from medqa.question import LETTERS, MAX_OPTIONS

_LETTER = re.compile(r"(?:option\s+)?\(?([A-H])[).:]{0,2}", re.I)
_LETTER_AND_TEXT = re.compile(r"\(?([A-H])[).:]+\s*(\S.*)", re.I)
# An option's index, None where the cell is blank, or AMBIGUOUS.
Key = int | str | None
AMBIGUOUS = "ambiguous key"


def read_keys(cells: list[object], options: list[list[str]], column: str, name: str, base: int | None) -> list[Key]:
    """Each row's option index, None where the cell is blank, AMBIGUOUS where it reads two ways.

    A column is read in one way for all its rows: as letters when every key is a letter; as numbers when every key is a
    number (unless only the options' own texts fit); else each key as the text of one option or a letter, and a row
    where these two name different options is ambiguous. A number counts from 0 or 1 as the whole column shows.
    An index outside the options stands for a key that names none.
    """
    texts = [raw.one_line(cell) for cell in cells]
    given = [(text, row) for text, row in zip(texts, options, strict=True) if text]
    if given and all(_LETTER.fullmatch(text) for text, _ in given):
        return [_by_letter(text) if text else None for text in texts]
    numbers = [raw.whole_number(text) for text in texts]
    if (
        given
        and None not in (raw.whole_number(text) for text, _ in given)
        and not _are_texts(given, column, name, base)
    ):
        base = _number_base(given, column, name) if base is None else base
        return [None if number is None else number - base for number in numbers]
    return [_by_text_or_letter(text, row) if text else None for text, row in zip(texts, options, strict=True)]


def _by_letter(text: str) -> int:
    return LETTERS.index(_LETTER.fullmatch(text)[1].upper())


def _by_text(text: str, options: list[str]) -> int | None:
    found = [i for i, option in enumerate(options) if option.casefold() == text.casefold()]
    return found[0] if len(found) == 1 else None


def _by_text_or_letter(text: str, options: list[str]) -> int | str:
    both = _LETTER_AND_TEXT.fullmatch(text)
    readings = {_by_text(text, options), _by_letter(text) if _LETTER.fullmatch(text) else None}
    if both and both[2] and _by_text(both[2], options) == LETTERS.index(both[1].upper()):  # "B) Aspirin"
        readings.add(_by_text(both[2], options))
    readings.discard(None)
    return readings.pop() if len(readings) == 1 else AMBIGUOUS if readings else MAX_OPTIONS


def _are_texts(given: list[tuple[str, list[str]]], column: str, name: str, base: int | None) -> bool:
    """Whether numeric keys are the texts of numeric options ("4" among 2, 4, 8) and not their places."""
    are_texts = all(_by_text(text, options) is not None for text, options in given)
    are_places = all(0 <= raw.whole_number(text) <= len(options) for text, options in given)
    if are_texts and are_places and base is None:
        raise DatasetError(
            f"{name}: the numbers in column {column} may be places or texts of the options. Write letters, or state "
            "that they are places: cop_base=0 when 0 means option A, cop_base=1 when 1 does."
        )
    return are_texts and not are_places


def _number_base(given: list[tuple[str, list[str]]], column: str, name: str) -> int:
    way_out = "State it: cop_base=0 when 0 means option A, cop_base=1 when 1 does; or write letters."
    has_zero = any(raw.whole_number(text) == 0 for text, _ in given)
    has_last = any(raw.whole_number(text) == len(options) for text, options in given)
    if has_zero and has_last:
        raise DatasetError(f"{name}: column {column} is 0 in some rows and the number of options in others. {way_out}")
    if not has_zero and not has_last:
        raise DatasetError(
            f"{name}: column {column} may count from 0 or from 1: neither 0 nor the number of options occurs. {way_out}"
        )
    return 0 if has_zero else 1


def without_strangers(keys: dict[str, list[Key]], options: list[list[str]]) -> dict[str, list[Key]]:
    """Of the keys read from several columns those with at least one that names an option; all where none does.

    `label` or `correct` may be about something else than the answer.
    """
    naming = {
        column: read
        for column, read in keys.items()
        if any(key == AMBIGUOUS or key in range(len(row)) for key, row in zip(read, options, strict=True))
    }
    return naming or keys
