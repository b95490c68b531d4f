import json

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


def test_the_rows_bring_no_file_that_could_run_code(finished_run):
    endings = {path.suffix for path in finished_run.adapter.rglob("*") if path.is_file()}
    assert endings <= {".json", ".jsonl", ".npy", ".safetensors", ".md", ".txt"}
