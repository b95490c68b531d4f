"""Where the options of a pasted question stand, by the letters or numbers before them. Knows no key."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

WRITE = "Write each option on its own line: “A) …”, “B) …”."
BULLETS = "-–—•●○◦▪■□◻◯⚪►▶‣⁃∙·➢➤☐>*"
TICKS = "*✓✔☑✅"

_LABEL = r"[A-La-l]|1[0-2]|[1-9]"  # beyond 8, so that a ninth option is seen and said to be too many
# What may stand before it at the start of a line: "• A.", "[x] A.", "Option A:".
_BEFORE = rf"(?:[{BULLETS}{TICKS}] ?|\[[ xX]?\] ?)*(?:(?i:option|choice) )?"
_STAR = rf"[{TICKS}]?"
MARK = re.compile(
    rf"(?:^{_BEFORE}|(?<!\S)|(?<!\w)(?=\())(?:\((?P<paren>{_LABEL}){_STAR}\)|\[(?P<square>[A-La-l]){_STAR}\]"
    rf"|(?P<close>{_LABEL}){_STAR} ?\)|(?P<dot>{_LABEL}){_STAR} ?\.|(?P<colon>{_LABEL}){_STAR} ?:"
    rf"|(?P<dash>{_LABEL}){_STAR} ?[-–])",
    re.M,
)
# "vitamin A.", "hepatitis B)", "type 1.": there the letter may belong to the word before it.
NAMED = re.compile(
    r"\b(?:vitamins?|hepatitis|types?|groups?|factors?|ha?emoglobin|inhibin|immunoglobulin|influenza|streptococcus|"
    r"vaccine|protein|receptor|chromosome|drugs?|medications?|patients?|figures?|images?|curves?|points?|stages?|"
    r"grades?|class|phase|level|cin|days?|weeks?|age|para|gravida|step|degrees?|°) $",
    re.I,
)
_SPECIES = re.compile(r"\s*[a-z]{4,}\b")  # "E. coli" among options that start with capitals is no option


@dataclass(frozen=True)
class _Mark:
    """What may introduce an option: from `start` to `end` in the text. `place` is 0 for A or 1.

    `named`: it may be part of a name like "vitamin A", so it counts only where the sequence needs it.
    `starred`: a star or tick stands at it, as a bullet or for the key.
    """

    label: str
    kind: str
    start: int
    end: int
    opens_line: bool
    named: bool
    starred: bool

    @property
    def place(self) -> int:
        return int(self.label) - 1 if self.label.isdigit() else ord(self.label.upper()) - ord("A")


@dataclass(frozen=True)
class Run:
    """Marks of one kind in sequence from A or 1, and those among or after them that break the sequence."""

    marks: tuple[_Mark, ...]
    strays: tuple[_Mark, ...]

    @property
    def start(self) -> int:
        return self.marks[0].start

    @property
    def lettered(self) -> bool:
        return self.marks[0].label.isalpha()

    @property
    def strength(self) -> tuple[bool, bool]:
        return self.marks[0].opens_line, self.lettered


def _marks(text: str) -> dict[str, list[_Mark]]:
    """What may introduce an option, by kind: marks of one question are all written alike."""
    by_kind = defaultdict(list)
    for found in MARK.finditer(text):
        form, start, following = (found.lastgroup, found.start(), text[found.end() : found.end() + 1])
        label = found[form]
        opens_line = start == 0 or text[start - 1] == "\n"
        # Within a line "A.m.", "B-cell" and "1:20" are words, at its start "A.Aspirin" is an option.
        glued = form in ("dot", "colon", "dash") and bool(following.strip())
        if glued and (not opens_line or label.islower() or following.isdigit()):
            continue
        # Only the end of the text before: the longest name fits, and a search from the line's start is slow.
        named = not opens_line and NAMED.search(text[max(0, start - 20) : start]) is not None
        kind = f"{form} {'number' if label.isdigit() else 'capital' if label.isupper() else 'small'}"
        starred = any(tick in found[0] for tick in (*TICKS, "[x]", "[X]"))
        by_kind[kind].append(_Mark(label, kind, start, found.end(), opens_line, named, starred))
    return by_kind


def options_run(text: str) -> Run | None:
    """The run of options: the last one that starts at A or 1, unless it is a list inside another run's option."""
    runs = sorted(filter(None, (_last_run(marks, text) for marks in _marks(text).values())), key=lambda run: run.start)
    chosen = runs.pop() if runs else None
    while runs:
        earlier = runs.pop()
        if _is_inside(chosen, earlier, text):
            chosen = earlier
    return chosen


def _last_run(marks: list[_Mark], text: str) -> Run | None:
    """Of marks of one kind: from the last A or 1 that a B or 2 follows."""
    for i in reversed(range(len(marks))):
        if marks[i].place == 0 and not marks[i].named:
            run = _run_from(marks[i:], text)
            if len(run.marks) > 1:
                return run
    return None


def _run_from(marks: list[_Mark], text: str) -> Run:
    """Marks that open a line outrank those within one, which may be words of an option."""
    anywhere = _in_sequence(marks, text)
    if not marks[0].opens_line:
        return anywhere
    by_line = _in_sequence([mark for mark in marks if mark.opens_line], text)
    closed = marks[0].kind.startswith(("paren", "square", "close"))  # "C)" within a line is hardly a word
    whole = not anywhere.strays and (by_line.strays or (closed and len(anywhere.marks) > len(by_line.marks)))
    return anywhere if whole or len(by_line.marks) < 2 else by_line


def _in_sequence(marks: list[_Mark], text: str) -> Run:
    starts_small = text[marks[0].end :].lstrip()[:1].islower()
    marks = [
        m for m in marks if starts_small or m.opens_line or m.kind != "dot capital" or not _SPECIES.match(text, m.end)
    ]
    run = marks[:1]
    while True:
        following = [mark for mark in marks if mark.start > run[-1].start and mark.place == run[0].place + len(run)]
        if not following:
            break
        run.append(min(following, key=lambda mark: (mark.named, mark.start)))
    last = run[-1]
    return Run(tuple(run), tuple(mark for mark in marks if mark not in run and not mark.named and _breaks(mark, last)))


def _breaks(mark: _Mark, last: _Mark) -> bool:
    """Whether a mark repeats or skips a letter of a run that ends with `last`. Far-off ones within a line are words."""
    if mark.place <= last.place:
        return True
    return mark.opens_line or (mark.start > last.start and mark.place <= last.place + 3)


def _is_inside(inner: Run, outer: Run, text: str) -> bool:
    """Whether `inner`, which starts later, is a list in an option of `outer`, not the options after a listing stem."""
    if inner.start < outer.marks[-1].start:
        return outer.strength >= inner.strength
    between = text[outer.marks[-1].end : inner.start]
    if inner.strength[1] < outer.strength[1]:  # numbers among letters
        return "?" not in between
    return not re.search(r"[?:\n]", between)


def why_none(text: str, run: Run | None) -> str:
    if run is None:
        runs = [_in_sequence(marks, text) for marks in _marks(text).values() if marks[0].opens_line]
        run = max(runs, key=lambda run: run.start, default=None)
        if run is None:
            return f"No options were found. {WRITE}"
        if run.marks[0].place > 0:
            first = "1" if run.marks[0].label.isdigit() else "A"
            return f"The options start at {run.marks[0].label}: option {first} is missing. {WRITE}"
    last = run.marks[-1]
    if not run.strays:
        return f"Only option {last.label} was found. {WRITE}"
    stray = run.strays[0]
    if stray.place <= last.place:
        return f"Option {stray.label} appears twice. {WRITE}"
    missing = str(last.place + 2) if last.label.isdigit() else chr(ord(last.label) + 1)
    return f"After option {last.label} comes {stray.label}: option {missing} is missing."
