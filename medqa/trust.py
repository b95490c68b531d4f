"""How often an adapter was right when it was as sure as now: what its run counted. Scores nothing itself."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from medqa.evaluate import BINS, Accuracy
from medqa.question import Answer, Question
from medqa.spec import without_folder

# Fewer say nothing: of four answers, all right, the 95 % interval begins at a half.
FEWEST = 5
NO_SUBJECT = ""
# What the handbook's control splits are to someone who asks; see train/saving.py.
CONTROLS = {"read": "facts it only read about", "unknown": "facts it never read"}
# By subject the top probabilities of the right and of the wrong answers, in thousandths: {"ENT": {"right": "934 871"}}.
Record = dict[str, dict[str, str]]


def certainty(answer: Answer) -> float:
    """The top probability, negative when that option is not the key."""
    return max(answer.probabilities) * (1 if answer.correct else -1)


def is_sure(answer: Answer, not_sure_below: float) -> bool:
    """Whether to name an option at all; 0 always does."""
    return max(answer.probabilities) >= not_sure_below


def record(questions: Sequence[Question], certainties: Iterable[float]) -> Record:
    """Rounded down, so that none crosses into the next ten per cent. Strings: a card has each list on one line."""
    listed: dict[str, dict[str, list[str]]] = {}
    for question, value in zip(questions, certainties, strict=True):
        judged = listed.setdefault(question.subject or NO_SUBJECT, {"right": [], "wrong": []})
        if math.isfinite(value):  # a model whose training diverges gives no numbers
            judged["right" if value > 0 else "wrong"].append(str(min(math.floor(1000 * abs(value)), 999)))
    return {subject: {kind: " ".join(tops) for kind, tops in judged.items()} for subject, judged in listed.items()}


def options_of(questions: Iterable[Question]) -> dict[str, int]:
    """{"4": 90, "5": 10}: by number of options how many questions have so many, for an adapter's card."""
    counted = Counter(len(question.options) for question in questions)
    return {str(options): counted[options] for options in sorted(counted)}


def held_out_options(card: dict) -> dict[int, int]:
    """By number of options how many of the adapter's held-out questions have so many; {} where its card has none."""
    try:
        return {int(options): int(count) for options, count in card["held_out_options"].items()}
    except (AttributeError, KeyError, TypeError, ValueError):  # of an older version, damaged, or made elsewhere
        return {}


def subjects(card: dict) -> list[str]:
    """Those of the held-out questions an adapter's record counts."""
    try:
        held_out = next(iter(card["certainty"].values()))
        return sorted(str(subject) for subject in held_out if subject != NO_SUBJECT)
    except (AttributeError, KeyError, StopIteration, TypeError):  # of an older version, damaged, or made elsewhere
        return []


def track_record(answer: Answer, card: dict, control: str | None = None) -> str:
    """A sentence from an adapter's card; "" where it has no record, or too few answers as sure as this one, or is known
    to have too few questions with so many options: to be 60 % sure of one in two is less than of one in five.

    `control`: the control split that this question is like, which alone is counted where there is a record of it.
    """
    options = held_out_options(card)
    if options and options.get(len(answer.question.options), 0) < FEWEST:
        return ""
    tenth = min(math.floor(BINS * max(answer.probabilities)), BINS - 1)
    try:
        splits = {str(split): _by_subject(kept, tenth) for split, kept in card["certainty"].items()}
    except (AttributeError, KeyError, TypeError, ValueError):  # of an older version, damaged, or made elsewhere
        splits = {}
    if not splits:
        return ""
    held_out, *controls = splits
    overall = {split: _together(counted) for split, counted in splits.items()}
    when = f"When it was {10 * tenth} to {10 * tenth + 10} % sure"
    if control in controls:
        right = overall[control]
        said = f"{when} on {CONTROLS.get(control, control)} it was right {_times(right)} times ({_interval(right)})."
        return said if right.total >= FEWEST else ""
    subject = answer.question.subject
    found = splits[held_out].get(subject)
    if found is None or found.total < FEWEST:
        subject, found = None, overall[held_out]
    if found.total < FEWEST:
        return ""
    mixed = f" with {min(options)} to {max(options)} options" if len(options) > 1 else ""
    said = (
        f"{when}{f' on {subject}' if subject else ''} it was right {_times(found)} times "
        f"(held-out questions of {without_folder(str(card.get('dataset')))}{mixed}; {_interval(found)})"
    )
    counted = [(CONTROLS.get(split, split), overall[split]) for split in controls]
    compared = ", ".join(f"on {about} {_times(right)}" for about, right in counted if right.total >= FEWEST)
    if not compared:
        return f"{said}."
    return f"{said}; {'in all subjects, ' if subject else ''}{compared}."


def _by_subject(kept: Record, tenth: int) -> dict[str, Accuracy]:
    """Of the answers whose top probability lies in that tenth."""
    counted = {}
    for subject, judged in kept.items():
        right, wrong = (
            sum(BINS * int(top) // 1000 == tenth for top in judged[kind].split()) for kind in ("right", "wrong")
        )
        counted[subject] = Accuracy(right, right + wrong)
    return counted


def _together(counted: dict[str, Accuracy]) -> Accuracy:
    return Accuracy(sum(a.correct for a in counted.values()), sum(a.total for a in counted.values()))


def _interval(accuracy: Accuracy) -> str:
    low, high = accuracy.interval_95
    return f"95 % interval {100 * low:.0f} to {100 * high:.0f} %"


def _times(accuracy: Accuracy) -> str:
    return f"{accuracy.correct} of {accuracy.total}"
