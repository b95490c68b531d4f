"""What does the answer hang on? Each finding is left out in turn, and the options are scored again."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from medqa.probes import Tell, unheard
from medqa.probes.cutting import Cut, cut
from medqa.probes.scoring import answers
from medqa.question import LETTERS, Answer, Question

if TYPE_CHECKING:
    from medqa.engine import Engine

# In nats. Less is noise: in bfloat16 the same question, scored in a batch of another shape, differs by 0.05 in the
# median and by up to 0.2 in 19 of 20 cases (medqa-nano on a CPU, 25 questions in 3 batches each).
SLIGHT = 0.2
LIMIT = (
    "Findings are left out one at a time: when two say the same, each shows little influence, because the other still "
    "says it. Switch off several together to see that. And a text with a hole may be odd to the model in itself."
)
NAMED_AT_MOST = 3


@dataclass(frozen=True)
class Findings:
    """`whole`: the answer to the question as asked; `left_out`: the answers without each finding of `cut`, in order."""

    cut: Cut
    whole: Answer
    left_out: tuple[Answer, ...]

    @property
    def chosen(self) -> int:
        return self.whole.index

    @property
    def runner_up(self) -> int:
        scores = self.whole.log_probabilities
        return max((i for i in range(len(scores)) if i != self.chosen), key=scores.__getitem__)

    @property
    def influences(self) -> tuple[float, ...]:
        """Of each finding on the chosen answer against its runner-up, in nats: positive speaks for the choice."""
        return self.influences_on(self.chosen, self.runner_up)

    def influences_on(self, option: int, other: int) -> tuple[float, ...]:
        """By how much the log-odds of `option` against `other` fall when each finding is left out."""
        whole = log_odds(self.whole, option, other)
        return tuple(whole - log_odds(answer, option, other) for answer in self.left_out)

    @property
    def deciding(self) -> tuple[int, ...]:
        """The findings without which the model chooses another option, for more than noise."""
        return tuple(i for i in self._changing if self._loss(i) >= SLIGHT)

    @property
    def _changing(self) -> tuple[int, ...]:
        return tuple(i for i, answer in enumerate(self.left_out) if answer.index != self.chosen)

    def _loss(self, i: int) -> float:
        """Of the choice against what is chosen without this finding, in nats."""
        instead = self.left_out[i].index
        return log_odds(self.whole, self.chosen, instead) - log_odds(self.left_out[i], self.chosen, instead)

    @property
    def sentences(self) -> tuple[str, ...]:
        kept = f"What is asked (“{self.cut.asked}”) is never left out: without it the options answer nothing."
        if not self.left_out:
            return (f"This question states no findings apart from what it asks, so nothing can be left out. {kept}",)
        margin = log_odds(self.whole, self.chosen, self.runner_up)
        chosen, runner_up = self.whole.question.named(self.chosen), self.whole.question.named(self.runner_up)
        lead = f"{chosen} is chosen before {runner_up} by {margin:.2f} in log-odds ({odds(margin)})."
        return lead, self._strongest(), self._decides(), LIMIT, kept

    def _strongest(self) -> str:
        influences = self.influences
        strongest = max(range(len(influences)), key=lambda i: abs(influences[i]))
        if abs(influences[strongest]) < SLIGHT:
            return "No finding, left out alone, moves the score noticeably."
        text, moved = self.cut.findings[strongest], influences[strongest]
        way = "towards" if moved > 0 else "away from"
        return f"“{text}” has the most influence on the score: {signed(moved)}, {way} {LETTERS[self.chosen]}."

    def _decides(self) -> str:
        if not self._changing:
            return "The choice stays the same whichever finding is left out."
        if not self.deciding:
            return "No finding decides: where the choice changes without one, the two options were about equal before."
        without = [
            f"“{self.cut.findings[i]}” ({LETTERS[self.left_out[i].index]} instead)"
            for i in self.deciding[:NAMED_AT_MOST]
        ]
        more = len(self.deciding) - len(without)
        rest = f" and {more} more" if more else ""
        return f"The choice changes without {' or without '.join(without)}{rest}."


def findings(
    engine: Engine,
    question: Question,
    adapter: Path | None = None,
    *,
    tell: Tell = unheard,
    answer: Answer | None = None,
) -> Findings:
    """`answer`: the card's, where it is there already. Scored again among others, a near tie may turn."""
    pieces = cut(question.stem)
    variants = [replace(question, stem=pieces.without({i})) for i in range(len(pieces.findings))]
    asked = [] if answer else [question]
    scored = answers(engine, [*asked, *variants], adapter, tell)
    whole, *left_out = [answer, *scored] if answer else scored
    return Findings(pieces, whole, tuple(left_out))


def without(question: Question, off: Collection[int]) -> Question:
    """The question without the findings of these numbers."""
    return replace(question, stem=cut(question.stem).without(off)) if off else question


def by_size(influences: Sequence[float]) -> tuple[int, ...]:
    """Those that are more than noise, the strongest first."""
    return tuple(sorted((i for i, x in enumerate(influences) if abs(x) >= SLIGHT), key=lambda i: -abs(influences[i])))


def log_odds(answer: Answer, option: int, other: int) -> float:
    return answer.log_probabilities[option] - answer.log_probabilities[other]


def signed(nats: float) -> str:
    """With a true minus sign, which does not break from its number."""
    return f"{nats:+.2f}".replace("-", "−")


def odds(nats: float) -> str:
    """How many times as probable, in words."""
    times = math.exp(min(abs(nats), 20))
    if times > 1000:
        return "more than 1,000 times as probable"
    return f"{times:.1f} times as probable" if times < 10 else f"{times:,.0f} times as probable"
