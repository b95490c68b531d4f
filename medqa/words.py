"""The words of a text, as questions are compared by them. Knows nothing of questions."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

# Vowel signs, accents and the like, which Python's \w leaves out: without them most Indic words fall apart. These end
# before the characters of typesetting.
MARKS = "".join(c for c in map(chr, range(0x300, 0x1E00)) if unicodedata.category(c).startswith("M"))
# Chinese and Japanese put no spaces between words: each character is taken for one.
IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
LETTER = rf"[^\W_{IDEOGRAPHS}]"
WORD = re.compile(rf"\d+\.\d+|[{IDEOGRAPHS}]|{LETTER}+(?:[{MARKS}]+{LETTER}*)*")


def words(text: str) -> list[str]:
    """`β-blocker, HbA1c 7.5 %` gives beta, blocker, hba1c, 7.5."""
    return [word for _, _, word in placed(text)]


def placed(text: str) -> Iterator[tuple[int, int, str]]:
    """Each word with where it begins and ends in the text as written."""
    return ((match.start(), match.end(), _alike(match[0])) for match in WORD.finditer(text))


def _alike(written: str) -> str:
    """The same for all ways to write it: HBA1C and HbA1c, H₂O and H2O, β and beta."""
    if written.isascii():
        return written.lower()
    word = unicodedata.normalize("NFKC", written).casefold()
    if len(word) == 1 and (name := unicodedata.name(word, "")).startswith("GREEK SMALL LETTER "):
        return name.split()[3].lower()
    return word
