"""A multiple-choice question and the answer a model gives it. Knows nothing of models or files."""

from __future__ import annotations

import math
from dataclasses import dataclass

from medqa.errors import UserError

LETTERS = "ABCDEFGH"
MIN_OPTIONS = 2
MAX_OPTIONS = len(LETTERS)
# Ten times a long vignette: more would keep a public page busy before any token is counted.
MAX_CHARACTERS = 20_000


class QuestionError(UserError):
    """A question that can't be used. The message is one sentence for the person who gave it."""


@dataclass(frozen=True)
class Question:
    """A stem with 2 to 8 options. `answer` is the 0-based index of the correct option, None when unknown."""

    stem: str
    options: tuple[str, ...]
    answer: int | None = None
    explanation: str | None = None
    subject: str | None = None
    source: str = ""

    def __post_init__(self) -> None:
        fault = fault_of(self.stem, self.options, self.answer)
        if fault:
            raise QuestionError(fault)

    @property
    def key(self) -> str | None:
        """The letter of the correct option."""
        return None if self.answer is None else LETTERS[self.answer]

    def named(self, option: int) -> str:
        """`B) Right coronary artery`"""
        return f"{LETTERS[option]}) {self.options[option]}"


def fault_of(stem: str, options: tuple[str, ...], answer: int | None) -> str | None:
    """Say why these can't make a question, or None when they can."""
    if not stem.strip():
        return "The question is empty. Write what is asked."
    if not MIN_OPTIONS <= len(options) <= MAX_OPTIONS:
        return f"There are {len(options)} options; a question has {MIN_OPTIONS} to {MAX_OPTIONS}."
    characters = len(stem) + sum(map(len, options))
    if characters > MAX_CHARACTERS:
        return f"Question and options have {characters:,} characters, the limit is {MAX_CHARACTERS:,}. Shorten them."
    empty = [LETTERS[i] for i, option in enumerate(options) if not option.strip()]
    if empty:
        return f"Option {', '.join(empty)} is empty. Fill it in or remove it."
    seen: dict[str, int] = {}
    for i, option in enumerate(options):
        same = seen.setdefault(" ".join(option.split()).casefold(), i)
        if same != i:
            return f"Options {LETTERS[same]} and {LETTERS[i]} are the same: “{option.strip()}”. Change one of them."
    if answer is not None and not 0 <= answer < len(options):
        return f"The key is option number {answer + 1}, and there are {len(options)} options."
    return None


@dataclass(frozen=True)
class Answer:
    """What a model makes of a question. `log_probabilities`: one per option, of its whole answer string, in nats.

    `base` and `adapter` name what answered; adapter None is the base model alone.
    """

    question: Question
    log_probabilities: tuple[float, ...]
    base: str
    adapter: str | None = None

    @property
    def probabilities(self) -> tuple[float, ...]:
        """The softmax of the log-probabilities: shares among the options given, summing to 1."""
        top = max(self.log_probabilities)
        weights = [math.exp(value - top) for value in self.log_probabilities]
        total = sum(weights)
        return tuple(weight / total for weight in weights)

    @property
    def index(self) -> int:
        return max(range(len(self.log_probabilities)), key=self.log_probabilities.__getitem__)

    @property
    def letter(self) -> str:
        return LETTERS[self.index]

    @property
    def correct(self) -> bool | None:
        """Whether the choice is the key; None when the question has no key."""
        return None if self.question.answer is None else self.index == self.question.answer


def percent_text(share: float) -> str:
    """Never 0 % or 100 %: a softmax gives neither."""
    if share >= 0.995:
        return "> 99 %"
    return "< 1 %" if share < 0.01 else f"{100 * share:.0f} %"


@dataclass(frozen=True)
class Explanation:
    """The text so far. `ended`: the model closed it by itself; `cut`: the length limit did."""

    text: str
    ended: bool = False
    cut: bool = False
