import math
import re
from types import SimpleNamespace

import pytest

from medqa.probes import Cancelled
from medqa.probes.explanation import (
    LIMIT,
    MOST_DEFENCE_TOKENS,
    NOTHING_READ,
    NOTHING_WRITTEN,
    explanation,
    first_half,
    without_answer_line,
)
from medqa.question import Answer, Explanation, Question

QUESTION = Question("Which is in haemoglobin?", ("Iron", "Zinc", "Copper", "Lead"), answer=0)
ALONE = (0.6, 0.25, 0.1, 0.05)


class Scorer:
    """Stands in for an engine: `rule(given text)` gives the probability of each option; `writes(option)` the text."""

    def __init__(self, rule, writes=lambda option: f"It is {'ABCD'[option]}. So it is said."):
        self.rule, self.writes = rule, writes
        self.loaded = SimpleNamespace(name="a rule")
        self.given = []

    def score_many(self, questions, adapter, tokens_per_batch, given=()):
        self.given += given
        for i in reversed(range(len(questions))):  # an engine answers the longest first
            yield i, tuple(map(math.log, self.rule(given[i] if given else "")))

    def explain(self, answer, adapter=None, option=None):
        text = self.writes(answer.index if option is None else option)
        yield Explanation(text[:4])
        yield Explanation(text, ended=True)


def follows_the_letter(text):
    """Whatever letter the text names gets 85 %."""
    named = re.search(r"\b([A-D])\b", text)
    return [0.85 if "ABCD"[i] == named[1] else 0.05 for i in range(4)] if named else ALONE


def reads_nothing(text):
    return ALONE


def test_a_scorer_that_follows_the_letter_named_is_convinced_by_the_runner_ups_explanation_too():
    found = explanation(Scorer(follows_the_letter), QUESTION)
    assert (found.shown, found.other) == (0, 1)
    assert found.without.probabilities == pytest.approx(ALONE)
    assert [reading.choice for reading in (found.whole, found.half, found.defence)] == [0, 0, 1]
    whole, half, defence, limit = found.sentences
    assert whole == "The explanation supports the answer: A) Iron has 60 % without it and 85 % with it."
    assert half == "With its first half alone the model chooses A) Iron (85 %)."
    assert defence.startswith("The runner-up's explanation convinces it too: made to explain the runner-up, B) Zinc")
    assert "(85 %)" in defence
    assert limit == LIMIT
    assert found.warnings == (defence,)


def test_an_explanation_that_names_another_letter_than_the_card_is_told_with_that_option():
    found = explanation(Scorer(follows_the_letter), QUESTION, written="It is D, for it is heavy.")
    assert found.whole.choice == 3
    assert found.sentences[0] == (
        "The explanation supports another option: with it the model chooses D) Lead (85 %), not A) Iron."
    )
    assert found.sentences[0] in found.warnings


def test_a_scorer_that_reads_no_explanation_is_found_out():
    found = explanation(Scorer(reads_nothing), QUESTION)
    assert found.sentences == (NOTHING_READ, LIMIT)
    assert found.warnings == (NOTHING_READ,)


@pytest.mark.parametrize(("change", "same"), [(0.019, True), (0.021, False)])
def test_the_bound_on_a_difference_is_two_points_as_stated(change, same):
    def rule(text):
        return (0.6 + change, 0.25 - change, 0.1, 0.05) if "is A" in text else follows_the_letter(text)

    found = explanation(Scorer(rule), QUESTION)
    no_difference = "The explanation makes no difference: every probability stays within 2 points."
    assert found.sentences[0].startswith(no_difference) == same
    assert (found.sentences[0] in found.warnings) == same


def test_where_the_answer_was_certain_before_that_is_said_instead_of_no_difference():
    def rule(text):
        return (0.05, 0.9, 0.03, 0.02) if "is B" in text else (0.993, 0.004, 0.002, 0.001)

    found = explanation(Scorer(rule), QUESTION)
    assert found.sentences[0] == "The explanation could add nothing: A) Iron has 99 % without it already."
    assert found.sentences[0] not in found.warnings


def test_an_explanation_that_leaves_the_model_less_sure_is_told_so():
    found = explanation(Scorer(lambda text: (0.4, 0.3, 0.2, 0.1) if text else ALONE), QUESTION)
    assert found.sentences[0] == (
        "The explanation keeps the answer, but makes the model less sure of it: "
        "A) Iron has 60 % without it and 40 % with it."
    )
    assert "does not move the answer (A) Iron: 40 %)" in found.sentences[2]
    assert found.warnings == ()


def test_one_text_for_both_options_is_told_and_convinces_of_nothing():
    found = explanation(Scorer(follows_the_letter, lambda option: "It is B."), QUESTION)
    assert "wrote the very same text" in found.sentences[2]
    assert not any("convinces it" in sentence for sentence in found.sentences)


def test_where_both_texts_lead_to_the_runner_up_the_second_is_no_reason_to_doubt_the_first():
    found = explanation(Scorer(follows_the_letter, lambda option: "It is B." + " So." * option), QUESTION)
    assert found.sentences[0].startswith("The explanation supports another option")
    assert found.sentences[2].endswith("the model writes a text that moves the answer there (85 %).")
    assert found.warnings == found.sentences[:1]


def test_a_near_tie_that_turns_within_the_bound_is_no_support_of_another_option():
    def rule(text):
        return (
            (0.399, 0.401, 0.1, 0.1)
            if "is A" in text
            else (0.401, 0.399, 0.1, 0.1)
            if not text
            else (0.1, 0.7, 0.1, 0.1)
        )

    found = explanation(Scorer(rule), QUESTION)
    assert found.sentences[0].startswith("The explanation makes no difference")
    same = explanation(Scorer(lambda text: (0.399, 0.401, 0.1, 0.1) if "is B" in text else
                              (0.401, 0.399, 0.1, 0.1) if not text else (0.7, 0.1, 0.1, 0.1)), QUESTION)  # fmt: skip
    assert "writes a text that makes no difference" in same.sentences[2]


def test_where_only_other_options_move_the_answer_is_not_said_to_be_supported():
    found = explanation(Scorer(lambda text: (0.621, 0.3, 0.05, 0.029) if text else (0.62, 0.2, 0.1, 0.08)), QUESTION)
    assert found.sentences[0] == (
        "The explanation keeps the answer and hardly changes its share: A) Iron has 62 % without it and 62 % with it; "
        "what moves are the other options."
    )


def test_without_an_explanation_there_is_nothing_to_test():
    found = explanation(Scorer(reads_nothing, lambda option: ""), QUESTION)
    assert found.sentences == (NOTHING_WRITTEN,)


def test_the_cards_own_answer_and_explanation_are_tested_when_given():
    asked = Answer(QUESTION, (-3.0, -1.0, -2.0, -4.0), "a rule")
    scorer = Scorer(follows_the_letter)
    found = explanation(scorer, QUESTION, answer=asked, written="It is B. It is light.")
    assert (found.shown, found.other) == (1, 2)
    assert found.without.probabilities == asked.probabilities
    assert scorer.given == ["It is B. It is light.", "It is B.", "It is C. So it is said."]


def test_a_repeated_answer_line_is_not_read():
    scorer = Scorer(reads_nothing)
    explanation(scorer, QUESTION, written="Answer: A) Iron\n\nIt binds oxygen.\nAnswer: A")
    assert scorer.given[:2] == ["It binds oxygen.", "It binds"]
    assert without_answer_line("The answer: iron.") == "The answer: iron."


@pytest.mark.parametrize(
    ("text", "half"),
    [
        ("One two. Three four. Five six. Seven eight.", "One two. Three four."),
        ("Short. A much longer sentence that goes on and on.", "Short."),
        ("one two three four five", "one two three"),
        ("Value 3.5 of one.", "Value 3.5"),
        ("Iron", "Iron"),
        ("", ""),
    ],
)
def test_a_half_ends_with_the_sentence_nearest_the_middle_or_with_half_the_words(text, half):
    assert first_half(text) == half


def test_it_says_how_far_it_is_and_can_be_cancelled_while_a_text_is_written():
    heard = []
    explanation(Scorer(reads_nothing), QUESTION, tell=lambda *progress: heard.append(progress))
    assert heard == sorted(heard)
    assert set(heard) == {(0, 5), (1, 5), (3, 5), (4, 5), (5, 5)}

    def gone(done, of):
        raise Cancelled

    scorer = Scorer(reads_nothing)
    with pytest.raises(Cancelled):
        explanation(scorer, QUESTION, tell=gone)
    assert scorer.given == []


def test_of_a_long_text_for_the_other_option_the_beginning_is_read():
    class Rambling(Scorer):
        def explain(self, answer, adapter=None, option=None):
            yield from (Explanation("on " * n) for n in range(1, 1000))

    found = explanation(Rambling(reads_nothing), QUESTION, written="It is A.")
    assert found.defence.text == " ".join(["on"] * MOST_DEFENCE_TOKENS)


@pytest.mark.model
def test_on_a_real_model_every_text_is_one_it_wrote_and_changes_what_it_scores(loaded, make_adapter, tmp_path):
    from medqa.engine import Engine

    engine, adapter = Engine(loaded, max_explanation_tokens=12), make_adapter(tmp_path / "adapter")
    answer = engine.score(QUESTION, adapter)
    found = explanation(engine, QUESTION, adapter)
    *_, own = engine.explain(answer, adapter)
    *_, defence = engine.explain(answer, adapter, option=found.other)
    assert found.shown == answer.index
    assert (found.whole.text, found.defence.text) == (own.text, defence.text)
    assert found.without.probabilities == pytest.approx(answer.probabilities, abs=1e-4)
    [(_, scores)] = engine.score_many([QUESTION], adapter, given=[own.text])
    assert found.whole.probabilities == pytest.approx(Answer(QUESTION, scores, "").probabilities, abs=1e-4)
    assert found.whole.differs_from(found.without)
