"""From raw rows to Questions: what is kept, what is left out and why. Knows no file and no data set's columns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medqa.errors import UserError
from medqa.question import LETTERS, MAX_CHARACTERS, MAX_OPTIONS, MIN_OPTIONS, Question, QuestionError

Row = Mapping[str, Any]

STEM_CHARACTERS = 80  # of a skipped row's stem: enough to find it again
MIN_VOTES, MIN_SHARE = (3, 0.8)  # explanations that must agree on a base; published keys are wrong in a few percent

_QUOTES = "'\"‘’“”`´"
_OPENING = rf"[(\[{{{_QUOTES}]\s*"
_CLOSING = rf"\s*[)\]}}{_QUOTES}]"
_ANSWER_WORD = r"\W*(?:the\s+)?(?:correct\s+)?ans(?:wer)?\b(?:[\s.,:;=–-]|is\b|option\b)*"
_ID_EST = r"i\s?\.\s?e\b\.?,?"
_LETTER = rf"(?:{_OPENING})?(?P<%s>[A-D])(?:{_CLOSING})?"
# The first separator belongs to the marker; later ones only where they are no sign or decimal point: "Ans: D. -70 mV".
_AFTER = rf"[.:]?(?:[\s:;,)]|\.(?!\d)|[–-](?!\s*\d))*(?:{_ID_EST})?[\s:;,]*"
_MARKER = re.compile(rf"(?:{_ANSWER_WORD}{_LETTER % 'letter'}(?!\w)|\W*{_LETTER % 'bare'}[\s.,:]*(?={_ID_EST}))", re.I)
_REST = re.compile(_AFTER, re.I)
# "Ans: A is false", "Ans: B & C": the sentence is about the letters, so it names no single one.
_ABOUT_LETTERS = re.compile(
    r"\s*[.,]?\s*(?:is|are|and|or|&|,|/)\s*\W?(?!e\b)(?:[a-d]\b|false|true|not|correct|wrong|\()", re.I
)


class DatasetError(UserError):
    """Data that can't be used. The message is a sentence naming the thing, the value and the way out."""


@dataclass(frozen=True)
class Skipped:
    """A row left out: where it is, a short reason that can be counted, and the start of its stem."""

    source: str
    reason: str
    stem: str


@dataclass(frozen=True)
class Loaded:
    questions: tuple[Question, ...]
    skipped: tuple[Skipped, ...] = ()

    @property
    def skipped_by_reason(self) -> dict[str, int]:
        """How many rows were left out for each reason, the most frequent first."""
        return dict(Counter(row.reason for row in self.skipped).most_common())


Identity = tuple[str, frozenset[str]]


def identity(question: Question) -> Identity:
    """The same stem and options make the same question, in whatever order the options are."""
    return plain(question.stem), frozenset(map(plain, question.options))


def plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def one_line(text: object) -> str:
    """The text with each run of white space made one space; "" for None."""
    return " ".join(str(text).split()) if text is not None else ""


def skipped(source: str, reason: str, stem: object) -> Skipped:
    where, start = (text.encode(errors="replace").decode() for text in (source, one_line(stem)[:STEM_CHARACTERS]))
    return Skipped(where, reason, start)


def question_or_skipped(
    source: str,
    stem: object,
    options: Sequence[object],
    answer: int | None,
    explanation: object = None,
    subject: object = None,
) -> Question | Skipped:
    """Options lose their line breaks: a line end closes an answer string. The stem keeps them: lab tables need them."""
    stem_text = str(stem).strip() if stem is not None else ""
    texts = tuple(one_line(option) for option in options)
    told = one_line(explanation), one_line(subject)
    reason = (
        "half a character"
        if not _has_whole_characters("".join((stem_text, *texts, *told, source)))
        else "empty question"
        if not stem_text
        else "too few options"
        if len(texts) < MIN_OPTIONS
        else "too many options"
        if len(texts) > MAX_OPTIONS
        else "too long"
        if len(stem_text) + sum(map(len, texts)) > MAX_CHARACTERS
        else "empty option"
        if not all(texts)
        else "no key"
        if answer is None
        else "key outside the options"
        if not 0 <= answer < len(texts)
        else None
    )
    if reason:
        return skipped(source, reason, stem)
    try:
        return Question(stem_text, texts, answer, *(text or None for text in told), source)
    except QuestionError:  # the one fault not ruled out above
        return skipped(source, "duplicate options", stem)


def _has_whole_characters(text: str) -> bool:
    """JSON may hold half of a pair of surrogates, which no file, page or tokenizer takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def collected(results: Iterable[Question | Skipped]) -> Loaded:
    results = list(results)
    return Loaded(
        tuple(result for result in results if isinstance(result, Question)),
        tuple(result for result in results if isinstance(result, Skipped)),
    )


def without_repeats(loaded: Loaded, held_out: Iterable[Question] = ()) -> Loaded:
    seen = {identity(q): "question also held out" for q in held_out}
    kept, left_out = [], list(loaded.skipped)
    for q in loaded.questions:
        reason = seen.setdefault(identity(q), "")
        if reason == "":
            kept.append(q)
            seen[identity(q)] = "duplicate question"
        else:
            left_out.append(skipped(q.source, reason, q.stem))
    return Loaded(tuple(kept), tuple(left_out))


def without(loaded: Loaded, identities: Collection[Identity], reason: str) -> Loaded:
    gone = tuple(skipped(q.source, reason, q.stem) for q in loaded.questions if identity(q) in identities)
    kept = tuple(q for q in loaded.questions if identity(q) not in identities)
    return Loaded(kept, (*loaded.skipped, *gone))


def source_of(name: str, row: Row, number: int) -> str:
    """Where a row is found again: its own id, else its number counted from 1."""
    return f"{name}:{one_line(row.get('id')) or number}"


def whole_number(value: object) -> int | None:
    """The integer a cell holds (3, 3.0, "3"), or None."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(str(value))
    except ValueError:
        return None
    return int(number) if number.is_integer() else None


def check_base(base: int | None) -> None:
    if base not in (None, 0, 1):
        raise DatasetError(f"cop_base is {base}. It is 0 or 1, or left out to read it from the rows.")


def split_marker(explanation: str) -> tuple[int | None, str]:
    """A leading "Ans. is 'b' i.e.," as the option's index, and the text after it; (None, text) when there is none."""
    found = _MARKER.match(explanation)
    if not found or _ABOUT_LETTERS.match(explanation, found.end()):
        return None, explanation
    letter = found["letter"] or found["bare"]
    return LETTERS.index(letter.upper()), explanation[_REST.match(explanation, found.end()).end() :]


def cop_base(rows: Iterable[Row]) -> tuple[int, str]:
    """Whether MedMCQA's `cop` counts from 0 or 1, and the evidence as a sentence. Raises DatasetError when unsure.

    The Hub's copy counts from 0 and the original archive from 1; taking one for the other trains on wrong keys.
    """
    way_out = "State it: cop_base=0 when 0 means option A, cop_base=1 when 1 does."
    votes: Counter[int] = Counter()
    seen: set[int] = set()
    for row in rows:
        cop = whole_number(row.get("cop"))
        if cop is None:
            continue
        seen.add(cop)
        letter, _ = split_marker(str(row.get("exp") or ""))
        if letter is not None and cop - letter in (0, 1):
            votes[cop - letter] += 1
    if 0 in seen and 4 in seen:
        raise DatasetError(
            f"`cop` is 0 in some rows and 4 in others, with 4 options: two countings are mixed. {way_out}"
        )
    if 0 in seen:
        return 0, "`cop` counts from 0: a 0 occurs."
    if 4 in seen:
        return 1, "`cop` counts from 1: a 4 occurs, with 4 options."
    total = sum(votes.values())
    base, agreeing = max(votes.items(), key=lambda vote: vote[1], default=(0, 0))
    if agreeing >= MIN_VOTES and agreeing >= MIN_SHARE * total:
        return (base, f"`cop` counts from {base}: {agreeing} of {total} explanations that name their letter agree.")
    raise DatasetError(
        f"`cop` may count from 0 or from 1: neither 0 nor 4 occurs, and the explanations that name their letter say "
        f"0 {votes[0]} times, 1 {votes[1]} times. {way_out}"
    )
