"""What is said of an answer beside its probabilities: why to doubt it, and its track record. Knows nothing of pages."""

from __future__ import annotations

from medqa import scope, trust
from medqa.adapters import Adapter
from medqa.question import Answer
from medqa.receipt import Said


def said_of(answer: Answer, adapter: Adapter | None, not_sure_below: float) -> Said:
    """Before an explanation is written, so without its doubt."""
    # How often it was right on what it was taught says nothing of what it never read.
    control = "unknown" if scope.is_unread(answer) else None
    # Nor does it of the exception, when all it was asked was what is so.
    counts = adapter and not scope.exception_doubt(answer, adapter)
    return Said(
        doubts=tuple(scope.doubts(answer, adapter)),
        not_sure_below=not_sure_below,
        record=trust.track_record(answer, adapter.card, control) if counts else "",
    )
