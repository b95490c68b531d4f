"""Does the choice survive when the options change places?"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

from medqa.probes import Tell, unheard
from medqa.probes.scoring import answers
from medqa.question import LETTERS, Answer, Question, QuestionError, percent_text

if TYPE_CHECKING:
    from medqa.engine import Engine

MOST_ORDERS = 24
# Places whose mean probabilities differ from an even share by less are not said to be preferred.
VISIBLE = 0.05
_OF_OTHERS = re.compile(
    r"(?:all|none|any|some|both|either|neither|most|two|more than one)\b[\w ]*?"
    r"\b(?:(?P<above>above)|these|those|(?:the )?(?:other )?(?:options|choices|answers))\W*",
    re.I,
)
# "A and C", "Both a & b", "Options 1, 2 only". A bare "1 and 2" may be anything.
_NAMES = re.compile(
    r"(?P<said>(?:(?:both|either|neither|only|all|options?|choices?) )*)\(?(?P<first>[A-H1-8])\)?"
    r"(?:(?: ?, ?(?:and |or )?| (?:and|&|or|nor) |&)\(?[A-H1-8]\)?)+(?: only| both)?\W*",
    re.I,
)
_NAME = re.compile(r"\W*(?:only )?[A-H1-8](?: only| alone)?\W*", re.I)


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
    def kept(self) -> tuple[int, ...]:
        """The options that stay in their places."""
        return kept(self.question.options)

    @property
    def moved(self) -> tuple[int, ...]:
        """The places among which the others move."""
        return tuple(i for i in range(len(self.question.options)) if i not in self.kept)

    @property
    def even_share(self) -> float:
        """What each of those places would get without a preference."""
        return sum(self.by_position[place] for place in self.moved) / len(self.moved)

    @property
    def by_position(self) -> tuple[float, ...]:
        """Mean probability of whatever stood in each place; without a preference those of `moved` are equal."""
        places = range(len(self.question.options))
        return tuple(
            sum(shares[order[place]] for order, shares in zip(self.orders, self.probabilities, strict=True))
            / len(self.orders)
            for place in places
        )

    @property
    def preferred_place(self) -> int | None:
        """None when no place got visibly more than an even share."""
        place = max(self.moved, key=self.by_position.__getitem__)
        return place if self.by_position[place] >= self.even_share + VISIBLE else None

    @property
    def sentences(self) -> tuple[str, ...]:
        return (self._survival, *self._stays, self._steadier, self._preference)

    @property
    def _stays(self) -> tuple[str, ...]:
        named = " and ".join(map(self.question.named, self.kept))
        return (f"{named} stayed in place: moved, it would speak of other options.",) if named else ()

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
        place = self.preferred_place
        if place is None:
            return "No preference for a place in the list is visible."
        got, even = percent_text(self.by_position[place]), percent_text(self.even_share)
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
    Raises QuestionError when the options can't move.
    """
    if pointing := next(filter(None, (_points(question, i) for i in range(len(question.options)))), ""):
        raise QuestionError(
            f"The options can't change places: “{pointing}” points at places of others. Ask without it to run this."
        )
    stay = kept(question.options)
    if len(question.options) - len(stay) < 2:
        raise QuestionError("Fewer than two options can change places, so there is no other order to try.")
    orders = arrangements(len(question.options), many, stay)
    known = [answer] if answer else []
    moved = [rearranged(question, places) for places in orders[len(known) :]]
    shares = []
    for places, scored in zip(orders, known + answers(engine, moved, adapter, tell), strict=True):
        by_original = dict(zip(places, scored.probabilities, strict=True))
        shares.append(tuple(by_original[i] for i in range(len(places))))
    return Order(question, tuple(orders), tuple(shares))


def arrangements(options: int, many: bool, kept: Sequence[int] = ()) -> list[tuple[int, ...]]:
    """The order as asked comes first. Each option stands in each place equally often, or else a place would seem to be
    preferred because a strong option often stood there: so whole circles are drawn, each with all its rotations.

    `kept`: the options that stay in their places."""
    first, *rest = [i for i in range(options) if i not in kept]
    asked, *others = [(first, *moved) for moved in permutations(rest)]
    more = min(MOST_ORDERS // len(asked) - 1, len(others)) if many else 0
    circles = [asked, *random.Random(0).sample(others, more)]
    rotated = [circle[i:] + circle[:i] for circle in circles for i in range(len(circle))]
    return [_with_kept(moving, options, kept) for moving in rotated]


def _with_kept(moving: Sequence[int], options: int, kept: Sequence[int]) -> tuple[int, ...]:
    others = iter(moving)
    return tuple(i if i in kept else next(others) for i in range(options))


def kept(options: Sequence[str]) -> tuple[int, ...]:
    """ "None of the above" and the like."""
    return tuple(i for i, option in enumerate(options) if _OF_OTHERS.fullmatch(option.strip()))


def _points(question: Question, i: int) -> str:
    """The option, when it speaks of others by their letters or by some of them standing above it. Else ""."""
    options = question.options
    found = _OF_OTHERS.fullmatch(options[i].strip())
    if found:
        return options[i] if found["above"] and set(kept(options[i:])) != set(range(len(options) - i)) else ""
    # Where all do, they speak of statements in the stem, or are names such as vitamins'.
    all_do = all(
        _NAMES.fullmatch(option) or _NAME.fullmatch(option) or _OF_OTHERS.fullmatch(option) for option in options
    )
    return options[i] if not all_do and _names_places(options[i], len(options)) else ""


def _names_places(option: str, options: int) -> bool:
    found = _NAMES.fullmatch(option.strip())
    if not found or not (found["said"] or found["first"].isupper()):
        return False
    labels = re.findall(r"\b[A-H1-8]\b", option, re.I)
    return all((int(x) if x.isdigit() else LETTERS.index(x.upper()) + 1) <= options for x in labels)


def rearranged(question: Question, places: tuple[int, ...]) -> Question:
    key = None if question.answer is None else places.index(question.answer)
    return replace(question, options=tuple(question.options[i] for i in places), answer=key)
