"""Questions whose key was marked wrong on the Answer tab, with the key given instead."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from medqa.datasets.rows import DatasetError, Identity, Loaded, collected, identity, skipped
from medqa.disputes import Dispute
from medqa.question import Question


def marked(wrong_keys: Iterable[Dispute]) -> frozenset[Identity]:
    return frozenset(identity(mark.receipt.question) for mark in wrong_keys)


def corrected(wrong_keys: Iterable[Dispute]) -> Loaded:
    """Where two marks give different keys none is taken. Raises DatasetError when no key was given at all.

    Without an explanation: the one on record is the model's, for another option.
    """
    marks: dict[Identity, list[Question]] = defaultdict(list)
    for number, mark in enumerate(wrong_keys, 1):
        if mark.right is not None:
            question = replace(mark.receipt.question, answer=mark.right, source=f"disputes:{number}")
            marks[identity(question)].append(question)
    if not marks:
        raise DatasetError("No key has been marked wrong with another one given. Mark one under an answer first.")
    return collected(
        given[0] if len({q.options[q.answer] for q in given}) == 1
        else skipped(given[0].source, "marks disagree on the key", given[0].stem)
        for given in marks.values()
    )  # fmt: skip
