"""How often a model is right, overall and by subject, and whether its probabilities say so. Scores nothing itself."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from medqa.question import Answer

Z_95 = 1.959964
BINS = 10


@dataclass(frozen=True)
class Accuracy:
    correct: int
    total: int

    @property
    def share(self) -> float:
        return self.correct / self.total

    @property
    def interval_95(self) -> tuple[float, float]:
        """Wilson's score interval, as shares (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927)."""
        n, p = self.total, self.share
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
    """Raises ValueError when there is nothing to count or a question has no key."""
    answers = list(answers)
    if not answers:
        raise ValueError("There are no questions to evaluate.")
    groups: dict[str, list[bool]] = defaultdict(list)
    for answer in answers:
        if answer.correct is None:
            raise ValueError(f"The question {answer.question.source!r} has no key, so its answer can't be judged.")
        groups[answer.question.subject or "no subject"].append(answer.correct)
    counted = {subject: Accuracy(sum(right), len(right)) for subject, right in groups.items()}
    return Report(
        overall=Accuracy(sum(a.correct for a in counted.values()), len(answers)),
        by_subject=dict(sorted(counted.items(), key=lambda item: (-item[1].total, item[0]))),
        chance=sum(1 / len(answer.question.options) for answer in answers) / len(answers),
        calibration_error=_calibration_error(answers),
        mean_top_probability=sum(max(answer.probabilities) for answer in answers) / len(answers),
    )


def _calibration_error(answers: list[Answer]) -> float:
    """Expected calibration error: the mean gap between top probability and share right, over bins of equal width
    weighted by how many answers they hold (Guo et al., ICML 2017, eq. 3)."""
    bins: dict[int, list[Answer]] = defaultdict(list)
    for answer in answers:
        bins[min(int(max(answer.probabilities) * BINS), BINS - 1)].append(answer)
    gaps = (abs(sum(max(a.probabilities) for a in held) - sum(a.correct for a in held)) for held in bins.values())
    return sum(gaps) / len(answers)
