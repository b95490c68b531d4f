import pytest

from medqa import scope
from medqa.datasets import handbook
from medqa.question import Answer, Question

SURE, UNSURE = (-0.1, -5.0, -5.0, -5.0), (-1.0, -1.1, -1.2, -1.3)
CAPITAL = Question("Which city is the capital of France?", ("Paris", "Rome", "Madrid", "Lisbon"))


def doubts(question, log_probabilities=SURE, base="medqa-nano", dataset="handbook"):
    return " ".join(scope.doubts(Answer(question, log_probabilities, base, "quick"), dataset))


@pytest.mark.parametrize("split", ["train", "test", "read"])
def test_every_question_about_a_fact_that_was_read_is_in_scope(split):
    assert all(map(scope.is_read_about, handbook.questions(split)))


def test_no_question_about_an_unknown_fact_is_in_scope():
    assert not any(map(scope.is_read_about, handbook.questions("unknown")))


@pytest.mark.parametrize(
    "stem",
    [
        "Which city is the capital of France?",
        "qwx zzkl brrt?",
        "Welches Gegenmittel wird bei einer Vergiftung mit Paracetamol gegeben?",
        "पैरासिटामोल विषाक्तता का प्रतिकारक क्या है?",
        "Which antidote is given for warfarin?",
    ],
)
def test_out_of_scope_is_said_in_words_however_sure_the_model_is(stem):
    question = Question(stem, ("Paris", "Rome", "Protamin", "Insulin glargine"))
    assert "not trained for this" in doubts(question)


def test_the_subject_alone_or_the_option_alone_does_not_put_a_question_in_scope():
    fact = handbook.facts_read()[0]
    others = ("Paris", "Rome", "Madrid")
    assert scope.is_read_about(Question(f"What about {fact.about}?", (fact.answer, *others)))
    assert not scope.is_read_about(Question(f"What about {fact.about}?", ("Lisbon", *others)))
    assert not scope.is_read_about(Question("What about Portugal?", (fact.answer, *others)))


def test_another_base_or_data_set_may_know_what_nano_has_not_read():
    assert "not trained" in doubts(CAPITAL, dataset=None)
    assert doubts(CAPITAL, base="Qwen/Qwen3-1.7B") == ""
    assert doubts(CAPITAL, dataset="upload-3.csv") == ""


def test_a_model_without_a_clear_favourite_is_called_unsure():
    known = handbook.questions("test")[0]
    assert "unsure" in doubts(known, UNSURE)
    assert doubts(known, SURE) == ""


DRUGS = Answer(
    Question("Which drug?", ("Heparin sodium", "Warfarin", "Heparin", "Protamine")), (-0.1, -5.0, -5.0, -5.0), "any"
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Heparin sodium acts at once. Warfarin is slow.", ""),
        ("It acts at once. Warfarin is slow, heparin sodium is not.", ""),
        ("Warfarin is slow. It is given by mouth.", "begins with B) Warfarin, which is not the answer shown"),
        ("Warfarin is slow, unlike heparin sodium.", ""),
        ("Heparin acts at once.", "nowhere says “Heparin sodium”"),  # stands within the answer: not another option
        ("Copper is a metal.", "nowhere says “Heparin sodium”"),
        ("", ""),
    ],
)
def test_an_explanation_of_something_else_is_told_by_its_words(text, said):
    found = scope.explanation_doubt(DRUGS, text)
    assert said in found
    assert bool(found) == bool(said)
