"""Variants of a question to answers, in batches small enough to report progress and to be cancelled between them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from medqa.probes import Tell
from medqa.question import Answer, Question

if TYPE_CHECKING:
    from medqa.engine import Engine

TOKENS_PER_BATCH = 4096


def answers(
    engine: Engine, questions: Sequence[Question], adapter: Path | None, tell: Tell, given: Sequence[str] = ()
) -> list[Answer]:
    """One for each question, in its order. `given`: an explanation for each to read before answering."""
    found: list[Answer | None] = [None] * len(questions)
    for done, (i, scores) in enumerate(engine.score_many(questions, adapter, TOKENS_PER_BATCH, given), 1):
        found[i] = Answer(questions[i], scores, engine.loaded.name)
        tell(done, len(questions))
    return found
