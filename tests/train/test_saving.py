import json
from pathlib import Path

import pytest

from medqa import datasets
from medqa.datasets import fingerprint
from medqa.probes.neighbours import neighbours
from medqa.training_rows import FOLDER

pytestmark = pytest.mark.model


def test_a_finished_runs_adapter_carries_the_rows_it_was_trained_on(finished_run, tiny_spec):
    trained_on = datasets.load(tiny_spec.dataset, "train", limit=tiny_spec.rows, seed=tiny_spec.seed).questions
    card = json.loads((finished_run.adapter / "medqa.json").read_text())
    assert card["rows_sha256"] == fingerprint(trained_on)
    for question in trained_on[:10]:
        result = neighbours(question, finished_run.adapter)
        assert result.rows == len(trained_on)
        assert result.found[0].row == question


def test_no_held_out_question_is_among_them(finished_run, tiny_spec):
    held_out = datasets.load(tiny_spec.dataset, "validation").questions
    lines = (finished_run.adapter / FOLDER / "rows.jsonl").read_text().splitlines()
    assert held_out
    assert {json.loads(line)["stem"] for line in lines}.isdisjoint(question.stem for question in held_out)


def test_an_adapter_says_of_itself_to_people_what_it_is_and_no_folder_of_this_machine(finished_run, tiny_spec):
    card = json.loads((finished_run.adapter / "medqa.json").read_text())
    text = (finished_run.adapter / "README.md").read_text()
    before, after = (card["scores"]["validation"][when] for when in ("before", "after"))
    assert text.startswith("---\nlibrary_name: peft\n---\n\n# tiny-1\n")
    for line in (
        f"- Base model: {Path(tiny_spec.base_model).name}, revision `{card['base_revision']}`",
        f"- Data set: cases.jsonl, {card['rows']} rows",
        f"- Steps: 96 of 96; the weights are those after step {card['step']}",
        f"- Right on held-out questions (validation): {before['correct']} of 5 before, {after['correct']} of 5 after",
        "python -m medqa ask --adapter tiny-1 < question.txt",
    ):
        assert f"\n{line}\n" in text
    assert "not medical advice" in text
    for named in (tiny_spec.base_model, tiny_spec.dataset, str(finished_run.folder)):
        assert str(Path(named).parent) not in text


def test_a_base_model_of_the_hub_is_linked_and_a_score_nobody_measured_is_said_to_be_none():
    from train.model_card import model_card

    made = {"base_model": "Qwen/Qwen3-1.7B", "base_revision": "70d2", "dataset": "medmcqa", "rows": 2000}
    text = model_card("recipe-1", made | {"step": 3, "steps": 3, "total_steps": 250, "scores": {"validation": {}}})
    assert "\nbase_model: Qwen/Qwen3-1.7B\n---\n" in text
    assert "\n- Data set: medmcqa, 2,000 rows\n" in text
    assert "\n- Right on held-out questions (validation): not measured\n" in text


def test_the_rows_bring_no_file_that_could_run_code(finished_run):
    endings = {path.suffix for path in finished_run.adapter.rglob("*") if path.is_file()}
    assert endings <= {".json", ".jsonl", ".npy", ".safetensors", ".md", ".txt"}
