"""When an answer is a guess, and when its explanation is of something else, said in words. Loads no model."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from medqa import trust
from medqa.adapters import Adapter
from medqa.datasets import handbook
from medqa.datasets.handbook import Fact
from medqa.evaluate import Accuracy
from medqa.exception_asked import exception_words
from medqa.question import LETTERS, Answer, Question, percent_text
from medqa.settings import EMBEDDED


def doubts(answer: Answer, adapter: Adapter | None) -> list[str]:
    """Why this answer should not be trusted, a sentence each."""
    return [
        doubt for doubt in (_never_taught(answer, adapter), exception_doubt(answer, adapter), _unsure(answer)) if doubt
    ]


def _never_taught(answer: Answer, adapter: Adapter | None) -> str:
    if not is_unread(answer):
        return ""
    taught = ""
    # With an adapter trained on other questions it may know what it did not read, if they have shown that.
    if adapter and adapter.dataset != "handbook":
        taught = _no_better_than_chance(adapter, answer.question)
        if not taught:
            return ""
    return (
        f"{EMBEDDED} is not trained for this: nothing in the handbook it has read links the question with any of "
        f"these options{taught}. Its answer is a guess, however sure it looks."
    )


def _no_better_than_chance(adapter: Adapter, question: Question) -> str:
    """The end of a sentence; "" when the 95 % interval of the adapter's held-out accuracy lies above chance."""
    after = adapter.held_out.get("after")
    if not after:
        return ", and there is no record that this adapter is better than chance"
    # Cards of an older version don't tell how many options their questions had: taken to be as many as this one.
    counted = trust.held_out_options(adapter.card) or {len(question.options): 1}
    chance = sum(count / options for options, count in counted.items()) / sum(counted.values())
    if Accuracy(after["correct"], after["total"]).interval_95[0] > chance:
        return ""
    return (
        ", and this adapter was not reliably better than chance on its held-out questions "
        f"({after['correct']} of {after['total']} right, chance {100 * chance:.0f} %)"
    )


def is_unread(answer: Answer) -> bool:
    """Whether the embedded model answers what it has read nothing about."""
    return answer.base == EMBEDDED and not is_read_about(answer.question)


def is_read_about(question: Question) -> bool:
    """Whether a fact the embedded model has read names what the stem names and one of the options."""
    return any(_links(question))


def _links(question: Question) -> Iterator[tuple[str, str]]:
    stem = f" {handbook.plain(question.stem)} "
    options = {handbook.plain(option) for option in question.options}
    return (link for link in handbook.read_links() if f" {link[0]} " in stem and link[1] in options)


def exception_doubt(answer: Answer, adapter: Adapter | None) -> str:
    """Where a question asks for the exception and all that the model was asked in training was what is so. Else ""."""
    if is_unread(answer):
        return ""  # said already; and its record is that of guesses
    # Other data have such questions, a fifth of MedMCQA's; of other bases alone nothing is known.
    asked_what_is_so = adapter.dataset == "handbook" if adapter else answer.base == EMBEDDED
    words = exception_words(answer.question.stem) if asked_what_is_so else ""
    if not words or any(words in _own_exceptions(fact) for fact in _linked(answer.question)):
        return ""
    # Asked "which is not associated with …", medqa-nano with the quick preset named what is in 286 of 300 facts; of
    # "all are linked to … except" in 277. Without an adapter it was near chance.
    mostly = ", and mostly names that, however sure it looks" if adapter and answer.base == EMBEDDED else ""
    who = "This adapter" if adapter else EMBEDDED
    return f"This seems to ask for the exception (“{words}”). {who} was only ever asked for what is so{mostly}."


@cache
def _own_exceptions(fact: Fact) -> frozenset[str]:
    """Of "which growth should not be biopsied?" the handbook has a few itself."""
    return frozenset(map(exception_words, (*fact.train, *fact.test))) - {""}


def _linked(question: Question) -> list[Fact]:
    links = set(_links(question))
    return [
        fact for fact in handbook.read_facts() if (handbook.plain(fact.about), handbook.plain(fact.answer)) in links
    ]


def _unsure(answer: Answer) -> str:
    chance = 1 / len(answer.question.options)
    # Half of the probability for four options, two thirds for two.
    enough = chance + (1 - chance) / 3
    if max(answer.probabilities) >= enough:
        return ""
    # "No option has even 50 %" must not stand above 49.7 %, which is shown as 50 %.
    about = "more than" if percent_text(max(answer.probabilities)) == percent_text(enough) else "even"
    return (
        f"The model is unsure: no option has {about} {percent_text(enough)} of the probability, "
        f"a third of the way from chance ({100 * chance:.0f} %) to certainty."
    )


def explanation_doubt(answer: Answer, text: str) -> str:
    """What a whole explanation's words show: that it begins with another option, or never says the answer. Else "".

    An explanation gives its answer in its first sentence, as the handbook's own do; later ones may tell it from others.
    """
    chosen = answer.question.options[answer.index]
    if not handbook.plain(chosen):
        return ""  # "+" or "↑": an explanation says these in words of its own
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
