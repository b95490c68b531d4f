"""Does the choice survive when the options change places?"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

from medqa.probes import Tell, unheard
from medqa.probes.scoring import answers
from medqa.question import LETTERS, Question

if TYPE_CHECKING:
    from medqa.engine import Engine

MOST_ORDERS = 24


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
    def sentences(self) -> tuple[str, ...]:
        n = len(self.orders)
        chosen, steady = self.choices[0], self.steadier_choice
        kept = f"The choice, {LETTERS[chosen]}) {self.question.options[chosen]}, "
        kept += (
            f"is the same in all {n} orders." if self.survived == n else f"survives in {self.survived} of {n} orders."
        )
        averaged = f"Averaged over the orders, {LETTERS[steady]}) {self.question.options[steady]} "
        averaged += f"has {100 * self.averaged[steady]:.0f} % of the probability."
        place = max(range(len(self.by_position)), key=self.by_position.__getitem__)
        prefers = (
            f"Whatever stood in place {LETTERS[place]} got {100 * self.by_position[place]:.0f} % on average; "
            f"without a preference for places it would be {100 / len(self.by_position):.0f} %."
        )
        return kept, averaged, prefers


def order(
    engine: Engine, question: Question, adapter: Path | None = None, *, tell: Tell = unheard, many: bool = False
) -> Order:
    """All rotations of the options; `many`: all permutations, or 24 of them drawn by a fixed seed."""
    orders = arrangements(len(question.options), many)
    moved = [rearranged(question, places) for places in orders]
    scored = answers(engine, moved, adapter, tell)
    shares = []
    for places, answer in zip(orders, scored, strict=True):
        by_original = dict(zip(places, answer.probabilities, strict=True))
        shares.append(tuple(by_original[i] for i in range(len(places))))
    return Order(question, tuple(orders), tuple(shares))


def arrangements(options: int, many: bool) -> list[tuple[int, ...]]:
    """The order as asked comes first."""
    asked = tuple(range(options))
    if not many:
        return [asked[i:] + asked[:i] for i in range(options)]
    if math.factorial(options) <= MOST_ORDERS:
        return list(permutations(asked))
    drawn, generator = {asked: None}, random.Random(0)
    while len(drawn) < MOST_ORDERS:
        drawn[tuple(generator.sample(asked, options))] = None
    return list(drawn)


def rearranged(question: Question, places: tuple[int, ...]) -> Question:
    key = None if question.answer is None else places.index(question.answer)
    return replace(question, options=tuple(question.options[i] for i in places), answer=key)
