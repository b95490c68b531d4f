import json
from pathlib import Path

import pytest

from medqa.datasets import medqa_usmle
from medqa.question import Question

DATA = Path(__file__).parents[2] / "../shared/data/medqa_usmle"


def row(**changed):
    options = {"B": "2.0 mg/dL", "A": "2.3 mg/dL", "C": "1.1 mg/dL", "D": "1.7 mg/dL"}
    return {"question": "Which value?", "answer": "1.1 mg/dL", "options": options, "answer_idx": "C"} | changed


def test_a_row_becomes_a_question_with_its_options_by_letter():
    loaded = medqa_usmle.to_questions([row(), row(meta_info="step1")], "usmle")
    options = ("2.3 mg/dL", "2.0 mg/dL", "1.1 mg/dL", "1.7 mg/dL")
    assert loaded.questions == (
        Question("Which value?", options, 2, None, None, "usmle:1"),
        Question("Which value?", options, 2, None, "step1", "usmle:2"),
    )


def test_the_columns_are_recognised():
    assert medqa_usmle.matches(row())
    assert not medqa_usmle.matches(row(options=["x", "y"]))
    assert not medqa_usmle.matches({"question": "Which?", "options": {"A": "x", "B": "y"}, "answer": "A"})


def test_options_as_a_list_of_key_and_value_are_read():
    options = [{"key": "A", "value": "x"}, {"key": "B", "value": "y"}]
    assert medqa_usmle.to_questions([row(options=options, answer="y", answer_idx="B")], "u").questions[0].key == "B"


def test_a_key_that_is_a_list_names_no_option():
    options = [{"key": ["A"], "value": "x"}, {"key": "B", "value": "y"}]
    assert not medqa_usmle.matches(row(options=options))
    assert medqa_usmle.to_questions([row(options=options)], "u").skipped_by_reason == {"too few options": 1}


def test_a_letter_without_an_option_was_never_there():
    options = {"A": "x", "B": "y", "C": "z", "D": "w", "E": None}
    question = medqa_usmle.to_questions([row(options=options, answer="z")], "u").questions[0]
    assert question.options == ("x", "y", "z", "w")


def test_a_stray_quote_after_an_option_is_taken_off():
    options = {"A": 'Osteosarcoma\n"', "B": '"I understand"'}
    question = medqa_usmle.to_questions(
        [row(options=options, answer='Osteosarcoma\n"', answer_idx="A")], "u"
    ).questions[0]
    assert question.options == ("Osteosarcoma", '"I understand"')


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"answer": "1.7 mg/dL"}, "key and answer text disagree"),
        ({"answer_idx": "E"}, "key outside the options"),
        ({"answer_idx": None}, "no key"),
        ({"options": {}}, "too few options"),
        ({"question": ""}, "empty question"),
    ],
)
def test_faulty_rows_are_skipped_with_a_reason(changed, reason):
    assert medqa_usmle.to_questions([row(**changed)], "usmle").skipped_by_reason == {reason: 1}


@pytest.mark.skipif(not DATA.is_dir(), reason="the real data are not here")
@pytest.mark.parametrize(("file", "options"), [("train", 4), ("validation", 4), ("train_5_options", 5)])
def test_every_real_row_is_a_question(file, options):
    rows = [json.loads(line) for line in (DATA / f"{file}.jsonl").open(encoding="utf-8")]
    loaded = medqa_usmle.to_questions(rows, file)
    assert (len(loaded.questions), loaded.skipped) == (len(rows), ())
    assert {len(question.options) for question in loaded.questions} == {options}
