import json
import math

import pytest

from medqa.datasets import handbook
from medqa.errors import UserError
from medqa.evaluate import Accuracy, drawn, fact_of, report
from medqa.question import Answer, Question


def answered(right, subject=None, options=4, key=0, source="set:7"):
    question = Question("Which?", tuple(f"option {i}" for i in range(options)), key, subject=subject, source=source)
    choice = key or 0 if right else options - 1
    return Answer(question, tuple(-1.0 if i == choice else -9.0 for i in range(options)), "medqa-nano")


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [
        (10, 10, 0.722, 1.0),
        (0, 10, 0.0, 0.278),
        (50, 100, 0.404, 0.596),
        (1, 1, 0.207, 1.0),
        # Wilson's example as worked in Newcombe, Stat. Med. 17, 1998, table I.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_wilsons(correct, total, low, high):
    # Newcombe gives four decimals, the others are known to three.
    assert Accuracy(correct, total).interval_95 == pytest.approx((low, high), abs=5e-4)


def test_the_interval_holds_the_share_and_stays_within_nothing_and_all():
    for total in (1, 2, 7, 400):
        for correct in range(total + 1):
            accuracy = Accuracy(correct, total)
            low, high = accuracy.interval_95
            assert 0.0 <= low <= accuracy.share <= high <= 1.0 or accuracy.share == pytest.approx(high)


def test_the_interval_narrows_with_more_questions():
    widths = [high - low for low, high in (Accuracy(n // 2, n).interval_95 for n in (10, 100, 1000))]
    assert widths == sorted(widths, reverse=True)


def test_answers_are_counted_overall_and_by_subject():
    found = report([answered(True, "ENT"), answered(False, "ENT"), answered(True, "Surgery")])
    assert found.overall == Accuracy(2, 3)
    assert found.by_subject == {"ENT": Accuracy(1, 2), "Surgery": Accuracy(1, 1)}


def test_the_largest_subjects_come_first_and_equal_ones_by_name():
    subjects = ["Surgery", "ENT", "Dental", "Surgery"]
    assert list(report([answered(True, subject) for subject in subjects]).by_subject) == ["Surgery", "Dental", "ENT"]


def test_questions_without_a_subject_are_counted_together():
    assert report([answered(True), answered(True, "")]).by_subject == {"no subject": Accuracy(2, 2)}


def test_chance_is_the_mean_of_each_questions_own():
    assert report([answered(True, options=4), answered(True, options=2)]).chance == pytest.approx((1 / 4 + 1 / 2) / 2)


def of_facts(*rights):
    """Two wordings of each fact, so many of them right."""
    return report(
        [answered(i < right, source=f"handbook/f{n}/test-{i}") for n, right in enumerate(rights) for i in (0, 1)]
    )


def test_wordings_that_always_agree_tell_as_much_as_one_of_each_fact():
    found = of_facts(*[2, 0] * 200).overall
    assert found.design_effect == pytest.approx(2.0, abs=0.01)
    assert found.interval_95 == pytest.approx(Accuracy(200, 400).interval_95, abs=1e-3)


def test_wordings_that_never_agree_are_not_taken_for_more_than_they_are():
    assert of_facts(1, 1, 1, 1).overall.design_effect == 1.0


def test_wordings_that_agree_by_chance_are_almost_independent():
    assert of_facts(*[2, 1, 1, 0] * 100).overall.design_effect == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("right", [0, 2])
def test_where_all_are_right_or_all_wrong_each_fact_counts_once(right):
    assert of_facts(*[right] * 30).overall.design_effect == 2.0


def test_questions_of_other_sets_stand_for_themselves():
    assert report([answered(True), answered(False), answered(True)]).overall.design_effect == 1.0


def test_of_the_handbook_one_wording_of_each_fact_is_drawn():
    questions = handbook.questions("unknown")
    facts = [fact_of(question) for question in drawn(questions, 1000)]
    assert sorted(facts) == sorted({fact_of(question) for question in questions})
    assert len(facts) < len(questions)


def test_so_many_are_drawn_and_always_the_same():
    questions = [Question(f"Case {i}?", ("yes", "no"), 0, source=f"set:{i}") for i in range(50)]
    few = drawn(questions, 20)
    assert len({question.stem for question in few}) == 20
    assert few == drawn(questions, 20) == drawn(questions, 50)[:20]
    assert sorted(drawn(questions, 90), key=questions.index) == questions


def test_nothing_to_count_is_refused():
    with pytest.raises(UserError, match="no questions"):
        report([])


def test_a_question_without_key_is_refused_by_its_source():
    with pytest.raises(UserError, match="'set:7' has no key"):
        report([answered(True), answered(True, key=None)])


def test_a_report_can_be_written_as_json():
    written = json.loads(json.dumps(report([answered(True, "ENT"), answered(False, "ENT")]).to_json()))
    assert (written["accuracy"], written["correct"], written["total"], written["chance"]) == (0.5, 1, 2, 0.25)
    assert written["interval_95"] == pytest.approx([0.0945, 0.9055], abs=1e-4)
    assert written["by_subject"] == {"ENT": {"accuracy": 0.5, "correct": 1, "total": 2}}


def sure(probability, right):
    """Two options, the first with this probability; right when the first is the key."""
    question = Question("Which?", ("yes", "no"), 0 if right else 1, source="set:7")
    return Answer(question, (math.log(probability), math.log(1 - probability)), "medqa-nano")


def test_probabilities_that_mean_what_they_say_have_no_calibration_error():
    found = report([sure(0.75, True)] * 3 + [sure(0.75, False)])
    assert found.calibration_error == pytest.approx(0.0, abs=1e-9)
    assert found.mean_top_probability == pytest.approx(0.75)


def test_the_calibration_error_weights_each_bins_gap_by_its_answers():
    # 0.95 sure and half right: gap 0.45 on two answers; 0.65 sure and always right: gap 0.35 on one.
    found = report([sure(0.95, True), sure(0.95, False), sure(0.65, True)])
    assert found.calibration_error == pytest.approx((2 * 0.45 + 0.35) / 3)


def test_a_certain_answer_falls_into_the_last_bin():
    question = Question("Which?", ("yes", "no"), 0)
    assert report([Answer(question, (0.0, -1000.0), "medqa-nano")]).calibration_error == 0.0
