import json
import math
from dataclasses import replace

import pytest

from medqa.question import Explanation, Question
from medqa.receipt import FORMAT, MOST_BYTES, SOURCES, Made, Receipt, ReceiptError, Said, from_json, read, told_name
from medqa.settings import ROOT
from tests.test_imports import imported

MADE = Made("medqa-nano", "9860", "quick-1", "e281", "cpu", "2 cores", "float32", {"torch": "2.13.0"})
RECEIPT = Receipt(
    question=Question(
        "Which drug?\n  Second line, “quoted”.", ("warfarin", "heparin", "Aspirin\u2028"), 1, subject="Pharmacology"
    ),
    log_probabilities=(-0.1234567890123456, -7.5, -28.25),
    explanation=Explanation("It was warfarin.", ended=True),
    made=MADE,
    date="2026-11-24T03:50:26+00:00",
    probes={"Would it hold?": ("It holds.", "No preference.")},
    said=Said(("It guesses.", "It is unsure."), 0.6, "Right 3 of 7 times.", "It nowhere says “warfarin”."),
)


def test_a_receipt_survives_its_file_unchanged(tmp_path):
    file = tmp_path / "kept.json"
    file.write_text(RECEIPT.as_text(), encoding="utf-8")
    assert read(file) == RECEIPT
    bare = replace(RECEIPT, probes={}, made=replace(MADE, adapter=None, adapter_sha256=None))
    file.write_text(bare.as_text(), encoding="utf-8")
    assert read(file) == bare


def test_a_receipt_saved_before_they_kept_what_the_card_said_is_read_as_it_was(tmp_path):
    older = replace(RECEIPT, said=None)
    assert "said" not in older.to_json()
    file = tmp_path / "older.json"
    file.write_text(older.as_text(), encoding="utf-8")
    assert read(file) == older
    assert older.sure


def test_a_receipt_without_a_subject_is_read_as_one_of_no_subject():
    of_none = replace(RECEIPT, question=replace(RECEIPT.question, subject=None))
    assert "subject" not in of_none.to_json()["question"]
    assert from_json(json.loads(of_none.as_text())) == of_none


@pytest.mark.parametrize(("below", "sure"), [(0.6, True), (0.9999, False)])
def test_a_receipt_says_in_its_own_words_whether_the_card_named_an_option(below, sure):
    receipt = replace(RECEIPT, said=replace(RECEIPT.said, not_sure_below=below))
    said = json.loads(receipt.as_text())["said"]
    assert (said["sure"], said["not_sure_below"]) == (sure, below)
    assert said["doubts"] == ["It guesses.", "It is unsure."]
    assert (said["record"], said["explanation_doubt"]) == ("Right 3 of 7 times.", "It nowhere says “warfarin”.")
    assert from_json(json.loads(receipt.as_text())).sure is receipt.sure is sure


def test_a_receipt_can_be_read_by_anyone_who_reads_json():
    values = json.loads(RECEIPT.as_text())
    assert values["question"] == {
        "stem": RECEIPT.question.stem, "options": [*RECEIPT.question.options], "key": "B", "subject": "Pharmacology",
    }  # fmt: skip
    assert values["letter"] == "A"
    assert math.isclose(sum(values["probabilities"]), 1)
    assert values["made"]["adapter_sha256"] == "e281"


def changed(*path, to):
    values = json.loads(RECEIPT.as_text())
    inner = values
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = to
    return values


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("question", "stem"), " "),
        (("question", "stem"), 7),
        (("question", "subject"), 7),
        (("question", "stem"), "\ud800"),
        (("question", "options"), ["only one"]),
        (("question", "options"), ["warfarin", "heparin", None]),
        (("question", "options"), None),
        (("question", "key"), "Z"),
        (("question", "key"), ""),
        (("question", "key"), "AB"),
        (("log_probabilities",), [-0.1, -7.5]),
        (("log_probabilities",), [-0.1, -7.5, float("nan")]),
        (("log_probabilities",), [-0.1, -7.5, "x"]),
        (("log_probabilities",), [-0.1, -7.5, 10**400]),
        (("log_probabilities",), [-0.1, -7.5, True]),
        (("log_probabilities",), [-9.0, -7.5, -28.25]),
        (("probabilities",), [1.0, 0.0, 0.0]),
        (("probabilities",), [0.9]),
        (("letter",), "B"),
        (("explanation",), None),
        (("explanation", "text"), 3),
        (("made",), []),
        (("made", "base"), None),
        (("made", "adapter_sha256"), None),
        (("made", "versions"), ["torch"]),
        (("made", "versions", "torch"), 2),
        (("probes",), ["It holds."]),
        (("probes", "Would it hold?"), [1]),
        (("date",), 20261124),
        (("said",), None),
        (("said", "doubts"), "It guesses."),
        (("said", "not_sure_below"), "0.6"),
        (("said", "record"), None),
        (("said", "sure"), False),
    ],
)
def test_a_damaged_receipt_is_refused_in_one_sentence_that_says_so(path, value):
    with pytest.raises(ReceiptError, match=r"^The receipt is damaged: .*\. Use an undamaged copy\.$"):
        from_json(changed(*path, to=value))


@pytest.mark.parametrize("name", ["question", "explanation", "made", "probes", "date", "letter"])
def test_what_a_damaged_receipt_lacks_is_named(name):
    values = json.loads(RECEIPT.as_text())
    del values[name]
    with pytest.raises(ReceiptError, match=f"it lacks '{name}'"):
        from_json(values)


def test_a_receipt_of_a_newer_format_asks_for_a_newer_medqa():
    with pytest.raises(ReceiptError, match=rf"format {FORMAT + 1}; this MedQA reads up to {FORMAT}\. Update MedQA"):
        from_json(changed("medqa_receipt", to=FORMAT + 1))


@pytest.mark.parametrize("text", ["", "{", '"text', "[" * 100_000, "\x00"])
def test_a_file_cut_short_is_refused_with_its_name(tmp_path, text):
    file = tmp_path / "half.json"
    file.write_text(text)
    with pytest.raises(ReceiptError, match=r"^half\.json is not readable as JSON"):
        read(file)


@pytest.mark.parametrize("text", ["{}", "[]", "3", '{"question": "Which?"}'])
def test_json_of_something_else_is_no_receipt(tmp_path, text):
    file = tmp_path / "other.json"
    file.write_text(text)
    with pytest.raises(ReceiptError, match="This is no MedQA receipt"):
        read(file)


def test_a_file_that_is_not_there_or_far_too_large_is_refused(tmp_path):
    with pytest.raises(ReceiptError, match=r"gone\.json can't be read: No such file"):
        read(tmp_path / "gone.json")
    large = tmp_path / "large.json"
    large.write_bytes(b" " * (MOST_BYTES + 1))
    with pytest.raises(ReceiptError, match="larger than 1 MB"):
        read(large)


def test_all_that_the_engine_is_made_of_counts_as_source_of_an_answer():
    """But for what says where files and devices are, what can be computed, and who comes next."""
    folder, reached, ahead = ROOT / "medqa", set(), ["engine.py"]
    while ahead:
        file = ahead.pop()
        reached.add(file)
        names = imported((folder / file).read_text(encoding="utf-8"), ["medqa"])
        files = {f"{name.split('.')[1]}.py" for name in names if name.startswith("medqa.")}
        ahead += {name for name in files if (folder / name).is_file()} - reached
    beside = {"settings.py", "errors.py", "base_model.py", "hub.py", "device.py", "trial_pass.py", "turns.py"}
    assert reached - beside == set(SOURCES)


def test_of_a_folder_a_receipt_tells_only_the_last_part(tmp_path):
    (tmp_path / "Qwen3-1.7B").mkdir()
    assert told_name(str(tmp_path / "Qwen3-1.7B")) == "Qwen3-1.7B"
    assert told_name("Qwen/Qwen3-1.7B") == "Qwen/Qwen3-1.7B"
