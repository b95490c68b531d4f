import json

import pytest

from medqa.datasets import DatasetError, load
from medqa.disputes import Dispute, keep
from medqa.question import Explanation, Question
from medqa.receipt import Made, Receipt

MADE = Made("medqa-nano", "9860", None, None, "cpu", "2 cores", "float32", {})


@pytest.fixture
def mark(tmp_path, monkeypatch):
    """mark(question, …): keep a mark on it where the data sets look for marks."""
    monkeypatch.setenv("MEDQA_RUNS", str(tmp_path / "runs"))

    def made(question, verdict="wrong key", right=None):
        scores = tuple(-float(i) for i in range(len(question.options)))
        receipt = Receipt(question, scores, Explanation("Because.", ended=True), MADE, "2026-11-24")
        keep(Dispute(receipt, verdict, right), tmp_path / "runs")

    return made


def question(number, key=0):
    return Question(f"Case {number}: which one?", ("one", "two", "three"), key)


@pytest.fixture
def file(tmp_path):
    """Ten questions, in train and validation."""
    path = tmp_path / "cases.jsonl"
    rows = ({"question": q.stem, "options": q.options, "answer": q.key} for q in map(question, range(10)))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def stems(loaded):
    return [q.stem for q in loaded.questions]


def test_rows_with_a_disputed_key_are_left_out_and_counted(mark, file):
    everything = load(file)
    disputed = everything.questions[2]
    mark(Question(f"  {disputed.stem.upper()}\n", tuple(reversed(disputed.options)), 2))
    kept = load(file, disputed_rows="leave out")
    assert stems(kept) == [stem for stem in stems(everything) if stem != disputed.stem]
    assert kept.skipped_by_reason == {"disputed key": 1}
    assert load(file) == load(file, disputed_rows="keep") == everything


def test_only_a_wrong_key_makes_a_row_disputed(mark, file):
    everything = load(file)
    for verdict in ("agree", "wrong answer", "explanation", "outdated"):
        mark(everything.questions[0], verdict)
    assert load(file, disputed_rows="leave out") == everything


def test_the_same_stem_with_other_options_is_another_question(mark, file):
    everything = load(file)
    mark(Question(everything.questions[0].stem, ("one", "two", "four"), 0))
    assert load(file, disputed_rows="leave out") == everything


def test_rows_are_left_out_before_any_are_drawn(mark, file):
    total = len(load(file).questions)
    mark(load(file).questions[0])
    assert len(load(file, limit=total - 1, disputed_rows="leave out").questions) == total - 1
    with pytest.raises(DatasetError, match=f"{total} examples asked for, cases.jsonl has {total - 1}"):
        load(file, limit=total, disputed_rows="leave out")


def test_a_data_set_whose_every_row_is_disputed_says_so(mark, file):
    for q in load(file).questions:
        mark(q)
    with pytest.raises(DatasetError, match=r"no usable question in train \(disputed key: \d+\)"):
        load(file, disputed_rows="leave out")


def test_corrected_questions_are_a_data_set_with_a_part_held_out_as_of_a_file(mark, file):
    for number in range(10):
        mark(question(number), right=2)
    train, held_out = load("disputes"), load("disputes", "validation")
    assert {q.answer for q in (*train.questions, *held_out.questions)} == {2}
    assert stems(train) == stems(load(file))
    assert stems(held_out) == stems(load(file, "validation"))
    assert {q.explanation for q in train.questions} == {None}
    with pytest.raises(DatasetError, match="the splits train and validation"):
        load("disputes", "test")


def test_the_disputed_are_not_left_out_of_the_data_set_made_of_them(mark):
    for number in range(10):
        mark(question(number), right=1)
    assert load("disputes", disputed_rows="leave out") == load("disputes")


def test_marks_without_a_key_correct_nothing(mark):
    mark(question(0))
    mark(question(1), "outdated", right=1)
    with pytest.raises(DatasetError, match="No key has been marked wrong with another one given"):
        load("disputes")


def test_where_two_give_different_keys_neither_is_taken(mark):
    for number in range(10):
        mark(question(number), right=1)
    disputed = load("disputes").questions[0]
    mark(disputed, right=2)
    loaded = load("disputes")
    assert disputed.stem not in stems(loaded)
    assert loaded.skipped_by_reason == {"marks disagree on the key": 1}


def test_two_who_give_the_same_option_agree_whatever_its_letter(mark):
    for number in range(10):
        mark(question(number), right=1)
    first = load("disputes").questions[0]
    mark(Question(first.stem, ("two", "three", "one"), 2), right=0)
    assert load("disputes").skipped == ()
    assert stems(load("disputes")).count(first.stem) == 1
