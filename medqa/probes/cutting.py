"""A stem cut into findings: sentences, clauses, items of lists; and the stem again without some. Knows no model."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from medqa.probes.spans import AGE, CLAUSE, PARAGRAPH, SENTENCE, Span, clauses, parting, sentences

FINDING = "finding"
# "He denies", "Serum:": stays as long as something of its list does, for "chills" alone would say the opposite.
LEAD = "lead"
# What is asked is never left out: without it the options answer nothing, and the change would be no finding's doing.
ASKED = "asked"


@dataclass(frozen=True)
class Piece:
    """`after`: the glue up to the next piece; `parts`: how much it parts them. `governs`: how many follow a lead."""

    text: str
    after: str
    parts: int
    kind: str = FINDING
    governs: int = 0


@dataclass(frozen=True)
class Cut:
    """`before` and each piece with its glue make the stem again, character by character. Findings count from 0."""

    before: str
    pieces: tuple[Piece, ...]

    @property
    def findings(self) -> tuple[str, ...]:
        return tuple(piece.text for piece in self.pieces if piece.kind == FINDING)

    @property
    def asked(self) -> str:
        return "".join(piece.text + piece.after for piece in self.pieces if piece.kind == ASKED).strip()

    def numbered(self) -> Iterator[tuple[Piece, int | None]]:
        """Each piece with its number as a finding; None for a lead and for what is asked."""
        number = 0
        for piece in self.pieces:
            yield piece, number if piece.kind == FINDING else None
            number += piece.kind == FINDING

    def gone(self, off: Collection[int]) -> list[bool]:
        """Which pieces leave with these findings: a lead goes when its whole list does."""
        gone = [number in off for _, number in self.numbered()]
        for i, piece in enumerate(self.pieces):
            if piece.kind == LEAD:
                gone[i] = all(gone[i + 1 : i + 1 + piece.governs])
        return gone

    def without(self, off: Collection[int]) -> str:
        """The stem without these findings. Of two glues that meet, the one that parts more stays, or the later."""
        text, glue, parts, opened, led = "", "", SENTENCE, True, False
        for piece, gone in zip(self.pieces, self.gone(off), strict=True):
            if gone:
                if not led and (piece.parts > parts or piece.parts == parts < SENTENCE):
                    mark = _MARK.match(glue)[0] if piece.after[:1].isspace() else ""
                    glue, parts = mark + piece.after, piece.parts
            else:
                begins = parts >= SENTENCE and not led and not opened
                text += glue + (_capitalised(piece.text) if begins else piece.text)
                glue, parts, led = piece.after, piece.parts, piece.kind == LEAD
            opened = piece.parts >= SENTENCE and piece.kind != LEAD
        return (text + glue).strip()


_MARK = re.compile(r"[.?!]*")


def _capitalised(text: str) -> str:
    """Not "pH", nor "mRNA"."""
    return text[0].upper() + text[1:] if text.split(maxsplit=1)[0].islower() else text


_HEADING_WORDS = 8
_HEADING = re.compile(r"(?P<lead>[^:\d]+:)\s+(?!positive|negative|normal|absent|present)(?=[^\s\d<>≥≤])")
_OPENS_LIST = re.compile(
    r"(?P<lead>(?:[\w’'-]+,?\s+){0,6}?(?:"
    r"(?:presents?|presented|comes|came|complains|(?:is|was) (?:brought|admitted|referred))(?:\s+[\w’'-]+){0,9}?"
    r"\s+(?:with|because of|complaining of|of|for)"
    r"|(?:has|had|have)(?:\s+[\w’'-]+){0,4}?\s+history\s+of"
    r"|(?:is|are|was|were)\s+(?:significant|notable|remarkable|relevant|positive|negative|known)\s+for"
    r"|(?:denie[sd]|report(?:s|ed)|shows?|showed|reveals?|revealed)(?:\s+(?:any|no))?(?:\s+history of)?"
    r"|(?:does|do|did|is|are|was|were|has|have|had)\s+(?:not|never|no)"
    r"|includes?|included|takes|feels|is|are|was|were|(?:has|had|have)(?:\s+been)?|appears|no|without))\s+(?=[^\d\s<>≥≤])",
    re.I,
)
_DENIES = re.compile(r"\b(?:not|never|denie[sd]|no|without)\b", re.I)
_QUESTION_WORD = re.compile(r"\b(?:which|what|who|whom|when|where|why|how)\b", re.I)


@dataclass(frozen=True)
class _Mark:
    """A piece before its glue is known."""

    span: Span
    kind: str = FINDING
    governs: int = 0
    parts: int | None = None


def cut(stem: str) -> Cut:
    found = sentences(stem)
    if not found:
        return Cut("", (Piece(stem, "", SENTENCE, ASKED),))
    asked = max((i for i, s in enumerate(found) if stem[s.end - 1 : s.end + 1].find("?") >= 0), default=len(found) - 1)
    marks: list[_Mark] = []
    for i, sentence in enumerate(found):
        spans = clauses(stem, sentence)
        marks += _asked(stem, spans) if i == asked else _led(stem, spans)
        marks[-1] = replace(marks[-1], parts=sentence.parts)
    starts = [mark.span[0] for mark in marks[1:]] + [len(stem)]
    pieces = [_piece(stem, mark, following) for mark, following in zip(marks, starts, strict=True)]
    return Cut(stem[: marks[0].span[0]], tuple(_headed(pieces)))


def _piece(stem: str, mark: _Mark, following: int) -> Piece:
    start, end = mark.span
    glue = stem[end:following]
    return Piece(stem[start:end], glue, parting(glue) if mark.parts is None else mark.parts, mark.kind, mark.governs)


def _asked(stem: str, spans: list[Span]) -> list[_Mark]:
    """The sentence that asks. What stands before its question word is a finding: "If he is allergic, which …?"."""
    words = (i for i, span in enumerate(spans) if _QUESTION_WORD.search(stem[slice(*span)]))
    first = next(words, len(spans) - 1 if AGE.match(stem, spans[0][0]) else 0)
    return [*map(_Mark, spans[:first]), _Mark((spans[first][0], spans[-1][1]), ASKED)]


def _led(stem: str, spans: list[Span]) -> list[_Mark]:
    """Set apart what opens a list: "He denies | fever | chills"."""
    starts = _starts(stem, spans)
    marks = []
    for first, end in zip(starts, [*starts[1:], len(spans)], strict=True):
        start, stop = spans[first]
        lead = _lead(stem[start:stop], end - first)
        items = [_Mark(span) for span in spans[first:end]]
        if lead:
            marks.append(_Mark((start, start + lead.end("lead")), LEAD, len(items)))
            items[0] = _Mark((start + lead.end(), stop))
        marks += items
    return marks


def _starts(stem: str, spans: list[Span]) -> list[int]:
    """Which begin a clause of their own. "He does not smoke, drinks, or uses drugs" denies all three: one clause."""
    denied = -1
    if any(re.search(r"\bn?or\b", stem[a[1] : b[0]]) for a, b in pairwise(spans)):
        denied = next((i for i, span in enumerate(spans) if _DENIES.search(stem[slice(*span)])), -1)
    own = [i for i, span in enumerate(spans) if i == 0 or CLAUSE.match(stem[slice(*span)])]
    return [i for i in own if denied < 0 or i <= denied]


def _lead(text: str, items: int) -> re.Match | None:
    if items == 1:
        return None
    heading = _HEADING.match(text)
    return heading if heading and len(heading["lead"].split()) <= _HEADING_WORDS else _OPENS_LIST.match(text)


def _headed(pieces: list[Piece]) -> Iterator[Piece]:
    """A line such as "Serum:" leads the lines below it, up to a blank line, a whole sentence or the next such line."""
    for i, piece in enumerate(pieces):
        governs = 0
        if _is_heading(piece):
            for below in pieces[i + 1 :]:
                if below.kind == ASKED or _is_heading(below):
                    break
                governs += 1
                if below.parts == PARAGRAPH or (below.parts >= SENTENCE and "." in below.after):
                    break
        yield replace(piece, kind=LEAD, governs=governs) if governs else piece


def _is_heading(piece: Piece) -> bool:
    text = piece.text
    return piece.parts > SENTENCE and text.endswith(":") and len(text.split()) <= _HEADING_WORDS
