import fcntl
import json
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from medqa import disputes
from medqa.commands import main
from medqa.disputes import FILE, MOST_CHARACTERS, VERDICTS, Dispute, DisputeError, keep, read, wrong_keys
from medqa.question import Explanation, Question
from medqa.receipt import Made, Receipt
from medqa.runs import all_runs
from medqa.settings import ROOT

MADE = Made("medqa-nano", "9860", None, None, "cpu", "2 cores", "float32", {"torch": "2.13.0"})
QUESTION = Question("Which drug?", ("warfarin", "heparin", "aspirin"), 1)
RECEIPT = Receipt(QUESTION, (-0.1, -7.5, -9.0), Explanation("It was warfarin.", ended=True), MADE, "2026-11-24")
MARK = Dispute(RECEIPT, "wrong key", 0, "Since 2024 it is\n“warfarin” <b>.")


def test_a_mark_is_kept_with_its_whole_receipt_and_the_time(tmp_path):
    keep(MARK, tmp_path / "runs")
    [kept] = read(tmp_path / "runs")
    assert kept.date.startswith("20")
    assert replace(kept, date="") == MARK


@pytest.mark.parametrize("verdict", VERDICTS)
def test_every_mark_can_be_left_without_words_and_without_an_option(tmp_path, verdict):
    keep(Dispute(RECEIPT, verdict), tmp_path)
    assert [(mark.verdict, mark.right, mark.words) for mark in read(tmp_path)] == [(verdict, None, "")]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"verdict": "maybe"}, "“maybe” is no mark"),
        ({"words": "x" * (MOST_CHARACTERS + 1)}, "2,001 characters, the limit is 2,000"),
        ({"right": 3}, "number 4, and there are 3"),
        ({"right": 1}, "B is the key already"),
        ({"verdict": "agree", "right": 1}, "You agree with the answer, A, and hold B right"),
        ({"verdict": "wrong answer", "right": 0}, "A is the answer you call wrong"),
        ({"receipt": replace(RECEIPT, question=replace(QUESTION, answer=None))}, "came without a key"),
        ({"receipt": replace(RECEIPT, question=replace(QUESTION, answer=None)), "right": None}, "came without a key"),
    ],
)
def test_a_mark_that_makes_no_sense_is_refused_and_nothing_is_written(tmp_path, changes, said):
    with pytest.raises(DisputeError, match=said):
        keep(replace(MARK, **changes), tmp_path)
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize(("verdict", "right"), [("agree", 0), ("wrong answer", 1), ("explanation", 0), ("outdated", 2)])
def test_an_option_held_right_that_fits_the_mark_is_kept(tmp_path, verdict, right):
    keep(Dispute(RECEIPT, verdict, right), tmp_path)
    assert read(tmp_path)[0].right == right


def test_words_as_long_as_the_limit_are_kept(tmp_path):
    keep(replace(MARK, words="x" * MOST_CHARACTERS), tmp_path)
    assert len(read(tmp_path)[0].words) == MOST_CHARACTERS


def test_marks_of_two_processes_at_once_are_all_kept_whole(tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from medqa import disputes; from tests.test_disputes import MARK, replace\n"
        "for i in range(150): disputes.keep(replace(MARK, words=f'{sys.argv[1]} {i} ' + 'x' * 1500), Path(sys.argv[2]))"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, name, str(tmp_path)], cwd=ROOT) for name in ("first", "second")
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    words = [mark.words.split()[:2] for mark in read(tmp_path)]
    for name in ("first", "second"):
        assert [number for who, number in words if who == name] == [str(i) for i in range(150)]
    assert len((tmp_path / FILE).read_bytes().splitlines()) == 300


def test_a_writer_waits_for_another_to_finish_its_line(tmp_path):
    keep(MARK, tmp_path)
    code = (
        "import sys; from pathlib import Path; from medqa import disputes; from tests.test_disputes import MARK\n"
        "print('here', flush=True); disputes.keep(MARK, Path(sys.argv[1]))"
    )
    with (tmp_path / FILE).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        other = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert other.stdout.readline() == "here\n"
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(0.5)
        assert len(read(tmp_path)) == 1
    assert other.wait(30) == 0
    other.stdout.close()
    assert len(read(tmp_path)) == 2


def test_wrong_keys_marked_until_a_time_are_told_from_those_marked_after(tmp_path):
    keep(replace(MARK, words="before"), tmp_path)
    between = time.time()
    time.sleep(0.002)  # a mark's time is in whole milliseconds
    keep(replace(MARK, words="after"), tmp_path)
    assert [mark.words for mark in wrong_keys(tmp_path)] == ["before", "after"]
    assert [mark.words for mark in wrong_keys(tmp_path, until=between)] == ["before"]


def test_a_half_written_last_line_is_not_read_and_does_not_spoil_the_next(tmp_path):
    keep(MARK, tmp_path)
    with (tmp_path / FILE).open("a") as file:
        file.write('{"verdict": "agr')
    assert len(read(tmp_path)) == 1
    keep(replace(MARK, words="next"), tmp_path)
    assert [mark.words for mark in read(tmp_path)] == [MARK.words, "next"]


def test_a_damaged_line_or_one_of_a_newer_version_hides_no_other(tmp_path):
    keep(MARK, tmp_path)
    newer = json.loads((tmp_path / FILE).read_text())
    newer["receipt"]["medqa_receipt"] += 1
    undated = json.loads((tmp_path / FILE).read_text()) | {"date": "yesterday"}
    with (tmp_path / FILE).open("a") as file:
        file.write("3\n\nnot json\n{}\n" + json.dumps(newer) + "\n" + json.dumps(undated) + "\n")
    keep(MARK, tmp_path)
    assert len(read(tmp_path)) == 2


def test_a_full_file_is_left_as_it_is_and_says_what_to_do(tmp_path, monkeypatch):
    keep(MARK, tmp_path)
    size = (tmp_path / FILE).stat().st_size
    monkeypatch.setattr(disputes, "MOST_BYTES", 2 * size - 1)
    with pytest.raises(DisputeError, match=r"file of marks is full .* export it and move disputes\.jsonl away"):
        keep(MARK, tmp_path)
    assert (tmp_path / FILE).stat().st_size == size


def test_a_folder_that_cannot_be_written_is_told_without_its_path(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DisputeError, match=r"disputes\.jsonl can't be written \(Not a directory\)") as refused:
        keep(MARK, tmp_path / "file" / "runs")
    assert str(tmp_path) not in str(refused.value)


def test_the_file_beside_the_runs_is_no_run(tmp_path):
    keep(MARK, tmp_path)
    assert all_runs(tmp_path) == []


# The command line


@pytest.mark.model
def test_the_command_line_exports_every_mark_as_json_lines(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MEDQA_RUNS", str(tmp_path / "runs"))
    assert main(["disputes"]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "No disputes in" in printed.err
    for words in ("one", "two"):
        keep(replace(MARK, words=words), tmp_path / "runs")
    assert main(["disputes", "--out", str(tmp_path / "all.jsonl")]) == 0
    assert "2 disputes" in capsys.readouterr().out
    exported = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert [(mark["words"], mark["right"], mark["receipt"]["letter"]) for mark in exported] == [
        ("one", "A", "A"), ("two", "A", "A"),
    ]  # fmt: skip
    assert main(["disputes"]) == 0
    assert capsys.readouterr().out == (tmp_path / "all.jsonl").read_text()


@pytest.mark.model
def test_an_export_that_cannot_be_written_is_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MEDQA_RUNS", str(tmp_path))
    assert main(["disputes", "--out", str(tmp_path)]) == 2
    assert "can't be written: Is a directory" in capsys.readouterr().err


def test_a_corrected_row_keeps_the_subject_of_its_question(tmp_path):
    asked = replace(RECEIPT, question=replace(RECEIPT.question, subject="ENT"))
    disputes.keep(Dispute(asked, disputes.WRONG_KEY), tmp_path)
    assert disputes.wrong_keys(tmp_path)[0].receipt.question.subject == "ENT"
