import json
from dataclasses import replace
from pathlib import Path

import pytest

from medqa.datasets import NAMES, DatasetError, fingerprint, held_out_split, load, load_parts

DATA = Path(__file__).parents[2] / "../shared/data"


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch):
    monkeypatch.delenv("MEDQA_DATA", raising=False)


def rows(*numbers, **changed):
    options = {"A": "x", "B": "y", "C": "z", "D": "w"}
    return [
        {"question": f"Which {n}?", "options": options, "answer": "y", "answer_idx": "B"} | changed for n in numbers
    ]


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, content)), encoding="utf-8")
    return path


def stems(loaded):
    return [question.stem for question in loaded.questions]


def test_a_folder_has_a_file_for_each_split(tmp_path):
    write(tmp_path / "train.jsonl", rows(1, 2))
    write(tmp_path / "dev.jsonl", rows(3))
    assert stems(load(str(tmp_path))) == ["Which 1?", "Which 2?"]
    assert stems(load(str(tmp_path), "validation")) == ["Which 3?"]


def test_csv_json_and_parquet_files_are_found_too(tmp_path):
    import pyarrow
    import pyarrow.parquet

    (tmp_path / "train.csv").write_text("question,A,B,answer\nWhich 1?,x,y,B\n")
    (tmp_path / "validation.json").write_text(json.dumps(rows(2)))
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows(3)), tmp_path / "test.parquet")
    assert [stems(load(str(tmp_path), split)) for split in ("train", "validation", "test")] == [
        ["Which 1?"],
        ["Which 2?"],
        ["Which 3?"],
    ]


def test_a_missing_split_says_which_files_were_looked_for(tmp_path):
    write(tmp_path / "own" / "train.jsonl", rows(1))
    with pytest.raises(DatasetError) as error:
        load(str(tmp_path / "own"), "validation")
    assert "own has no validation split. Looked for validation, valid, val, dev, test with .jsonl" in str(error.value)


def test_a_single_file_always_holds_out_the_same_fifth(tmp_path):
    path = str(write(tmp_path / "own.jsonl", rows(*range(200))))
    train, held_out = load(path), load(path, "validation")
    assert 20 < len(held_out.questions) < 60
    assert sorted(stems(train) + stems(held_out)) == sorted(f"Which {n}?" for n in range(200))
    write(tmp_path / "own.jsonl", rows(*range(100, 300)))
    assert set(stems(load(path, "validation"))) - set(stems(held_out)) <= {f"Which {n}?" for n in range(200, 300)}
    assert set(stems(load(path, limit=50))) <= set(f"Which {n}?" for n in range(300)) - set(stems(held_out))


def test_both_parts_of_a_single_file_are_those_that_are_loaded_one_by_one(tmp_path):
    path = write(tmp_path / "own.jsonl", [*rows(*range(40)), *rows(*range(40, 60), answer_idx=None)])
    assert load_parts(path) == (load(str(path)), load(str(path), "validation"))


def test_a_file_of_which_nothing_is_held_out_has_an_empty_part_to_measure_on(tmp_path):
    held_out = stems(load(str(write(tmp_path / "own.jsonl", rows(*range(40)))), "validation"))
    kept = [row for row in rows(*range(40)) if row["question"] not in held_out]
    train, measured = load_parts(write(tmp_path / "own.jsonl", kept))
    assert (len(train.questions), measured.questions) == (len(kept), ())
    write(tmp_path / "own.jsonl", [row for row in rows(*range(40)) if row["question"] in held_out])
    with pytest.raises(DatasetError, match=r"own.jsonl has no usable question in train \(no rows\)"):
        load_parts(tmp_path / "own.jsonl")


def test_the_skipped_rows_of_a_single_file_are_counted_once(tmp_path):
    path = str(write(tmp_path / "own.jsonl", rows(*range(40)) + rows(*range(40, 60), answer_idx=None)))
    skipped = [load(path, split).skipped_by_reason.get("no key", 0) for split in ("train", "validation")]
    assert sum(skipped) == 20


def test_a_single_file_has_no_test_split(tmp_path):
    with pytest.raises(DatasetError, match="it has the splits train and validation"):
        load(str(write(tmp_path / "own.jsonl", rows(1))), "test")


def test_a_limit_takes_a_seeded_sample(tmp_path):
    write(tmp_path / "train.jsonl", rows(*range(50)))
    first = load(str(tmp_path), limit=5, seed=1)
    assert first == load(str(tmp_path), limit=5, seed=1)
    assert stems(first) != stems(load(str(tmp_path), limit=5, seed=2))
    assert stems(load(str(tmp_path), limit=10, seed=1))[:5] == stems(first)


def test_more_than_there_is_cannot_be_had(tmp_path):
    write(tmp_path / "own" / "train.jsonl", rows(*range(3)))
    with pytest.raises(DatasetError, match=r"^5,000 examples asked for, own has 3\. Choose fewer\.$"):
        load(str(tmp_path / "own"), limit=5000)
    with pytest.raises(DatasetError, match="Choose at least 1"):
        load(str(tmp_path / "own"), limit=0)


def test_a_question_asked_twice_is_left_out_and_counted(tmp_path):
    shuffled = {"A": "y", "B": "X", "C": "z", "D": "w"}
    again = rows(1, options=shuffled, answer_idx="A")
    write(tmp_path / "train.jsonl", rows(1, 2) + again + rows(2, options=shuffled | {"D": "other"}, answer_idx="A"))
    loaded = load(str(tmp_path))
    assert stems(loaded) == ["Which 1?", "Which 2?", "Which 2?"]
    assert loaded.skipped_by_reason == {"duplicate question": 1}


def test_what_is_held_out_is_never_trained_on(tmp_path):
    write(tmp_path / "train.jsonl", rows(1, 2, 3))
    write(tmp_path / "test.jsonl", rows(2))
    loaded = load(str(tmp_path))
    assert stems(loaded) == ["Which 1?", "Which 3?"]
    assert loaded.skipped_by_reason == {"question also held out": 1}
    assert stems(load(str(tmp_path), "validation")) == ["Which 2?"]


def test_the_data_folder_comes_before_the_hub(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDQA_DATA", str(tmp_path))
    write(tmp_path / "medqa_usmle" / "train.jsonl", rows(1))
    write(tmp_path / "medqa_usmle" / "train_5_options.jsonl", rows(5))
    assert stems(load("medqa_usmle")) == ["Which 1?"]
    assert stems(load("medqa_usmle_5")) == ["Which 5?"]


def test_an_unreachable_hub_names_the_ways_out(tmp_path, monkeypatch):
    import datasets as hub

    monkeypatch.setattr(hub.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub.config, "HF_DATASETS_CACHE", tmp_path)
    with pytest.raises(DatasetError) as error:
        load("medmcqa")
    assert "medmcqa could not be had from the Hugging Face Hub" in str(error.value)
    assert "MEDQA_DATA" in str(error.value) and "handbook" in str(error.value)
    assert hub.config.HF_HUB_OFFLINE is True


def test_a_hub_without_a_validation_split_is_scored_on_its_test_split(monkeypatch):
    import datasets as hub

    monkeypatch.setattr(hub.config, "HF_HUB_OFFLINE", True)
    splits = {"train": hub.Dataset.from_list(rows(1, 2)), "test": hub.Dataset.from_list(rows(2, 3))}
    monkeypatch.setattr(hub, "load_dataset", lambda hub_id: hub.DatasetDict(splits))
    assert stems(load("medqa_usmle")) == ["Which 1?"]
    assert stems(load("medqa_usmle", "validation")) == ["Which 2?", "Which 3?"]


def test_five_options_come_from_a_local_copy_only():
    with pytest.raises(DatasetError, match=r"medqa_usmle_5 is loaded from a local copy only.*MEDQA_DATA"):
        load("medqa_usmle_5")


@pytest.mark.parametrize(
    ("name", "split", "message"),
    [
        ("no/such", "train", "There is no data set no/such. Choose handbook, medmcqa, medqa_usmle"),
        ("medmcqa", "dev", "medmcqa has no split dev. It has train, validation, test."),
        ("handbook", "validation", "handbook has no split validation. It has train, test, read, unknown."),
    ],
)
def test_an_unknown_name_or_split_is_said_with_those_there_are(name, split, message):
    with pytest.raises(DatasetError, match=message):
        load(name, split)


def test_data_without_one_usable_question_are_refused(tmp_path):
    write(tmp_path / "own" / "train.jsonl", rows(1, 2, answer_idx=None))
    with pytest.raises(DatasetError, match=r"own has no usable question in train \(no key: 2\)"):
        load(str(tmp_path / "own"))


def test_the_base_of_numeric_keys_can_be_stated(tmp_path):
    row = {"question": "Which?", "opa": "w", "opb": "x", "opc": "y", "opd": "z", "cop": 1}
    write(tmp_path / "train.jsonl", [row])
    with pytest.raises(DatasetError, match="cop_base"):
        load(str(tmp_path))
    assert load(str(tmp_path), cop_base=1).questions[0].key == "A"


def test_the_fingerprint_changes_with_the_content_only(tmp_path):
    write(tmp_path / "train.jsonl", rows(1, 2))
    first, second = load(str(tmp_path)).questions
    whole = fingerprint([first, second])
    assert len(whole) == 64
    assert fingerprint([replace(first, source="elsewhere"), second]) == whole
    assert fingerprint([second, first]) != whole
    for changed in ({"stem": "Why?"}, {"answer": 0}, {"explanation": "So."}, {"options": ("x", "y")}):
        assert fingerprint([replace(first, **changed), second]) != whole


def test_every_built_in_name_is_described_and_has_a_held_out_split():
    assert list(NAMES) == ["handbook", "medmcqa", "medqa_usmle", "medqa_usmle_5", "disputes"]
    assert [held_out_split(name) for name in NAMES] == ["test", *["validation"] * 4]
    assert held_out_split("own.csv") == "validation"


@pytest.mark.skipif(not DATA.is_dir(), reason="the real data are not here")
@pytest.mark.parametrize("name", ["medmcqa", "medqa_usmle"])
@pytest.mark.parametrize("split", ["train", "validation"])
def test_every_real_row_is_loaded_or_counted(name, split, monkeypatch):
    monkeypatch.setenv("MEDQA_DATA", str(DATA))
    loaded = load(name, split)
    with (DATA / name / f"{split}.jsonl").open(encoding="utf-8") as file:
        assert len(loaded.questions) + len(loaded.skipped) == sum(1 for _ in file)
    assert sum(loaded.skipped_by_reason.values()) == len(loaded.skipped) < 0.02 * len(loaded.questions)


def test_loading_needs_no_torch():
    import subprocess
    import sys

    code = "import sys, medqa.datasets, medqa.paste; print({'torch', 'datasets', 'gradio'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert found.stdout.strip() == "set()", found.stderr
