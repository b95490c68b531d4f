"""A stem cut into findings: sentences, clauses, items of lists; and the stem again without some. Knows no model."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice, pairwise

from medqa.probes.denials import DENIES, denied_lists
from medqa.probes.sharing import holds
from medqa.probes.spans import (
    AGE,
    CLAUSE,
    COMES,
    COMMA,
    CONJUNCTION,
    PARAGRAPH,
    SENTENCE,
    Span,
    clauses,
    parting,
    sentences,
)

FINDING = "finding"
# "He denies", "no", "Serum:": stays as long as something of its list does, for "chills" alone would say the opposite.
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

    @property
    def asks(self) -> Span:
        """Where in the stem that stands."""
        start = len(self.before)
        for piece in self.pieces:
            if piece.kind == ASKED:
                return start, start + len(piece.text)
            start += len(piece.text) + len(piece.after)
        return start, start

    def numbered(self) -> Iterator[tuple[Piece, int | None]]:
        """Each piece with its number as a finding; None for a lead and for what is asked."""
        number = 0
        for piece in self.pieces:
            yield piece, number if piece.kind == FINDING else None
            number += piece.kind == FINDING

    def gone(self, off: Collection[int]) -> list[bool]:
        """Which pieces leave with these findings: a lead goes when its whole list does."""
        gone = [number in off for _, number in self.numbered()]
        for i, piece in reversed([*enumerate(self.pieces)]):  # a lead may govern leads
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
    r"(?P<lead>(?:with(?!.*\b(?:is|are|was|were|has|have|had)\b)|(?:[\w’'-]+,?\s+){0,6}?(?:"
    r"(?:presents?|presented|comes|came|complains|(?:is|was) (?:brought|admitted|referred))(?:\s+[\w’'-]+){0,9}?"
    r"\s+(?:with|because of|due to|complaining of|of|for|after(?=\s+(?:[\w-]+\s+){0,3}onset of))"
    r"|(?:has|had|have)(?:\s+(?!no\b)[\w’'-]+){0,4}?\s+history\s+of"
    r"|(?:is|are|was|were)\s+(?:significant|notable|remarkable|relevant|positive|known)\s+for"
    r"|(?:endorse[sd]|report(?:s|ed)|shows?|showed|reveals?|revealed)(?:\s+any)?(?:\s+history of)?"
    r"|(?:is|are|was|were)(?:\s+\w+ly)?\s+taking"
    r"|includes?|included|takes|feels|is|are|was|were|(?:has|had|have)(?:\s+been)?(?!\s+(?:not|never)\b)|appears))"
    r"(?:(?:\s+(?!(?:no|and|or|of|with|in|for|at|after|on|by)\b)[\w’'-]+){0,5}?\s+(?:"
    r"(?:history|onset|episodes?|complaints?|symptoms|evaluation|(?:[\w-]+-)?(?:hour|day|week|month|year)s?['’]?)\s+of"
    r"(?!\s+(?:age|life)\b)|history\s+(?:significant|notable|remarkable)\s+for)){0,2})"
    r"\s+(?=[^\d\s<>≥≤])",
    re.I,
)
# "has not had a cough but several friends were ill": what comes next is not said of "has".
_SAYS_NOT = re.compile(r"\b(?:(?:has|have|had|does|do|did|can|could|will)\s+(?:not|never)|cannot|\w+n['’]t)\b", re.I)
# What follows no lead: "that …", "never during rest", "not to place".
_APART = re.compile(
    r"(?:that|which|who|whose|never|not\s+(?!\w+(?:ed|en|er|ent|ant|al|ar|ic|id|ous|ive|ful|able|ible|ing|ly|y)\b))\b",
    re.I,
)
_WITH = re.compile(r"with(?:out)?\b", re.I)
_THINGS = re.compile(r"(?:no|the|his|her|their|its|this|these)\b", re.I)
_IS = re.compile(r"(?<!there )\b(?:is|are|was|were|been|appears|feels)$", re.I)
_QUESTION_WORD = re.compile(r"\b(?:which|what|who|whom|when|where|why|how)\b", re.I)


@dataclass(frozen=True)
class _Mark:
    """A piece before its glue is known. `ends`: a list."""

    span: Span
    kind: str = FINDING
    governs: int = 0
    parts: int | None = None
    ends: bool = False


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
    parts = parting(glue) if mark.parts is None else mark.parts
    # "fever, or chills, although …" without its chills is "fever, although …".
    parts = CONJUNCTION if mark.ends and parts == COMMA else parts
    return Piece(stem[start:end], glue, parts, mark.kind, mark.governs)


def _asked(stem: str, spans: list[Span]) -> list[_Mark]:
    """The sentence that asks. What stands before its question word is a finding: "If he is allergic, which …?"."""
    words = (i for i, span in enumerate(spans) if _QUESTION_WORD.search(stem[slice(*span)]))
    first = next(words, len(spans) - 1 if AGE.match(stem, spans[0][0]) else 0)
    runs = _runs(stem, _units(stem, spans[:first]))
    findings = [mark for run in runs for unit in _held(stem, run) for mark in unit]
    return [*findings, _Mark((spans[first][0], spans[-1][1]), ASKED)]


def _led(stem: str, spans: list[Span]) -> list[_Mark]:
    """Set apart what opens a list: "He denies | fever | chills"."""
    marks: list[_Mark] = []
    for run in _runs(stem, _units(stem, spans)):
        denied = bool(marks) and bool(DENIES.search(stem, marks[0].span[0], marks[-1].span[1]))
        marks += _opened(stem, _held(stem, run), denied)
        marks[-1] = replace(marks[-1], ends=len(run) > 1 or len(run[0]) > 1)
    return marks


# What is left out by itself: one finding, or the lead of a denied list with its items.
_Unit = list[_Mark]


def _units(stem: str, spans: list[Span]) -> Iterator[_Unit]:
    lists, i = {found.first: found for found in denied_lists(stem, spans)}, 0
    while i < len(spans):
        found = lists.get(i)
        items = [_Mark(span) for span in (found.items if found else spans[i : i + 1])]
        if found and found.before:
            yield [_Mark(found.before)]
        yield [_Mark(found.lead, LEAD, len(items)), *items] if found and found.lead else items
        i = found.end if found else i + 1


def _runs(stem: str, units: Iterable[_Unit]) -> Iterator[list[_Unit]]:
    """Units that may share a lead. "He smokes, drinks, and has a cough": three runs."""
    run: list[_Unit] = []
    for unit in units:
        if run and not _goes_on(_text(stem, run[0]), _text(stem, run[-1]), _text(stem, unit)):
            yield run
            run = []
        run.append(unit)
    if run:
        yield run


def _goes_on(opens: str, last: str, text: str) -> bool:
    if AGE.fullmatch(last) or CLAUSE.match(text) or COMES.match(text) or _APART.match(text) or _SAYS_NOT.search(last):
        return False
    lead = None if _heading(opens) else _opening(opens)
    # Neither "shows with no …" nor "the abdomen is no …".
    return not lead or not (_WITH.match(text) or (_THINGS.match(text) and _IS.search(lead["lead"])))


def _held(stem: str, run: list[_Unit]) -> list[_Unit]:
    """The run with what shares a head as one unit."""
    texts = [_text(stem, unit) for unit in run]
    lead = _lead(texts[0])
    first = texts[0][lead.end() :] if lead else texts[0]
    glues = ["", *(stem[one[-1].span[1] : other[0].span[0]] for one, other in pairwise(run))]
    units = iter(run)
    return [_as_one([*islice(units, count)]) for count in holds([first, *texts[1:]], glues)]


def _as_one(units: list[_Unit]) -> _Unit:
    return units[0] if len(units) == 1 else [_Mark((units[0][0].span[0], units[-1][-1].span[1]))]


def _opened(stem: str, run: list[_Unit], after_denial: bool) -> list[_Mark]:
    """A run behind its lead, where it has one."""
    marks = [mark for unit in run for mark in unit]
    (start, stop), end = marks[0].span, marks[-1].span[1]
    lead = _lead(stem[start:stop]) if len(run) > 1 else None
    if lead and lead.end() < stop - start:
        inside = replace(marks[0], span=(start + lead.end(), stop))
        return [_Mark((start, start + lead.end("lead")), LEAD, len(marks)), inside, *marks[1:]]
    # "He denies fever but developed pain, redness, and swelling": without the pain the others would seem denied.
    if after_denial and len(run) == len(marks) > 1 and not re.search(r"\d", stem[stop:end]):
        return [_Mark((start, end))]
    return marks


def _text(stem: str, unit: _Unit) -> str:
    return stem[unit[0].span[0] : unit[-1].span[1]]


def _lead(text: str) -> re.Match | None:
    return _heading(text) or _opening(text)


def _opening(text: str) -> re.Match | None:
    """None that denies: it would deny what comes after its own list, too."""
    found = _OPENS_LIST.match(text)
    return None if found and DENIES.search(found["lead"]) else found


def _heading(text: str) -> re.Match | None:
    heading = _HEADING.match(text)
    return heading if heading and len(heading["lead"].split()) <= _HEADING_WORDS else None


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
