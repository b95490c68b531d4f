"""What probes ask of the engine: many answers, several texts. Told of progress, and so cancelled, in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from medqa.probes import Tell
from medqa.question import Answer, Explanation, Question

if TYPE_CHECKING:
    from medqa.engine import Engine

TOKENS_PER_BATCH = 4096
# Handed over at once. The engine reads all it is given before it scores the first, and nobody can cancel meanwhile.
QUESTIONS_AT_ONCE = 32


def answers(
    engine: Engine, questions: Sequence[Question], adapter: Path | None, tell: Tell, given: Sequence[str] = ()
) -> list[Answer]:
    """One for each question, in its order. `given`: an explanation for each to read before answering."""
    found: list[Answer | None] = [None] * len(questions)
    done = 0
    for start in range(0, len(questions), QUESTIONS_AT_ONCE):
        some = slice(start, start + QUESTIONS_AT_ONCE)
        for i, scores in engine.score_many(questions[some], adapter, TOKENS_PER_BATCH, given[some]):
            found[start + i] = Answer(questions[start + i], scores, engine.loaded.name)
            done += 1
            tell(done, len(questions))
    return found


def written_together(texts: Sequence[Iterable[Explanation]], told: Callable[[int], None]) -> list[Explanation]:
    """The whole of each text. They take turns piece by piece: the engine steps texts that grow at the same time as one.

    `told` hears before each piece how many are whole.
    """
    whole = [Explanation("") for _ in texts]
    growing = dict(enumerate(map(iter, texts)))
    while growing:
        for i, pieces in list(growing.items()):
            told(len(texts) - len(growing))
            piece = next(pieces, None)
            if piece is None:
                del growing[i]
            else:
                whole[i] = piece
    return whole
