import json
import os
import pickle
import threading
from dataclasses import replace

import numpy as np
import pytest

from medqa import training_rows
from medqa.adapters import AdapterError
from medqa.question import Question
from medqa.training_rows import FOLDER, nearest, words_of

NO_WORDS = Question("?", ("+", "-"), 0)


@pytest.fixture
def adapter(tmp_path, questions):
    training_rows.write(tmp_path, questions)
    return tmp_path


def rows_of(adapter, text, most=5):
    return [row for row, _ in nearest(adapter, training_rows.words(text), most).found]


def replaced(adapter, questions):
    """As a resumed run does it: written beside, then renamed."""
    new = adapter / "new"
    new.mkdir()
    training_rows.write(new, questions)
    (adapter / FOLDER).rename(adapter / "old")
    (new / FOLDER).rename(adapter / FOLDER)


# Found again


def test_rows_come_back_as_they_were_written_best_first(adapter, questions):
    found = nearest(adapter, words_of(questions[7]), 5)
    assert found.rows == len(questions)
    assert found.found[0][0] == questions[7]
    scores = [score for _, score in found.found]
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True) and scores[0] > scores[1] > 0


def test_rows_of_any_script_come_back_and_are_found_by_their_words(tmp_path):
    rows = [
        Question("Ménière's: which β-blocker?\u2028\n", ("Propranolol 😀", "é"), 0, "weil …", "Ohren", "a:1"),
        Question("रक्तचाप क्या है?", ("१२०", "८०"), None),
        Question("高血压是什么?", ("收缩压", "舒张压"), 1),
        NO_WORDS,
    ]
    training_rows.write(tmp_path, rows)
    assert rows_of(tmp_path, "beta blocker") == [rows[0]]
    assert rows_of(tmp_path, "the रक्तचाप") == [rows[1]]
    assert rows_of(tmp_path, "血压") == [rows[2]]


def test_only_rows_that_share_a_word_are_found(adapter, questions):
    having = [question for question in questions if "morphine" in words_of(question)]
    assert 0 < len(having) < len(questions)
    assert nearest(adapter, ["morphine", "zebra"], 60).rows_with == {"morphine": len(having)}
    assert sorted(row.source for row in rows_of(adapter, "morphine zebra", 60)) == sorted(q.source for q in having)
    assert rows_of(adapter, "zebra unicorn") == []
    assert rows_of(adapter, "") == []


def test_fewer_rows_than_asked_for_are_all_there_is(tmp_path, questions):
    training_rows.write(tmp_path, questions[:2])
    assert len(rows_of(tmp_path, "patient", 5)) == 2


def test_questions_without_a_single_word_can_be_rows(tmp_path):
    training_rows.write(tmp_path, [NO_WORDS, replace(NO_WORDS, answer=1)])
    assert nearest(tmp_path, ["word"], 5).rows == 2


def test_explanations_are_not_searched(tmp_path):
    training_rows.write(tmp_path, [Question("Which drug?", ("Aspirin", "Heparin"), 0, explanation="Salicylate.")])
    assert rows_of(tmp_path, "salicylate") == []


def test_an_adapter_without_rows_has_none(tmp_path):
    assert nearest(tmp_path, ["word"], 5) is None


# Replaced


def test_an_adapter_replaced_by_a_resumed_run_shows_its_new_rows(adapter, questions):
    assert rows_of(adapter, questions[0].stem)[0] == questions[0]
    replaced(adapter, [Question("Where is the spleen?", ("Left", "Right"), 0)])
    found = nearest(adapter, words_of(questions[0]), 5)
    assert (found.rows, found.found) == (1, ())
    assert rows_of(adapter, "spleen")[0].options == ("Left", "Right")


def test_rows_of_the_same_size_and_time_are_new_rows_all_the_same(adapter, questions):
    file = adapter / FOLDER / "rows.jsonl"
    before = file.stat()
    assert rows_of(adapter, "atropine")
    replaced(adapter, [replace(q, stem=q.stem.replace("patient", "student")) for q in questions])
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    assert rows_of(adapter, "student")


def test_visitors_asking_at_once_each_get_their_own_rows(adapter, questions):
    wrong = []

    def ask(i):
        for _ in range(20):
            wrong.extend(questions[i : i + 1] if rows_of(adapter, questions[i].stem)[0] != questions[i] else [])

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# Damaged

FILES = (
    "rows.jsonl", "starts.npy", "data.csc.index.npy", "indices.csc.index.npy", "indptr.csc.index.npy",
    "vocab.index.json", "params.index.json",
)  # fmt: skip


def test_every_file_that_is_read_is_damaged_below(adapter):
    assert {path.name for path in (adapter / FOLDER).iterdir()} == {*FILES, "README.txt"}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "garbage"])
def test_a_damaged_file_gives_a_sentence(adapter, questions, name, damage):
    file = adapter / FOLDER / name
    whole = file.read_bytes()
    file.unlink()
    if damage != "missing":
        file.write_bytes({"empty": b"", "cut": whole[: len(whole) // 2], "garbage": b"\xff\x00{" * 99}[damage])
    with pytest.raises(AdapterError, match=r"can't be read .* training it again") as told:
        nearest(adapter, words_of(questions[-1]), 5)
    assert str(adapter) not in str(told.value)


def test_an_index_of_other_rows_gives_a_sentence(adapter, questions, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    training_rows.write(other, questions[:50])
    (other / FOLDER / "starts.npy").rename(adapter / FOLDER / "starts.npy")
    with pytest.raises(AdapterError):
        nearest(adapter, ["heparin"], 5)


@pytest.mark.parametrize("field", ["stem", "options", "explanation", "subject", "source"])
def test_a_row_that_holds_no_text_gives_a_sentence(adapter, questions, field):
    file = adapter / FOLDER / "rows.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    wrong = {field: [5, 6] if field == "options" else 5}
    lines = [json.dumps(row | wrong).encode() + b"\n" for row in rows]
    file.write_bytes(b"".join(lines))
    np.save(adapter / FOLDER / "starts.npy", np.cumsum([0, *map(len, lines[:-1])]))
    with pytest.raises(AdapterError):
        nearest(adapter, ["heparin"], 5)


class Touch:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", ["starts.npy", "data.csc.index.npy"])
@pytest.mark.parametrize("wrap", [pickle.dumps, None])
def test_nothing_is_unpickled(adapter, tmp_path, name, wrap):
    trap = Touch(tmp_path / "sprung")
    file = adapter / FOLDER / name
    if wrap:
        file.write_bytes(wrap(trap))
    else:
        np.save(file, np.array([trap], object), allow_pickle=True)
    with pytest.raises(AdapterError):
        nearest(adapter, ["heparin"], 5)
    assert not (tmp_path / "sprung").exists()
