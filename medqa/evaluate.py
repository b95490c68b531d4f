"""How often a model is right, overall and by subject, and whether its probabilities say so. Scores nothing itself."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from medqa.errors import UserError
from medqa.question import Answer, Question

Z_95 = 1.959964
BINS = 10


@dataclass(frozen=True)
class Accuracy:
    """`design_effect`: of how many questions each tells as much as one does, where their answers hang together."""

    correct: int
    total: int
    design_effect: float = 1.0

    @property
    def share(self) -> float:
        return self.correct / self.total

    @property
    def interval_95(self) -> tuple[float, float]:
        """Wilson's score interval, as shares (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927), for the effective number of
        questions (L. Kish, Survey Sampling, 1965)."""
        n, p = self.total / self.design_effect, self.share
        centre = (p + Z_95**2 / (2 * n)) / (1 + Z_95**2 / n)
        half = Z_95 / (1 + Z_95**2 / n) * math.sqrt(p * (1 - p) / n + Z_95**2 / (4 * n * n))
        return max(0.0, centre - half), min(1.0, centre + half)


@dataclass(frozen=True)
class Report:
    """What a set of answered questions adds up to. `by_subject` has the largest subjects first."""

    overall: Accuracy
    by_subject: dict[str, Accuracy]
    chance: float
    calibration_error: float
    mean_top_probability: float

    def to_json(self) -> dict:
        return {
            "accuracy": self.overall.share,
            "correct": self.overall.correct,
            "total": self.overall.total,
            "interval_95": list(self.overall.interval_95),
            "chance": self.chance,
            "calibration_error": self.calibration_error,
            "mean_top_probability": self.mean_top_probability,
            "by_subject": {
                subject: {"accuracy": a.share, "correct": a.correct, "total": a.total}
                for subject, a in self.by_subject.items()
            },
        }


def report(answers: Iterable[Answer]) -> Report:
    """Raises UserError when there is nothing to count or a question has no key."""
    answers = list(answers)
    if not answers:
        raise UserError("There are no questions to evaluate.")
    groups: dict[str, list[bool]] = defaultdict(list)
    for answer in answers:
        if answer.correct is None:
            raise UserError(f"The question {answer.question.source!r} has no key, so its answer can't be judged.")
        groups[answer.question.subject or "no subject"].append(answer.correct)
    counted = {subject: Accuracy(sum(right), len(right)) for subject, right in groups.items()}
    return Report(
        overall=Accuracy(sum(a.correct for a in counted.values()), len(answers), _design_effect(answers)),
        by_subject=dict(sorted(counted.items(), key=lambda item: (-item[1].total, item[0]))),
        chance=sum(1 / len(answer.question.options) for answer in answers) / len(answers),
        calibration_error=_calibration_error(answers),
        mean_top_probability=sum(max(answer.probabilities) for answer in answers) / len(answers),
    )


def fact_of(question: Question) -> str | None:
    """What a question of the handbook asks about, as others do in other words: `handbook/antidote-paracetamol`."""
    return question.source.rpartition("/")[0] if question.source.startswith("handbook/") else None


def drawn(questions: Sequence[Question], most: int) -> list[Question]:
    """At most so many of them, and one of each fact: several wordings of it are known or not known together.

    By a seed of its own: runs of different seeds are measured on the same questions.
    """
    shuffled = random.Random(0).sample(questions, len(questions))
    one_of_each = {fact_of(question) or f"question {i}": question for i, question in enumerate(shuffled)}
    return list(one_of_each.values())[:most]


def _design_effect(answers: list[Answer]) -> float:
    """How many times larger the share's variance is than that of as many questions about a fact each.

    The variance between the facts' sums by that of independent answers (Kish, chapter 5); where all are right or all
    wrong there is neither, and it is the number of questions about a fact.
    """
    facts: dict[str, list[bool]] = defaultdict(list)
    for i, answer in enumerate(answers):
        facts[fact_of(answer.question) or f"question {i}"].append(bool(answer.correct))
    n, share = len(answers), sum(bool(answer.correct) for answer in answers) / len(answers)
    if len(facts) in (1, n) or share in (0.0, 1.0):
        return n / len(facts)
    between = sum((sum(right) - len(right) * share) ** 2 for right in facts.values()) * len(facts) / (len(facts) - 1)
    return max(1.0, between / (n * share * (1 - share)))


def _calibration_error(answers: list[Answer]) -> float:
    """Expected calibration error: the mean gap between top probability and share right, over bins of equal width
    weighted by how many answers they hold (Guo et al., ICML 2017, eq. 3)."""
    bins: dict[int, list[Answer]] = defaultdict(list)
    for answer in answers:
        bins[min(int(max(answer.probabilities) * BINS), BINS - 1)].append(answer)
    gaps = (abs(sum(max(a.probabilities) for a in held) - sum(a.correct for a in held)) for held in bins.values())
    return sum(gaps) / len(answers)
