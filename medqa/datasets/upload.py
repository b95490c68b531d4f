"""A user's own CSV, JSON or JSONL file: its rows, and their Questions whatever the columns are called.

Knows no splits and no built-in data set but the columns of MedMCQA and MedQA, which it hands on.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from medqa.datasets import medmcqa, medqa_usmle
from medqa.datasets import rows as raw
from medqa.datasets.keys import AMBIGUOUS, read_keys, without_strangers
from medqa.datasets.rows import DatasetError, Loaded, Row, Skipped
from medqa.question import LETTERS, MAX_CHARACTERS, Question

SUFFIXES = (".csv", ".json", ".jsonl")
MOST_COLUMNS = 100

STEM = ("question", "stem", "q")
OPTIONS = ("options", "choices")
KEY = ("answer_idx", "answer", "key", "correct", "label")
EXPLANATION = ("explanation", "exp", "rationale")
SUBJECT = ("subject",)
WANTED = (
    f"a question ({', '.join(STEM)}), its options (columns A, B, …, option_a, option1, opa, choice_a, … or one column "
    f"{' or '.join(OPTIONS)} with a list) and its key ({', '.join(KEY)})"
)
_OPTION_COLUMN = re.compile(r"(?:(?:option|opt|op|choice)_?(?P<named>[a-h1-8])|(?P<bare>[a-h]))")


# Reading files


def read_rows(path: str | Path) -> list[dict[str, Any]]:
    """The rows of a UTF-8 file, with or without a byte order mark. Raises DatasetError naming the file and the line."""
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise DatasetError(f"{path.name} is not a {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]} file. Save it as one.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DatasetError(f"{path.name} can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path.name} is not UTF-8 text (byte {error.start:,}). Save it as UTF-8.") from error
    readers = {".csv": _read_csv, ".json": _read_json, ".jsonl": _read_jsonl}
    rows = readers[path.suffix.lower()](text, path.name)
    if not rows:
        raise DatasetError(f"{path.name} has no rows. Write one question per row.")
    return rows


def _read_csv(text: str, name: str) -> list[dict[str, Any]]:
    # The header alone tells the separator: sniffing whole rows is misled by commas in the questions.
    header = text.split("\n", 1)[0]
    separator = max(",;\t", key=header.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows = []
    try:
        # A short line gets an empty cell for each: a small file of many columns would fill the memory.
        if len(reader.fieldnames or ()) > MOST_COLUMNS:
            raise DatasetError(
                f"{name} has {len(reader.fieldnames):,} columns, the limit is {MOST_COLUMNS}. Keep those of the "
                "question, its options, its key and its explanation."
            )
        for row in reader:
            if None in row:
                raise DatasetError(
                    f"{name}, line {reader.line_num}: more cells than the header has columns. "
                    "Put cells that hold a separator in double quotes."
                )
            rows.append(row)
    except csv.Error as error:
        # The reader stands at the end of the last whole row.
        raise DatasetError(f"{name}, line {reader.line_num + 1}: {error}. Check the quotes there.") from error
    return rows


def _read_json(text: str, name: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        if isinstance(error, json.JSONDecodeError):
            fault = f"{name}, line {error.lineno}: {_json_fault(error)} JSON lines belong in a .jsonl file."
            raise DatasetError(fault) from error
        raise DatasetError(f"{name}: {_json_fault(error)}") from error
    if isinstance(found, dict):
        found = next((found[key] for key in ("data", "questions") if key in found), found)
    if not isinstance(found, list):
        raise DatasetError(f'{name} holds no list of rows. Write [{{…}}, …], {{"data": […]}} or {{"questions": […]}}.')
    for number, row in enumerate(found, 1):
        if not isinstance(row, dict):
            raise DatasetError(f"{name}, row {number}: an object with named fields is wanted, not {row!r:.60}.")
    return found


def _read_jsonl(text: str, name: str) -> list[dict[str, Any]]:
    rows = []
    # Not splitlines(): it also cuts at U+2028 and the like, which JSON allows inside strings.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DatasetError(f"{name}, line {number}: {_json_fault(error)}") from error
        if not isinstance(row, dict):
            raise DatasetError(f"{name}, line {number}: an object with named fields is wanted, not {row!r:.60}.")
        rows.append(row)
    return rows


def _json_fault(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not valid JSON ({error})."
    # Python's own words for these two are about itself.
    if isinstance(error, RecursionError):
        return "not valid JSON (lists or objects are nested too deeply)."
    return "not valid JSON (a number has thousands of digits). Write it as text, in double quotes."


# Recognising columns


def to_questions(rows: Iterable[Row], name: str, cop_base: int | None = None) -> Loaded:
    """`cop_base`: 0 or 1 states how a numeric key counts; None reads it from the rows. Raises DatasetError."""
    raw.check_base(cop_base)
    rows = [_plain_row(row) for row in rows]
    if not rows:
        raise DatasetError(f"{name} has no rows. Write one question per row.")
    for schema in (medmcqa, medqa_usmle):
        if schema.matches(rows[0]):
            return schema.to_questions(rows, name, cop_base)
    columns = list(dict.fromkeys(column for row in rows for column in row))
    stem, options_of = _one_of(STEM, columns), _options_reader(columns, name)
    if stem is None or options_of is None or not any(column in columns for column in KEY):
        raise DatasetError(f"{name} has the columns {', '.join(columns)}. Wanted are {WANTED}.")
    options = [options_of(row) for row in rows]
    cells = {column: [row.get(column) for row in rows] for column in KEY if column in columns}
    keys = {column: read_keys(given, options, column, name, cop_base) for column, given in cells.items()}
    keys = without_strangers(keys, options)
    explanation, subject = _one_of(EXPLANATION, columns), _one_of(SUBJECT, columns)
    results: list[Question | Skipped] = []
    for number, (row, texts, *answers) in enumerate(zip(rows, options, *keys.values(), strict=True), 1):
        source = raw.source_of(name, row, number)
        read = {column: answer for column, answer in zip(keys, answers, strict=True) if answer is not None}
        if AMBIGUOUS in read.values():
            results.append(raw.skipped(source, AMBIGUOUS, row.get(stem)))
        elif len(set(read.values())) > 1:  # as in MedQA: a letter in one column, the option's text in another
            results.append(raw.skipped(source, f"{' and '.join(read)} disagree", row.get(stem)))
        else:
            answer = next(iter(read.values()), None)
            parts = (texts, answer, row.get(explanation), row.get(subject))
            results.append(raw.question_or_skipped(source, row.get(stem), *parts))
    return raw.collected(results)


def _plain_row(row: Row) -> dict[str, Any]:
    """Column names in small letters, words joined by underscores; options written as a list inside a cell unpacked."""
    plain = {"_".join(str(column).split()).lower(): cell for column, cell in row.items() if column is not None}
    for column in OPTIONS:
        if isinstance(plain.get(column), str):
            plain[column] = _unpacked(plain[column])
    return plain


def _unpacked(cell: str) -> object:
    # Python's own reader takes seconds and gigabytes for a cell of megabytes, and lets nothing else run meanwhile.
    if len(cell) > MAX_CHARACTERS or not cell.lstrip().startswith(("[", "{")):
        return cell
    for read in (json.loads, ast.literal_eval):  # pandas writes a list into a CSV cell as Python does
        try:
            return read(cell.strip())
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue
    return cell


def _one_of(names: tuple[str, ...], columns: list[str]) -> str | None:
    return next((name for name in names if name in columns), None)


def _options_reader(columns: list[str], name: str) -> Callable[[Row], list[str]] | None:
    column = _one_of(OPTIONS, columns)
    if column:
        return lambda row: _listed(row.get(column))
    by_place: dict[int, str] = {}
    for column in columns:
        found = _OPTION_COLUMN.fullmatch(column)
        if found:
            mark = found["named"] or found["bare"]
            place = int(mark) - 1 if mark.isdigit() else LETTERS.index(mark.upper())
            if place in by_place:
                raise DatasetError(
                    f"{name} has two columns for option {LETTERS[place]}: {by_place[place]} and {column}."
                )
            by_place[place] = column
    missing = [LETTERS[place] for place in range(max(by_place, default=-1)) if place not in by_place]
    if missing:
        raise DatasetError(
            f"{name} has the option columns {', '.join(by_place.values())}: option {missing[0]} is missing."
        )
    if not by_place:
        return None
    ordered = [by_place[place] for place in sorted(by_place)]
    return lambda row: _without_empty_end([row.get(column) for column in ordered])


def _listed(cell: object) -> list[str]:
    """The options in one cell: a list, or a dictionary whose keys are letters or numbers, in their order."""
    cell = medqa_usmle.by_letter(cell) or cell
    options = [cell[key] for key in sorted(cell, key=str)] if isinstance(cell, dict) else cell
    is_list = isinstance(options, list) and not any(isinstance(option, dict | list) for option in options)
    return _without_empty_end(options) if is_list else []


def _without_empty_end(options: list[Any]) -> list[str]:
    """A row with four options in a file with five option columns has four."""
    texts = [raw.one_line(option) for option in options]
    while texts and not texts[-1]:
        texts.pop()
    return texts
