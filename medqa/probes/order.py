"""Does the choice survive when the options change places?"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

from medqa.probes import Tell, unheard
from medqa.probes.scoring import answers
from medqa.question import LETTERS, Answer, Question, percent_text

if TYPE_CHECKING:
    from medqa.engine import Engine

MOST_ORDERS = 24
# Places whose mean probabilities differ from an even share by less are not said to be preferred.
VISIBLE = 0.05


@dataclass(frozen=True)
class Order:
    """`orders`: for each arrangement the original index of the option in each place, the one asked first.
    `probabilities`: for each arrangement those of the original options, in their original order."""

    question: Question
    orders: tuple[tuple[int, ...], ...]
    probabilities: tuple[tuple[float, ...], ...]

    @property
    def choices(self) -> tuple[int, ...]:
        """The original index of the option chosen in each arrangement."""
        return tuple(max(range(len(shares)), key=shares.__getitem__) for shares in self.probabilities)

    @property
    def survived(self) -> int:
        return self.choices.count(self.choices[0])

    @property
    def averaged(self) -> tuple[float, ...]:
        """Mean probability of each option over the arrangements: the steadier answer."""
        return tuple(sum(column) / len(self.orders) for column in zip(*self.probabilities, strict=True))

    @property
    def steadier_choice(self) -> int:
        return max(range(len(self.averaged)), key=self.averaged.__getitem__)

    @property
    def by_position(self) -> tuple[float, ...]:
        """Mean probability of whatever stood in each place; without a preference for places all are equal."""
        places = range(len(self.question.options))
        return tuple(
            sum(shares[order[place]] for order, shares in zip(self.orders, self.probabilities, strict=True))
            / len(self.orders)
            for place in places
        )

    @property
    def preferred_place(self) -> int | None:
        """None when no place got visibly more than an even share."""
        place = max(range(len(self.by_position)), key=self.by_position.__getitem__)
        return place if self.by_position[place] >= 1 / len(self.by_position) + VISIBLE else None

    @property
    def sentences(self) -> tuple[str, ...]:
        return (self._survival, self._steadier, self._preference)

    @property
    def _survival(self) -> str:
        n, chosen = len(self.orders), self.question.named(self.choices[0])
        if self.survived == n:
            return f"The choice holds: {chosen} in all {n} orders of the options. It can still be wrong."
        instead = Counter(choice for choice in self.choices if choice != self.choices[0])
        others = ", ".join(f"{self.question.named(i)} in {times}" for i, times in instead.most_common())
        return f"The choice does not hold: {chosen} in {self.survived} of {n} orders of the options, {others}."

    @property
    def _steadier(self) -> str:
        steady = self.steadier_choice
        now, mean = (percent_text(shares[steady]) for shares in (self.probabilities[0], self.averaged))
        kept = "is still first" if steady == self.choices[0] else "comes first"
        return (
            f"Averaged over the orders {self.question.named(steady)} {kept}, with {mean} (in the order asked: {now})."
        )

    @property
    def _preference(self) -> str:
        place, n = self.preferred_place, len(self.by_position)
        if place is None:
            return "No preference for a place in the list is visible."
        got, even = percent_text(self.by_position[place]), percent_text(1 / n)
        return (
            f"The model leans towards place {LETTERS[place]} in the list: whatever stood there got {got} on average, "
            f"{even} would be even."
        )


def order(
    engine: Engine,
    question: Question,
    adapter: Path | None = None,
    *,
    tell: Tell = unheard,
    many: bool = False,
    answer: Answer | None = None,
) -> Order:
    """All rotations of the options; `many`: up to 24 permutations, all where there are no more.

    `answer`: the card's to the order asked, where it is there already. Scored again among others, a near tie may turn.
    """
    orders = arrangements(len(question.options), many)
    known = [answer] if answer else []
    moved = [rearranged(question, places) for places in orders[len(known) :]]
    shares = []
    for places, scored in zip(orders, known + answers(engine, moved, adapter, tell), strict=True):
        by_original = dict(zip(places, scored.probabilities, strict=True))
        shares.append(tuple(by_original[i] for i in range(len(places))))
    return Order(question, tuple(orders), tuple(shares))


def arrangements(options: int, many: bool) -> list[tuple[int, ...]]:
    """The order as asked comes first. Each option stands in each place equally often, or else a place would seem to be
    preferred because a strong option often stood there: so whole circles are drawn, each with all its rotations."""
    asked, *others = [(0, *rest) for rest in permutations(range(1, options))]
    more = min(MOST_ORDERS // options - 1, len(others)) if many else 0
    circles = [asked, *random.Random(0).sample(others, more)]
    return [circle[i:] + circle[:i] for circle in circles for i in range(options)]


def rearranged(question: Question, places: tuple[int, ...]) -> Question:
    key = None if question.answer is None else places.index(question.answer)
    return replace(question, options=tuple(question.options[i] for i in places), answer=key)
