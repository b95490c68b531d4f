"""Does the explanation carry the answer? The options are scored again with the explanation read first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from medqa.probes import Tell, unheard
from medqa.probes.scoring import answers, written_together
from medqa.prompt import ANSWER_START
from medqa.question import Answer, Explanation, Question, percent_text

if TYPE_CHECKING:
    from medqa.engine import Engine

# A text that moves no probability by more makes no difference that a reader of the card would see.
BOUND = 0.02
WITHIN = f"every probability stays within {100 * BOUND:.0f} points"
NOTHING_WRITTEN = "The model wrote no explanation, so there is nothing to test."
NOTHING_READ = (
    f"The explanation makes no difference, and neither does half of it or the explanation of another option: {WITHIN}. "
    "The answer comes from the question and the options alone; what is written afterwards does not carry it."
)
LIMIT = (
    "Mind that an explanation mostly names its option, so the model may follow the name and not the reasoning; that a "
    "model trained to answer first can lose some certainty by reading any text before; and that a text which moves the "
    "scores need not be true."
)
# Twice the length of the handbook's explanations, and a second of writing for the embedded model on two cores.
MOST_DEFENCE_TOKENS = 96
TEXTS = 2
SCORINGS = 3
_SENTENCE_END = re.compile(r"[.!?](?=\s)")
_ANSWER_LINE = re.compile(rf"^\s*{ANSWER_START.strip()}.*$", re.MULTILINE)
# A sentence, and whether it warns.
Finding = tuple[str, bool]


@dataclass(frozen=True)
class Reading:
    """The probabilities of the options once the text has been read; "" is no text."""

    text: str
    probabilities: tuple[float, ...]

    @property
    def choice(self) -> int:
        return max(range(len(self.probabilities)), key=self.probabilities.__getitem__)

    def differs_from(self, other: Reading) -> bool:
        return max(abs(a - b) for a, b in zip(self.probabilities, other.probabilities, strict=True)) > BOUND


@dataclass(frozen=True)
class Carried:
    """`other`: the runner-up; `defence`: how the text begins that the model writes when made to defend it."""

    question: Question
    other: int
    without: Reading
    whole: Reading
    half: Reading
    defence: Reading

    @property
    def shown(self) -> int:
        """The option the card shows."""
        return self.without.choice

    @property
    def sentences(self) -> tuple[str, ...]:
        return *(said for said, _ in self._findings), *((LIMIT,) if self.whole.text else ())

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of the sentences that warn."""
        return tuple(said for said, warns in self._findings if warns)

    @property
    def _findings(self) -> tuple[Finding, ...]:
        if not self.whole.text:
            return ((NOTHING_WRITTEN, True),)
        if not any(reading.differs_from(self.without) for reading in (self.whole, self.half, self.defence)):
            return ((NOTHING_READ, True),)
        return self._on_whole, self._on_half, self._on_defence

    @property
    def _on_whole(self) -> Finding:
        shown, before, after = self._named(self.shown), self._share(self.without), self._share(self.whole)
        if not self.whole.differs_from(self.without):
            if self.without.probabilities[self.shown] > 1 - BOUND:
                return f"The explanation could add nothing: {shown} has {before} without it already.", False
            return f"The explanation makes no difference: {WITHIN}. The answer does not hang on it.", True
        if self.whole.choice != self.shown:
            instead = f"{self._named(self.whole.choice)} ({self._share(self.whole, self.whole.choice)})"
            return f"The explanation supports another option: with it the model chooses {instead}, not {shown}.", True
        rise = self.whole.probabilities[self.shown] - self.without.probabilities[self.shown]
        if abs(rise) <= BOUND:
            return (
                f"The explanation keeps the answer and hardly changes its share: {shown} has {before} without it and "
                f"{after} with it; what moves are the other options."
            ), False
        verdict = "supports the answer" if rise > 0 else "keeps the answer, but makes the model less sure of it"
        return f"The explanation {verdict}: {shown} has {before} without it and {after} with it.", False

    @property
    def _on_half(self) -> Finding:
        choice = self.half.choice
        chosen = f"{self._named(choice)} ({self._share(self.half, choice)})"
        return f"With its first half alone the model chooses {chosen}.", False

    @property
    def _on_defence(self) -> Finding:
        other, choice = self._named(self.other), self.defence.choice
        made = f"Made to explain the runner-up, {other}, the model"
        if not self.defence.text:
            return f"{made} wrote nothing.", False
        if self.defence.text == self.whole.text:
            return f"{made} wrote the very same text: it would say this of either option.", True
        share = self._share(self.defence, choice)
        if not self.defence.differs_from(self.without):
            return f"{made} writes a text that makes no difference: {WITHIN}.", False
        if choice == self.other and self.whole.choice == self.shown:
            return (
                f"The runner-up's explanation convinces it too: {made[0].lower()}{made[1:]} writes a text that moves "
                f"the answer there ({share}). So that the answer's own text supports it is no evidence for it."
            ), True
        if choice == self.other:
            return f"{made} writes a text that moves the answer there ({share}).", False
        if choice == self.shown:
            return f"{made} writes a text that does not move the answer ({self._named(choice)}: {share}).", False
        return f"{made} writes a text that moves the answer to a third option, {self._named(choice)} ({share}).", False

    def _named(self, option: int) -> str:
        return self.question.named(option)

    def _share(self, reading: Reading, option: int | None = None) -> str:
        return percent_text(reading.probabilities[self.shown if option is None else option])


def explanation(
    engine: Engine,
    question: Question,
    adapter: Path | None = None,
    *,
    tell: Tell = unheard,
    answer: Answer | None = None,
    written: str = "",
) -> Carried:
    """`answer`, `written`: the card's answer and its explanation, where they are there already."""
    if answer is None:
        [answer] = answers(engine, [question], adapter, unheard)
    without = answer.probabilities
    other = max((i for i in range(len(without)) if i != answer.index), key=without.__getitem__)
    of = TEXTS + SCORINGS
    own = [Explanation(written)] if written else engine.explain(answer, adapter)
    defence = islice(engine.explain(answer, adapter, option=other), MOST_DEFENCE_TOKENS)
    whole = written_together([own, defence], lambda whole: tell(whole, of))
    written, defended = (without_answer_line(text.text) for text in whole)
    texts = [written, first_half(written), defended]
    scored = answers(engine, [question] * SCORINGS, adapter, lambda done, _: tell(TEXTS + done, of), texts)
    readings = [Reading(text, read.probabilities) for text, read in zip(texts, scored, strict=True)]
    return Carried(question, other, Reading("", without), *readings)


def without_answer_line(text: str) -> str:
    """A model may repeat its answer in the explanation; reading that line would be copying, not reasoning."""
    return _ANSWER_LINE.sub("", text).strip()


def first_half(text: str) -> str:
    """Up to the end of the sentence nearest the middle; of a single sentence half the words."""
    ends = [found.end() for found in _SENTENCE_END.finditer(text)]
    if ends:
        return text[: min(ends, key=lambda end: abs(end - len(text) / 2))]
    words = text.split()
    return " ".join(words[: (len(words) + 1) // 2])
