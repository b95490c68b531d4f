import json
from pathlib import Path

import pytest

from medqa.datasets import medmcqa
from medqa.datasets.rows import DatasetError, split_marker
from medqa.question import Question

DATA = Path(__file__).parents[2] / "../shared/data/medmcqa"


def row(**changed):
    return {
        "id": "r1",
        "question": "Early fusion of the coronal suture results in",
        "opa": "Brachycephaly",
        "opb": "Oxycephaly",
        "opc": "Trigonocephaly",
        "opd": "Scaphocephaly",
        "cop": 0,
        "choice_type": "single",
        "exp": None,
        "subject_name": "Anatomy",
        "topic_name": None,
    } | changed


def test_a_row_becomes_a_question():
    loaded = medmcqa.to_questions([row(exp="Ans. A i.e. BrachycephalyThe skull\n grows wide.")], "medmcqa")
    assert loaded.skipped == ()
    assert loaded.questions == (
        Question(
            "Early fusion of the coronal suture results in",
            ("Brachycephaly", "Oxycephaly", "Trigonocephaly", "Scaphocephaly"),
            0,
            "Brachycephaly. The skull grows wide.",
            "Anatomy",
            "medmcqa:r1",
        ),
    )


def test_the_columns_are_recognised():
    assert medmcqa.matches(row())
    assert not medmcqa.matches({"question": "Which?", "A": "x", "B": "y", "answer": "A"})


def test_keys_that_count_from_one_are_read_so():
    loaded = medmcqa.to_questions([row(cop=4), row(cop=1)], "medmcqa")
    assert [question.key for question in loaded.questions] == ["D", "A"]


def test_the_base_can_be_stated():
    with pytest.raises(DatasetError, match="State it"):
        medmcqa.to_questions([row(cop=1)], "medmcqa")
    assert medmcqa.to_questions([row(cop=1)], "medmcqa", cop_base=0).questions[0].key == "B"
    assert medmcqa.to_questions([row(cop=1)], "medmcqa", cop_base=1).questions[0].key == "A"
    with pytest.raises(DatasetError, match="cop_base is 2"):
        medmcqa.to_questions([row(cop=1)], "medmcqa", cop_base=2)


def test_a_stated_base_that_does_not_fit_skips_the_row():
    assert medmcqa.to_questions([row(cop=4)], "m", cop_base=0).skipped_by_reason == {"key outside the options": 1}


@pytest.mark.parametrize("cop", [-1, None, ""])
def test_rows_without_a_key_are_skipped(cop):
    assert medmcqa.to_questions([row(cop=cop)], "medmcqa").skipped_by_reason == {"no key": 1}


def test_rows_with_equal_options_are_skipped():
    assert medmcqa.to_questions([row(opb="brachycephaly")], "medmcqa").skipped_by_reason == {"duplicate options": 1}


def test_rows_of_several_choices_are_kept_with_their_one_key():
    assert medmcqa.to_questions([row(choice_type="multi")], "medmcqa").questions[0].key == "A"


# Leading parts of published explanations.
@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Answer- B. PAX5PAX5 is a B-cell factor", "PAX5. PAX5 is a B-cell factor"),
        ("Ans: B (PAX5) is seen in B-cells", "(PAX5) is seen in B-cells"),
        ("Answer BThyrotoxic crisis is acute", "Thyrotoxic crisis is acute"),
        ("Ans. DNase is an enzyme of the cell", "Ans. DNase is an enzyme of the cell"),
        ("The bacteria most often\n\n recovered", "The bacteria most often recovered"),
        ("Ans: B. PAX5", None),
        ("Ans. B. Pax5.", None),
        ("", None),
        ("Because of PAX5. Thus option (c) is wrong", None),
        ("Ans: A is false & b, c, d are true about it", None),
        ("Other genes are rarer. The answer is B.", None),
    ],
)
def test_an_explanation_keeps_no_letter_that_shuffling_would_falsify(text, kept):
    assert medmcqa.explanation_of(text, 1, "PAX5") == kept


@pytest.mark.parametrize("text", ["Answer- B. Long option of the key", "(b) i.e., Long option of the key."])
def test_an_explanation_that_only_repeats_the_option_is_dropped(text):
    assert medmcqa.explanation_of(text, 1, "Long option of the key") is None


@pytest.mark.skipif(not DATA.is_dir(), reason="the real data are not here")
@pytest.mark.parametrize("split", ["train", "validation"])
def test_real_rows_add_up_and_keep_no_marker(split):
    rows = [json.loads(line) for line in (DATA / f"{split}.jsonl").open(encoding="utf-8")]
    loaded = medmcqa.to_questions(rows, "medmcqa")
    assert len(loaded.questions) + len(loaded.skipped) == len(rows)
    assert set(loaded.skipped_by_reason) <= {"duplicate options", "empty option"}
    assert len(loaded.skipped) < 0.02 * len(rows)
    explained = [question.explanation for question in loaded.questions if question.explanation]
    assert len(explained) > 0.45 * len(rows)
    assert not [text for text in explained if split_marker(text)[0] is not None]


@pytest.mark.skipif(not DATA.is_dir(), reason="the real data are not here")
@pytest.mark.parametrize("base", [0, 1])
def test_real_explanations_tell_the_base_when_the_range_does_not(base):
    rows = [json.loads(line) for line in (DATA / "train.jsonl").open(encoding="utf-8")]
    unclear = [row | {"cop": row["cop"] + base} for row in rows if row["cop"] + base in (1, 2, 3)]
    keys = {question.source: question.key for question in medmcqa.to_questions(rows, "m").questions}
    assert all(q.key == keys[q.source] for q in medmcqa.to_questions(unclear, "m").questions)
