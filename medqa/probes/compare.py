"""What did fine-tuning change? Base against adapter, or any two adapters, on one question."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medqa.adapters import Adapter
from medqa.probes import Tell, unheard
from medqa.probes.scoring import answers
from medqa.question import Answer, Explanation, Question, percent_text
from medqa.spec import without_folder

if TYPE_CHECKING:
    from medqa.engine import Engine

# Changes told in words: the largest, when they are this large at least.
TOLD_CHANGES = 3
TOLD_FROM = 0.05
_OTHER_BASE = "They stand on different base models, so fine-tuning is not all that differs."


@dataclass(frozen=True)
class Compare:
    """The two sides, in the same order throughout. `explanations`: () when they were not asked for.

    `datasets`: what each adapter was trained and measured on; None for a base model alone.
    """

    names: tuple[str, str]
    answers: tuple[Answer, Answer]
    explanations: tuple[Explanation, ...] = ()
    datasets: tuple[str | None, str | None] = (None, None)

    @property
    def question(self) -> Question:
        return self.answers[0].question

    @property
    def changes(self) -> tuple[float, ...]:
        """By how much each option's probability is higher on the first side than on the second."""
        mine, theirs = (answer.probabilities for answer in self.answers)
        return tuple(one - other for one, other in zip(mine, theirs, strict=True))

    @property
    def largest_changes(self) -> tuple[int, ...]:
        """The options worth telling, the largest change first."""
        ranked = sorted(range(len(self.changes)), key=lambda i: -abs(self.changes[i]))
        return tuple(i for i in ranked[:TOLD_CHANGES] if abs(self.changes[i]) >= TOLD_FROM)

    @property
    def sentences(self) -> tuple[str, ...]:
        return (self._choices, *self._by_key, self._differs, *self._limits)

    @property
    def _choices(self) -> str:
        mine, theirs = (self.question.named(answer.index) for answer in self.answers)
        if mine == theirs:
            return f"Both choose {mine}."
        return f"{self.names[0]} chooses {mine}; {self.names[1]} chooses {theirs}."

    @property
    def _by_key(self) -> tuple[str, ...]:
        if self.question.key is None:
            return ()
        right = [name for name, answer in zip(self.names, self.answers, strict=True) if answer.correct]
        who = "neither is" if not right else "both are" if len(right) == 2 else f"{right[0]} is"
        return (f"The key is {self.question.key}: {who} right.",)

    @property
    def _differs(self) -> str:
        if not self.largest_changes:
            return f"No option's probability differs by {100 * TOLD_FROM:.0f} points or more."
        told = "; ".join(map(self._change, self.largest_changes))
        return f"What differs most, {self.names[0]} against {self.names[1]}: {told}."

    def _change(self, option: int) -> str:
        mine, theirs = (percent_text(answer.probabilities[option]) for answer in self.answers)
        return f"{self.question.named(option)}, {mine} against {theirs}"

    @property
    def _limits(self) -> tuple[str, ...]:
        bases = {answer.base for answer in self.answers}
        measured = {dataset for dataset in self.datasets if dataset}
        one = "One question does not say which of the two is better"
        if len(measured) > 1:
            one += ", and their held-out accuracies are of different questions, so they don't either."
        elif None in self.datasets and len(bases) > 1:
            # A run measures its own base without the adapter, not this one.
            one += "; the same held-out questions asked of both may."
        else:
            one += "; their accuracies on held-out questions may, where their intervals part."
        return (one,) if len(bases) == 1 else (one, _OTHER_BASE)


@dataclass(frozen=True)
class Side:
    """Who answers: the base model alone when `adapter` is None. `name` is what it is called in words."""

    engine: Engine
    adapter: Path | None
    name: str
    dataset: str | None = None


def side(engine: Engine, adapter: Adapter | None) -> Side:
    if adapter is None:
        return Side(engine, None, f"{without_folder(engine.loaded.name)} alone")
    return Side(engine, adapter.folder, adapter.name, adapter.dataset)


def compare(one: Side, other: Side, question: Question, *, tell: Tell = unheard, explanations: bool = False) -> Compare:
    """The sides may stand on different base models. `explanations`: each writes its own, too."""
    sides, parts = (one, other), 4 if explanations else 2
    scored = []
    for done, who in enumerate(sides, 1):
        scored += answers(who.engine, [question], who.adapter, lambda *_, done=done: tell(done, parts))
    written = []
    if explanations:
        for done, (who, answer) in enumerate(zip(sides, scored, strict=True), 2):
            written.append(_explained(who, answer, lambda done=done: tell(done, parts)))
    return Compare((one.name, other.name), tuple(scored), tuple(written), (one.dataset, other.dataset))


def _explained(who: Side, answer: Answer, still_asked: Callable[[], None]) -> Explanation:
    explanation = Explanation("", ended=True)
    for piece in who.engine.explain(answer, who.adapter):
        explanation = piece
        still_asked()
    return explanation
