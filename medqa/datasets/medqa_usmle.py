"""MedQA-USMLE rows (four or five options) to Questions. Reads no file and no network."""

from __future__ import annotations

import re
from collections.abc import Iterable

from medqa.datasets import rows as raw
from medqa.datasets.rows import Loaded, Row, Skipped
from medqa.question import LETTERS, Question

HUB_ID = "GBaker/MedQA-USMLE-4-options"
# The five-option form is on the Hub only as a loading script (bigbio/med_qa), which `datasets` 4 and later refuse to
# run and which we would never run. It comes from a local copy.
HUB_ID_5_OPTIONS = None

_STRAY_QUOTE = re.compile(r'\s*\n"\s*$')  # some published options end in a line break and a quote mark


def matches(row: Row) -> bool:
    """Whether this is a row of MedQA's columns: options by letter and the letter of the key."""
    return {"question", "options", "answer_idx"} <= row.keys() and bool(by_letter(row["options"]))


def to_questions(rows: Iterable[Row], name: str, cop_base: int | None = None) -> Loaded:
    """`cop_base` is there so that every data set loads alike; letters need none."""
    return raw.collected(_to_question(row, raw.source_of(name, row, i)) for i, row in enumerate(rows, 1))


def _to_question(row: Row, source: str) -> Question | Skipped:
    texts = by_letter(row.get("options"))
    letters = sorted(texts)
    options = [_clean(texts[letter]) for letter in letters]
    key = raw.one_line(row.get("answer_idx")).upper()
    answer = letters.index(key) if key in texts else len(options) if key else None
    stated = _clean(row.get("answer"))
    if answer is not None and answer < len(options) and stated and stated.casefold() != options[answer].casefold():
        return raw.skipped(source, "key and answer text disagree", row.get("question"))
    return raw.question_or_skipped(source, row.get("question"), options, answer, row.get("exp"), row.get("meta_info"))


def by_letter(options: object) -> dict[str, object]:
    """{"A": ...} from that form or from [{"key": "A", "value": ...}]; {} from any other.

    Columnar files give every row every letter: an E that is None was never there.
    """
    if isinstance(options, list) and all(isinstance(o, dict) and {"key", "value"} <= o.keys() for o in options):
        options = {str(option["key"]): option["value"] for option in options}
    if not isinstance(options, dict) or not all(str(letter).upper() in set(LETTERS) for letter in options):
        return {}
    return {str(letter).upper(): text for letter, text in options.items() if text is not None}


def _clean(text: object) -> str:
    return raw.one_line(_STRAY_QUOTE.sub("", str(text)) if text is not None else None)
