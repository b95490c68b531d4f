import math

import pytest

from medqa.question import Answer, Question, QuestionError

OPTIONS = ("Aspirin", "Heparin", "Warfarin")


def answer(log_probabilities, key=None):
    options = tuple(f"option {i}" for i in range(len(log_probabilities)))
    return Answer(Question("Which?", options, key), tuple(log_probabilities), "medqa-nano")


@pytest.mark.parametrize(
    ("stem", "options", "key", "said"),
    [
        (" \n", OPTIONS, None, "The question is empty"),
        ("Which?", ("Aspirin",), None, "There are 1 options"),
        ("Which?", tuple("abcdefghi"), None, "There are 9 options"),
        ("Which?", ("Aspirin", " ", "Heparin", ""), None, "Option B, D is empty"),
        ("Which?", ("Folic acid", "Iron", " folic  ACID\n"), None, "Options A and C are the same: “folic  ACID”"),
        ("m" * 19_990, OPTIONS, None, "Question and options have 20,0"),
        ("Which?", OPTIONS, 3, "The key is option number 4, and there are 3 options"),
        ("Which?", OPTIONS, -1, "The key is option number 0, and there are 3 options"),
    ],
)
def test_what_makes_no_question_is_refused_with_what_is_wrong(stem, options, key, said):
    with pytest.raises(QuestionError) as refused:
        Question(stem, options, key)
    assert said in str(refused.value)


@pytest.mark.parametrize("letters", ["ab", "abcdefgh"])
def test_two_to_eight_options_make_a_question(letters):
    assert Question("Which?", tuple(letters)).options == tuple(letters)


def test_the_key_is_the_letter_of_the_correct_option():
    assert Question("Which?", OPTIONS, 2).key == "C"
    assert Question("Which?", OPTIONS, 0).key == "A"


def test_a_question_without_answer_has_no_key_and_nothing_is_right_or_wrong():
    given = answer([-1.0, -2.0])
    assert given.question.key is None
    assert given.correct is None


def test_probabilities_are_the_shares_of_the_likelihoods():
    assert answer([math.log(0.03), math.log(0.01)]).probabilities == pytest.approx((0.75, 0.25))


def test_probabilities_of_very_unlikely_strings_still_sum_to_one():
    probabilities = answer([-1000.0, -1001.0, -5000.0]).probabilities
    assert sum(probabilities) == pytest.approx(1.0)
    assert probabilities[0] / probabilities[1] == pytest.approx(math.e)


def test_the_choice_is_the_likeliest_option():
    given = answer([-7.0, -3.0, -4.0], key=1)
    assert (given.index, given.letter, given.correct) == (1, "B", True)


def test_a_choice_other_than_the_key_is_wrong():
    assert answer([-7.0, -3.0, -4.0], key=2).correct is False


def test_of_equally_likely_options_the_first_is_chosen():
    assert answer([-3.0, -3.0]).letter == "A"


def test_a_question_can_be_looked_up_by_its_content():
    assert {Question("Which?", OPTIONS): "seen"}[Question("Which?", OPTIONS)] == "seen"
