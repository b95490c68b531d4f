import json
import math

import pytest

from medqa import trust
from medqa.question import Answer, Question

OPTIONS = ("Iron", "Zinc", "Copper", "Lead")


def answered(top, right=True, subject=None):
    """The top probability is `top`, the others share the rest."""
    rest = math.log((1 - top) / 3)
    question = Question("Which?", OPTIONS, 0 if right else 1, subject=subject)
    return Answer(question, (math.log(top), rest, rest, rest), "nano")


def recorded(*answers):
    return trust.record([a.question for a in answers], map(trust.certainty, answers))


def card(**splits):
    return json.loads(json.dumps({"dataset": "/data/handbook", "certainty": splits}))


PHARMACOLOGY = [answered(0.65, i < 11, "Pharmacology") for i in range(19)]
ENT = [answered(0.61, i < 1, "ENT") for i in range(4)]
SURER = [answered(0.95, subject="Pharmacology") for _ in range(30)]
TEST = recorded(*PHARMACOLOGY, *ENT, *SURER)


def test_the_sentence_counts_the_answers_as_sure_on_the_same_subject():
    assert trust.track_record(answered(0.68, subject="Pharmacology"), card(test=TEST)) == (
        "When it was 60 to 70 % sure on Pharmacology it was right 11 of 19 times "
        "(held-out questions of handbook; 95 % interval 36 to 77 %)."
    )


def test_the_subjects_are_those_of_the_held_out_questions():
    assert trust.subjects(card(test=TEST, unknown=recorded(answered(0.5, subject="Surgery")))) == [
        "ENT",
        "Pharmacology",
    ]


@pytest.mark.parametrize("damaged", [{}, {"certainty": {}}, {"certainty": None}, {"certainty": {"test": 3}}])
def test_of_a_card_without_a_record_there_are_none(damaged):
    assert trust.subjects(damaged) == []


@pytest.mark.parametrize("subject", [None, "ENT", "Surgery"], ids=["unknown", "too few answers", "never asked"])
def test_without_enough_answers_on_the_subject_it_counts_all_subjects(subject):
    said = trust.track_record(answered(0.68, subject=subject), card(test=TEST))
    assert said.startswith("When it was 60 to 70 % sure it was right 12 of 23 times (")


def test_nothing_is_said_of_a_certainty_met_fewer_than_five_times():
    four, five = recorded(*PHARMACOLOGY[:4]), recorded(*PHARMACOLOGY[:5])
    assert trust.track_record(answered(0.68), card(test=four)) == ""
    assert "5 of 5 times" in trust.track_record(answered(0.68), card(test=five))
    assert trust.track_record(answered(0.72), card(test=TEST)) == ""


@pytest.mark.parametrize(
    "card",
    [
        {},
        {"certainty": {}},
        {"certainty": None},
        {"certainty": {"test": {}}},
        {"certainty": {"test": [1, 2]}},
        {"certainty": {"test": {"ENT": "x"}}},
        {"certainty": {"test": {"ENT": {"right": "many", "wrong": ""}}}},
        {"certainty": {"test": {"ENT": {"right": "650 650 650 650 650"}}}},
    ],
)
def test_a_card_without_a_sound_record_says_nothing(card):
    assert trust.track_record(answered(0.68), card) == ""


@pytest.mark.parametrize(
    ("top", "bin_said"),
    [(0.2999, "20 to 30 %"), (0.6001, "60 to 70 %"), (0.69999, "60 to 70 %"), (1 - 1e-9, "90 to 100 %")],
)
def test_an_answer_falls_into_the_same_ten_per_cent_in_the_record_and_when_asked(top, bin_said):
    said = trust.track_record(answered(top), card(test=recorded(*[answered(top)] * 6)))
    assert bin_said in said and "6 of 6" in said


def test_control_questions_are_counted_beside_the_held_out_ones_where_there_are_enough():
    unknown = recorded(*[answered(0.65, i < 3) for i in range(10)])
    few = recorded(*[answered(0.65)] * 4)
    said = trust.track_record(answered(0.68), card(test=TEST, read=few, unknown=unknown))
    assert said.endswith("; on facts it never read 3 of 10.")
    assert "only read about" not in said


def test_of_a_question_like_the_control_ones_they_alone_are_the_record():
    unknown = recorded(*[answered(0.65, i < 3) for i in range(10)])
    kept = card(test=TEST, unknown=unknown)
    said = trust.track_record(answered(0.68, subject="Pharmacology"), kept, "unknown")
    assert said == (
        "When it was 60 to 70 % sure on facts it never read it was right 3 of 10 times (95 % interval 11 to 60 %)."
    )
    few = recorded(*[answered(0.65)] * 4)
    assert trust.track_record(answered(0.68), card(test=TEST, unknown=few), "unknown") == ""
    assert "held-out questions" in trust.track_record(answered(0.68), card(test=TEST), "unknown")


def test_where_the_subject_is_told_the_control_questions_are_said_to_be_of_all_subjects():
    unknown = recorded(*[answered(0.65, i < 3) for i in range(10)])
    kept = card(test=TEST, unknown=unknown)
    on_subject = trust.track_record(answered(0.68, subject="Pharmacology"), kept)
    assert on_subject.endswith(" %); in all subjects, on facts it never read 3 of 10.")
    assert "all subjects" not in trust.track_record(answered(0.68), kept)


def test_the_record_says_nothing_of_a_question_with_another_number_of_options():
    kept = card(test=TEST)
    assert trust.track_record(answered(0.68), kept | {"held_out_options": {"4": 53}}) != ""
    assert trust.track_record(answered(0.68), kept | {"held_out_options": {"5": 53}}) == ""
    assert trust.track_record(answered(0.68), kept | {"held_out_options": {"4": 4, "5": 49}}) == ""
    mixed = trust.track_record(answered(0.68), kept | {"held_out_options": {"4": 40, "5": 13}})
    assert "questions of handbook with 4 to 5 options; 95 %" in mixed


@pytest.mark.parametrize("options", [None, [4], {"four": 53}, {}])
def test_a_card_that_does_not_tell_the_number_of_options_keeps_its_record(options):
    kept = card(test=TEST)
    assert trust.track_record(answered(0.68), kept | {"held_out_options": options}) == trust.track_record(
        answered(0.68), kept
    )


def test_the_options_of_questions_are_counted_for_the_card_as_they_are_read_from_it():
    asked = [Question("Which?", OPTIONS[:n]) for n in (4, 2, 4)]
    assert trust.options_of(asked) == {"2": 1, "4": 2}
    assert trust.held_out_options({"held_out_options": trust.options_of(asked)}) == {2: 1, 4: 2}


def test_an_adapter_whose_held_out_questions_were_not_measured_says_nothing_of_its_controls():
    assert trust.track_record(answered(0.65), card(test={}, unknown=TEST)) == ""


def test_a_record_is_short_and_leaves_out_what_is_no_number():
    answers = [answered(0.9341, True, "ENT"), answered(0.4312, False, "ENT"), answered(0.5001, False)]
    questions = [a.question for a in answers]
    assert trust.record(questions, map(trust.certainty, answers)) == {
        "ENT": {"right": "934", "wrong": "431"},
        "": {"right": "", "wrong": "500"},
    }
    assert trust.record(questions[:1], [math.nan]) == {"ENT": {"right": "", "wrong": ""}}


@pytest.mark.parametrize(("below", "sure"), [(0, True), (0.59, True), (0.61, False)])
def test_an_answer_is_sure_from_the_chosen_threshold_on(below, sure):
    assert trust.is_sure(answered(0.6), below) == sure


@pytest.mark.parametrize(("dataset", "told"), [("/data/mine.csv", "mine.csv"), ("org/questions", "org/questions")])
def test_the_data_set_is_named_as_everywhere(dataset, told):
    said = trust.track_record(answered(0.68), card(test=TEST) | {"dataset": dataset})
    assert f"held-out questions of {told};" in said
