"""When an answer is a guess, and when its explanation is of something else, said in words. Loads no model."""

from __future__ import annotations

from medqa.datasets import handbook
from medqa.question import LETTERS, Answer, Question
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


def explanation_doubt(answer: Answer, text: str) -> str:
    """What a whole explanation's words show: that it begins with another option, or never says the answer. Else "".

    An explanation gives its answer in its first sentence, as the handbook's own do; later ones may tell it from others.
    """
    chosen = answer.question.options[answer.index]
    first = handbook.first_sentence(text)
    if not text or handbook.holds(first, chosen):
        return ""
    if named := others_named(answer, first):
        return (
            f"The explanation begins with {LETTERS[named[0]]}) {answer.question.options[named[0]]}, "
            "which is not the answer shown."
        )
    if handbook.holds(text, chosen):
        return ""
    return f"The explanation nowhere says “{chosen}”: it may be about something else."


def others_named(answer: Answer, text: str) -> list[int]:
    """The options in the text, in their own words, but the answer's and what stands within that."""
    options = answer.question.options
    chosen = options[answer.index]
    return [
        i
        for i, option in enumerate(options)
        if i != answer.index and handbook.holds(text, option) and not handbook.holds(chosen, option)
    ]
