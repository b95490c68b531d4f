"""When an answer is a guess, said in words. Loads no model."""

from __future__ import annotations

from medqa.datasets import handbook
from medqa.question import Answer, Question
from medqa.settings import EMBEDDED

UNSURE_BELOW = 0.5


def doubts(answer: Answer, dataset: str | None) -> list[str]:
    """Why this answer should not be trusted, a sentence each. `dataset`: what the adapter was trained on; None: no
    adapter."""
    return [doubt for doubt in (_never_taught(answer, dataset), _unsure(answer)) if doubt]


def _never_taught(answer: Answer, dataset: str | None) -> str:
    # With an adapter trained on other questions it may well know what it did not read.
    if answer.base != EMBEDDED or dataset not in (None, "handbook") or is_read_about(answer.question):
        return ""
    return (
        f"{EMBEDDED} is not trained for this: nothing in the handbook it has read links the question with any of "
        "these options. Its answer is a guess, however sure it looks."
    )


def is_read_about(question: Question) -> bool:
    """Whether a fact the embedded model has read names what the stem names and one of the options."""
    stem = f" {handbook.plain(question.stem)} "
    options = {handbook.plain(option) for option in question.options}
    return any(f" {about} " in stem and answer in options for about, answer in handbook.read_links())


def _unsure(answer: Answer) -> str:
    top = max(answer.probabilities)
    if top >= UNSURE_BELOW:
        return ""
    return f"The model is unsure: no option has even {100 * UNSURE_BELOW:.0f} % of the probability."
