"""A whole question pasted into one box, read into stem, options, key and explanation. Knows no model and no file."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

from medqa.question import LETTERS, Question, QuestionError

MAX_CHARACTERS = 8000  # four times the longest USMLE vignette
MAX_PLACES = 100  # reading takes time by their cube; real questions have up to 30

_WRITE = "Write each option on its own line: “A) …”, “B) …”."
_LEAD_IN = re.compile(r"(?:q(?:uestion)?[ .:)]*\d{1,3} ?[.:)]|\d{1,3} ?[.:)]|q(?:uestion)? ?[.:)])\s+", re.I)

_LABEL = r"[A-La-l]|1[0-2]|[1-9]"  # beyond 8, so that a ninth option is seen and said to be too many
_MARK = re.compile(
    rf"(?<!\w)\((?P<paren>{_LABEL})\)"
    rf"|(?<!\S)(?:(?P<close>{_LABEL}) ?\)|(?P<dot>{_LABEL}) ?\.|(?P<colon>{_LABEL}) ?:|(?P<dash>{_LABEL}) ?[-–])"
)
# "vitamin A.", "hepatitis B)", "type 1.": there the letter may belong to the word before it.
_NAMED = re.compile(
    r"\b(?:vitamins?|hepatitis|types?|groups?|factors?|ha?emoglobin|inhibin|immunoglobulin|influenza|streptococcus|"
    r"vaccine|protein|receptor|chromosome|drugs?|medications?|patients?|figures?|images?|curves?|points?|stages?|"
    r"grades?|class|phase|level|cin|days?|weeks?|age|para|gravida|step|degrees?|°) $",
    re.I,
)
_SPECIES = re.compile(r"\s*[a-z]{4,}\b")  # "E. coli" among options that start with capitals is no option
_KEY_NAME = r"(?:the )?(?:correct )?(?:answer|ans|key|option|choice)(?: key)?"
_KEY_WORDS = re.compile(  # on a line of its own "is" or a space will do; within a line, "answer is" is prose
    rf"^{_KEY_NAME}(?: ?[:.=–-]+| is\b ?:?| (?=\(?[A-H1-8]\)?$))\s*"
    r"|(?<!\w)(?:the )?(?:correct )?(?:answer|ans|key)(?: key)? ?[:.=–-]+\s*",
    re.I | re.M,
)
_KEY = re.compile(
    r"(?i:option )?[(\[]?(?P<key>[A-Za-z]|\d{1,2})(?:[)\].:]+|(?<![a-z])(?=[\s,&/–-])|\Z|(?=\n)) *[–-]? *"
)
_MORE_KEYS = re.compile(r"[)\].]*\s*(?:[,&/]|and\b|or\b)\s*\(?[A-H1-8]\)?(?!\w)", re.I)
_EXPLANATION = re.compile(r"^(?:explanation|rationale) ?[:.–-]\s*|(?<=\s)explanation ?:\s*", re.I | re.M)


@dataclass(frozen=True)
class _Mark:
    """What may introduce an option: from `start` to `end` in the text. `place` is 0 for A or 1.

    `named`: it may be part of a name like "vitamin A", so it counts only where the sequence needs it.
    """

    label: str
    kind: str
    start: int
    end: int
    opens_line: bool
    named: bool

    @property
    def place(self) -> int:
        return int(self.label) - 1 if self.label.isdigit() else ord(self.label.upper()) - ord("A")


@dataclass(frozen=True)
class _Run:
    """Marks of one kind in sequence from A or 1, and those among or after them that break the sequence."""

    marks: tuple[_Mark, ...]
    strays: tuple[_Mark, ...]

    @property
    def start(self) -> int:
        return self.marks[0].start

    @property
    def strength(self) -> tuple[bool, bool]:
        return self.marks[0].opens_line, self.marks[0].label.isalpha()


def read_pasted(text: str, max_characters: int = MAX_CHARACTERS) -> Question:
    """Raises QuestionError with a sentence for the person who pasted. Nothing is guessed."""
    if len(text) > max_characters:
        raise QuestionError(f"The text has {len(text):,} characters, the limit is {max_characters:,}. Shorten it.")
    text = "\n".join(" ".join(line.split()) for line in text.strip().splitlines())
    if not text:
        raise QuestionError(f"The text is empty. Paste a question with its options. {_WRITE}")
    text = _LEAD_IN.sub("", text, count=1) if _LEAD_IN.match(text) else text
    places = len(_MARK.findall(text)) + len(_KEY_WORDS.findall(text)) + len(_EXPLANATION.findall(text))
    if places > MAX_PLACES:
        raise QuestionError(
            f"In {places} places something like an option or a key begins, more than {MAX_PLACES}. Paste one question."
        )
    head, key, explanation = _parts(text)
    run = _options_run(head)
    if run is None or run.strays:
        raise QuestionError(_why_no_options(head, run))
    ends = [mark.start for mark in run.marks[1:]] + [len(head)]
    texts = (" ".join(head[mark.end : end].split()) for mark, end in zip(run.marks, ends, strict=True))
    options = _without_separators(tuple(texts))
    question = Question(head[: run.start].strip(), options, explanation=explanation or None)
    if not key:
        return question
    answer, rest = _read_key(key, options)
    return Question(question.stem, options, answer, f"{rest} {explanation}".strip() or None)


# Options


def _marks(text: str) -> dict[str, list[_Mark]]:
    """What may introduce an option, by kind: marks of one question are all written alike."""
    by_kind = defaultdict(list)
    for found in _MARK.finditer(text):
        form, start, following = (found.lastgroup, found.start(), text[found.end() : found.end() + 1])
        label = found[form]
        opens_line = start == 0 or text[start - 1] == "\n"
        # Within a line "A.m.", "B-cell" and "1:20" are words, at its start "A.Aspirin" is an option.
        glued = form in ("dot", "colon", "dash") and bool(following.strip())
        if glued and (not opens_line or label.islower() or following.isdigit()):
            continue
        # Only the end of the text before: the longest name fits, and a search from the line's start is slow.
        named = not opens_line and _NAMED.search(text[max(0, start - 20) : start]) is not None
        kind = f"{form} {'number' if label.isdigit() else 'capital' if label.isupper() else 'small'}"
        by_kind[kind].append(_Mark(label, kind, start, found.end(), opens_line, named))
    return by_kind


def _options_run(text: str) -> _Run | None:
    """The run of options: the last one that starts at A or 1, unless it is a list inside another run's option."""
    runs = sorted(filter(None, (_last_run(marks, text) for marks in _marks(text).values())), key=lambda run: run.start)
    chosen = runs.pop() if runs else None
    while runs:
        earlier = runs.pop()
        if _is_inside(chosen, earlier, text):
            chosen = earlier
    return chosen


def _last_run(marks: list[_Mark], text: str) -> _Run | None:
    """Of marks of one kind: from the last A or 1 that a B or 2 follows."""
    for i in reversed(range(len(marks))):
        if marks[i].place == 0 and not marks[i].named:
            run = _run_from(marks[i:], text)
            if len(run.marks) > 1:
                return run
    return None


def _run_from(marks: list[_Mark], text: str) -> _Run:
    """Marks that open a line outrank those within one, which may be words of an option."""
    anywhere = _in_sequence(marks, text)
    if not marks[0].opens_line:
        return anywhere
    by_line = _in_sequence([mark for mark in marks if mark.opens_line], text)
    closed = marks[0].kind.startswith(("paren", "close"))  # "C)" within a line is hardly a word
    whole = not anywhere.strays and (by_line.strays or (closed and len(anywhere.marks) > len(by_line.marks)))
    return anywhere if whole or len(by_line.marks) < 2 else by_line


def _in_sequence(marks: list[_Mark], text: str) -> _Run:
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
    return _Run(tuple(run), tuple(mark for mark in marks if mark not in run and not mark.named and _breaks(mark, last)))


def _breaks(mark: _Mark, last: _Mark) -> bool:
    """Whether a mark repeats or skips a letter of a run that ends with `last`. Far-off ones within a line are words."""
    if mark.place <= last.place:
        return True
    return mark.opens_line or (mark.start > last.start and mark.place <= last.place + 3)


def _is_inside(inner: _Run, outer: _Run, text: str) -> bool:
    """Whether `inner`, which starts later, is a list in an option of `outer`, not the options after a listing stem."""
    if inner.start < outer.marks[-1].start:
        return outer.strength >= inner.strength
    between = text[outer.marks[-1].end : inner.start]
    if inner.strength[1] < outer.strength[1]:  # numbers among letters
        return "?" not in between
    return not re.search(r"[?:\n]", between)


def _without_separators(options: tuple[str, ...]) -> tuple[str, ...]:
    """Options written in a row, "A) x, B) y; C) z", lose the comma or semicolon between them."""
    if all(option.endswith((",", ";")) for option in options[:-1]):
        return tuple(option.rstrip(" ,;") for option in options)
    return options


def _why_no_options(text: str, run: _Run | None) -> str:
    if run is None:
        runs = [_in_sequence(marks, text) for marks in _marks(text).values() if marks[0].opens_line]
        run = max(runs, key=lambda run: run.start, default=None)
        if run is None:
            return f"No options were found. {_WRITE}"
        if run.marks[0].place > 0:
            first = "1" if run.marks[0].label.isdigit() else "A"
            return f"The options start at {run.marks[0].label}: option {first} is missing. {_WRITE}"
    last = run.marks[-1]
    if not run.strays:
        return f"Only option {last.label} was found. {_WRITE}"
    stray = run.strays[0]
    if stray.place <= last.place:
        return f"Option {stray.label} appears twice. {_WRITE}"
    missing = str(last.place + 2) if last.label.isdigit() else chr(ord(last.label) + 1)
    return f"After option {last.label} comes {stray.label}: option {missing} is missing."


# Key and explanation


def _parts(text: str) -> tuple[str, str, str]:
    """Question with options, what follows "Answer:", what follows "Explanation:"; the last two may be empty.

    Only what comes after a run of options counts: "Choose the best answer: A) …" is no key.
    """
    for found in _KEY_WORDS.finditer(text):
        head, tail = text[: found.start()], text[found.end() :]
        if _options_run(head) is None:
            continue
        key, explanation = _split_explanation(tail)
        options = _options_run(key)
        if options is None or (options.start > 0 and _KEY.match(key)):
            return head, key, explanation
    for found in _EXPLANATION.finditer(text):
        if _options_run(text[: found.start()]):
            return text[: found.start()], "", " ".join(text[found.end() :].split())
    return text, "", ""


def _split_explanation(text: str) -> tuple[str, str]:
    found = _EXPLANATION.search(text)
    if not found:
        return text.strip(), ""
    return text[: found.start()].strip(), " ".join(text[found.end() :].split())


def _read_key(key: str, options: tuple[str, ...]) -> tuple[int, str]:
    """The index of the option that the key names, by letter, number or text, and what follows it."""
    line, _, further = key.partition("\n")
    by_text = [i for i, option in enumerate(options) if _same(option, line)]
    found = _KEY.match(key)
    if by_text and (not found or found.end() < len(line)):
        return by_text[0], " ".join(further.split())
    if not found:
        raise QuestionError(f"The key “{line[:60]}” names none of the options. Write its letter: “Answer: A”.")
    label = found["key"]
    if _MORE_KEYS.match(key, found.end("key")):
        raise QuestionError(f"The key “{line[:60]}” names more than one option. Write the one letter: “Answer: A”.")
    index = int(label) - 1 if label.isdigit() else ord(label.upper()) - ord("A")
    if not 0 <= index < len(options):
        raise QuestionError(
            f"The key is {label}, and there are {len(options)} options (A to {LETTERS[len(options) - 1]})."
        )
    if by_text and by_text != [index]:
        raise QuestionError(
            f"The key {label} is the place of one option and the text of option {LETTERS[by_text[0]]}. Write a letter."
        )
    rest, option = " ".join(key[found.end() :].split()), options[index]
    others = [i for i, other in enumerate(options) if i != index and _same(other, line[found.end() :])]
    if others:
        raise QuestionError(f"The key is {label}, but the text after it is option {LETTERS[others[0]]}. Change one.")
    # The option's text goes, unless it begins a sentence: "B) Heparin binds antithrombin."
    if _same(option, line[found.end() :]):
        rest = " ".join(further.split())
    elif rest.casefold().startswith(option.casefold()) and rest[len(option) :].lstrip()[:1] in tuple(".:;–-"):
        rest = rest[len(option) :].lstrip(" .:;–-")
    return index, rest


def _same(option: str, text: str) -> bool:
    return option.strip(" .").casefold() == " ".join(text.split()).strip(" .").casefold()
