import math
from pathlib import Path

import pytest

from medqa import scope
from medqa.adapters import Adapter
from medqa.datasets import handbook
from medqa.question import Answer, Question

SURE, UNSURE = (-0.1, -5.0, -5.0, -5.0), (-1.0, -1.1, -1.2, -1.3)
CAPITAL = Question("Which city is the capital of France?", ("Paris", "Rome", "Madrid", "Lisbon"))


def doubts(question, log_probabilities=SURE, base="medqa-nano", dataset="handbook"):
    """Of an adapter trained on the data set, with no score of its own; of the base alone when that is None."""
    trained = dataset and adapter(dataset=dataset)
    return " ".join(scope.doubts(Answer(question, log_probabilities, base, "quick"), trained))


def adapter(correct=None, total=100, **card):
    scores = {} if correct is None else {"validation": {"after": {"correct": correct, "total": total}}}
    return Adapter("quick", Path("adapter"), "medqa-nano", {"scores": scores, **card})


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


def test_another_base_may_know_what_nano_has_not_read():
    assert "not trained" in doubts(CAPITAL, dataset=None)
    assert doubts(CAPITAL, base="Qwen/Qwen3-1.7B") == ""


@pytest.mark.parametrize(
    ("trained", "said"),
    [
        (adapter(35, dataset="medmcqa", held_out_options={"4": 100}), ""),
        (
            adapter(30, dataset="medmcqa", held_out_options={"4": 100}),
            ", and this adapter was not reliably better than chance on its held-out questions (30 of 100 right, "
            "chance 25 %). Its answer is a guess",
        ),
        (adapter(35, dataset="upload-3.csv", held_out_options={"2": 50, "4": 50}), "35 of 100 right, chance 38 %"),
        (adapter(60, dataset="upload-3.csv", held_out_options={"2": 50, "4": 50}), ""),
        (adapter(35, dataset="upload-3.csv"), ""),
        (adapter(30, dataset="upload-3.csv"), "chance 25 %"),
        (adapter(dataset="upload-3.csv"), "no record that this adapter is better than chance. Its answer is a guess"),
        (adapter(97, dataset="handbook", held_out_options={"4": 100}), "any of these options. Its answer is a guess"),
    ],
    ids=[
        "better than chance", "not for certain", "of other options", "better than chance at those", "an older card",
        "an older card at chance", "not measured", "trained on the handbook",
    ],
)  # fmt: skip
def test_nano_guesses_at_what_it_has_not_read_unless_its_adapter_was_shown_to_know_better(trained, said):
    found = " ".join(scope.doubts(Answer(CAPITAL, SURE, "medqa-nano", "quick"), trained))
    assert said in found
    assert bool(found) == bool(said)


def test_what_nano_has_read_about_is_no_guess_with_any_adapter():
    known = handbook.questions("test")[0]
    assert scope.doubts(Answer(known, SURE, "medqa-nano", "quick"), adapter(1, dataset="medmcqa")) == []


def test_a_model_without_a_clear_favourite_is_called_unsure():
    known = handbook.questions("test")[0]
    assert "no option has even 50 % of the probability, a third of the way from chance (25 %)" in doubts(known, UNSURE)
    assert doubts(known, SURE) == ""


@pytest.mark.parametrize(
    ("options", "top", "unsure"),
    [(2, 0.66, True), (2, 0.67, False), (4, 0.49, True), (4, 0.51, False), (8, 0.41, True), (8, 0.42, False)],
)
def test_how_much_of_the_probability_is_a_favourite_hangs_on_the_number_of_options(options, top, unsure):
    question = Question("Which?", tuple(f"option {i}" for i in range(options)))
    rest = math.log((1 - top) / (options - 1))
    found = scope.doubts(Answer(question, (math.log(top), *[rest] * (options - 1)), "any"), None)
    assert [said.startswith("The model is unsure") for said in found] == ([True] if unsure else [])


DRUGS = Answer(
    Question("Which drug?", ("Heparin sodium", "Warfarin", "Heparin", "Protamine")), (-0.1, -5.0, -5.0, -5.0), "any"
)


@pytest.mark.parametrize("sign", ["+", "↑", "≥", "-", "…"])
def test_of_an_option_made_only_of_signs_no_words_are_missed(sign):
    signs = Answer(
        Question("What happens to it?", (sign, "Fall", "No change", "Both")), (-0.1, -5.0, -5.0, -5.0), "any"
    )
    for text in ("It rises.", "Fall is not seen. It rises.", "+", ""):
        assert scope.explanation_doubt(signs, text) == ""


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


TAUGHT = handbook.facts_read()[0]


def asked(stem, base="medqa-nano", dataset="handbook"):
    return doubts(
        Question(stem.format(about=TAUGHT.about), (TAUGHT.answer, "Paris", "Rome", "Madrid")), SURE, base, dataset
    )


@pytest.mark.parametrize(
    ("stem", "words"),
    [
        ("Which drug is contraindicated in {about}?", "contraindicated in"),
        ("Which drug should be avoided in {about}?", "avoided in"),
        ("Which of these is NOT seen in {about}?", "NOT seen"),
        ("When there is {about}, which isn't seen?", "isn't seen"),
        ("Structure that does not belong to {about}:", "not belong"),
        ("All are true of {about} EXCEPT:", "EXCEPT"),
        ("All but which belong to {about}?", "All but"),
        ("Which statement about {about} is false?", "false"),
        ("Which is least likely in {about}?", "least likely"),
    ],
)
def test_a_question_for_the_exception_is_doubted_by_who_was_only_asked_what_is_so(stem, words):
    said = asked(stem)
    assert said.startswith(
        f"This seems to ask for the exception (“{words}”). This adapter was only ever asked for what"
    )
    assert said.endswith("and mostly names that, however sure it looks.")


@pytest.mark.parametrize(
    "stem",
    [
        "He does not smoke and avoids sport. He never drank except once. What about {about}?",
        "Which drug suits a man with {about} who cannot swallow?",
        "What is the chance that a man with {about} does not have it, or at least one of two?",
        "What is given in {about} to avoid bleeding?",
        "Why is it avoided, and contraindicated, in {about}?",
        "A false fixed belief: what about {about}?",
        "A man with {about} faints. What is wrong?",
    ],
)
def test_a_denial_in_the_history_does_not_ask_for_the_exception(stem):
    assert asked(stem) == ""


def test_what_is_said_of_the_exception_holds_for_who_answers():
    stem = "Which of these is not seen in {about}?"
    assert asked(stem, dataset=None).endswith("medqa-nano was only ever asked for what is so.")
    assert asked(stem, "Qwen/Qwen3-1.7B").endswith("This adapter was only ever asked for what is so.")
    assert asked(stem, "Qwen/Qwen3-1.7B", dataset=None) == asked(stem, dataset="medmcqa") == ""


@pytest.mark.parametrize("split", ["train", "test", "read"])
def test_no_question_of_the_handbook_is_doubted_as_one_for_the_exception(split):
    for question in handbook.questions(split):
        assert scope.exception_doubt(Answer(question, SURE, "medqa-nano", "quick"), adapter(dataset="handbook")) == ""


def test_a_favourite_shown_as_half_is_not_said_to_have_less_than_half():
    question = Question("Which?", ("a", "b", "c", "d"))
    for top, said in ((0.497, "no option has more than 50 %"), (0.45, "no option has even 50 %")):
        rest = math.log((1 - top) / 3)
        assert said in " ".join(scope.doubts(Answer(question, (math.log(top), rest, rest, rest), "any"), None))
