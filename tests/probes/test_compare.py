import math
from pathlib import Path
from types import SimpleNamespace

import pytest

from medqa.probes import Cancelled
from medqa.probes.compare import Compare, Side, compare, side
from medqa.question import Answer, Explanation, Question

QUESTION = Question("Which is in haemoglobin?", ("Iron", "Zinc", "Copper", "Lead"), answer=0)
TUNED, UNTUNED = (0.9, 0.05, 0.03, 0.02), (0.2, 0.6, 0.17, 0.03)


class Scorer:
    """Stands in for an engine that gives every question these probabilities, and these words."""

    def __init__(self, probabilities, base="nano"):
        self.scores = tuple(map(math.log, probabilities))
        self.loaded = SimpleNamespace(name=base)

    def score_many(self, questions, adapter, tokens_per_batch, given=()):
        yield from ((i, self.scores) for i in range(len(questions)))

    def explain(self, answer, adapter=None, option=None):
        for words in ("It", "It is", f"It is {answer.letter}."):
            yield Explanation(words)


def between(one, other, **options):
    return compare(Side(Scorer(one), None, "first"), Side(Scorer(other), None, "base"), QUESTION, **options)


def test_who_chooses_what_and_what_differs_most_is_said_with_its_figures():
    found = between(TUNED, UNTUNED)
    assert found.changes == pytest.approx((0.7, -0.55, -0.14, -0.01))
    assert found.largest_changes == (0, 1, 2)
    assert found.sentences == (
        "first chooses A) Iron; base chooses B) Zinc.",
        "The key is A: first is right.",
        "What differs most, first against base: A) Iron, 90 % against 20 %; B) Zinc, 5 % against 60 %; "
        "C) Copper, 3 % against 17 %.",
        "One question does not say which of the two is better; their accuracies on held-out questions may, where their "
        "intervals part.",
    )


@pytest.mark.parametrize(
    ("datasets", "bases", "end"),
    [
        (
            ("handbook", "handbook"),
            ("nano", "nano"),
            "; their accuracies on held-out questions may, where their intervals",
        ),
        (("handbook", None), ("nano", "nano"), "; their accuracies on held-out questions may, where their intervals"),
        (
            ("handbook", "medmcqa"),
            ("nano", "nano"),
            ", and their held-out accuracies are of different questions, so they",
        ),
        (("handbook", None), ("nano", "qwen"), "; the same held-out questions asked of both may."),
    ],
)
def test_accuracies_are_said_to_decide_only_where_they_are_of_the_same_questions(datasets, bases, end):
    answers = tuple(Answer(QUESTION, (-0.1, -3.0, -3.0, -3.0), base) for base in bases)
    limits = [
        s for s in Compare(("one", "other"), answers, datasets=datasets).sentences if s.startswith("One question")
    ]
    assert len(limits) == 1 and f"which of the two is better{end}" in limits[0]


def test_two_that_answer_alike_are_said_to():
    found = between(TUNED, TUNED)
    assert found.largest_changes == ()
    assert found.sentences[:3] == (
        "Both choose A) Iron.",
        "The key is A: both are right.",
        "No option's probability differs by 5 points or more.",
    )


@pytest.mark.parametrize(
    ("one", "other", "sentence"),
    [
        (TUNED, UNTUNED, "The key is A: first is right."),
        (UNTUNED, TUNED, "The key is A: base is right."),
        (UNTUNED, UNTUNED, "The key is A: neither is right."),
        (TUNED, TUNED, "The key is A: both are right."),
    ],
)
def test_with_a_key_it_is_said_who_is_right(one, other, sentence):
    assert sentence in between(one, other).sentences


def test_two_base_models_are_named_as_a_reason_for_what_differs():
    one, other = Side(Scorer(TUNED, "nano"), None, "first"), Side(Scorer(UNTUNED, "large"), None, "second")
    assert "different base models" in compare(one, other, QUESTION).sentences[-1]
    assert "different base models" not in between(TUNED, UNTUNED).sentences[-1]


def test_without_a_key_nobody_is_judged():
    unkeyed = Question(QUESTION.stem, QUESTION.options)
    answers = tuple(Answer(unkeyed, tuple(map(math.log, shares)), "nano") for shares in (TUNED, UNTUNED))
    assert not any("right" in sentence for sentence in Compare(("first", "base"), answers).sentences)


def test_explanations_are_written_on_demand_each_for_its_own_choice():
    assert between(TUNED, UNTUNED).explanations == ()
    written = between(TUNED, UNTUNED, explanations=True).explanations
    assert [explanation.text for explanation in written] == ["It is A.", "It is B."]


def test_progress_counts_both_sides_and_each_word_of_an_explanation_may_end_it():
    heard = []
    between(TUNED, UNTUNED, explanations=True, tell=lambda done, of: heard.append((done, of)))
    assert heard == [(1, 4), (2, 4), (2, 4), (2, 4), (2, 4), (3, 4), (3, 4), (3, 4)]

    def gone(done, of):
        if (done, of) == (3, 4):
            raise Cancelled

    with pytest.raises(Cancelled):
        between(TUNED, UNTUNED, explanations=True, tell=gone)


@pytest.mark.model
def test_a_real_adapter_and_its_base_are_compared_by_what_each_answers_alone(loaded, make_adapter, tmp_path):
    from medqa import adapters
    from medqa.engine import Engine

    engine = Engine(loaded, max_explanation_tokens=6)
    adapter = adapters.read("one", make_adapter(tmp_path / "one", seed=1))
    found = compare(side(engine, adapter), side(engine, None), QUESTION, explanations=True)
    assert found.names == ("one", f"{Path(loaded.name).name} alone")
    for answer, explanation, folder in zip(found.answers, found.explanations, (adapter.folder, None), strict=True):
        alone = engine.score(QUESTION, folder)
        assert answer.log_probabilities == pytest.approx(alone.log_probabilities, abs=1e-4)
        assert explanation == list(engine.explain(alone, folder))[-1]
    assert max(map(abs, found.changes)) > 0.01
