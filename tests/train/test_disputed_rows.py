"""A run that leaves out rows whose key was marked wrong, and one that trains on the corrected ones."""

import json
import os
from dataclasses import replace

import pytest

from medqa import datasets, runs
from medqa.disputes import Dispute, keep
from medqa.question import Explanation
from medqa.receipt import Made, Receipt
from medqa.runs import Run
from medqa.ui import run_views

pytestmark = pytest.mark.model
MADE = Made("medqa-nano", "9860", None, None, "cpu", "2 cores", "float32", {})


@pytest.fixture
def disputed(tiny_spec, tmp_path, monkeypatch):
    """Three training rows whose key was marked wrong, with the first other option as the right one."""
    monkeypatch.setenv("MEDQA_DEVICE", "cpu")
    monkeypatch.setenv("MEDQA_RUNS", str(tmp_path / "runs"))
    rows = datasets.load(tiny_spec.dataset).questions[:3]
    for question in rows:
        scores = tuple(-1.0 - i for i in range(len(question.options)))
        receipt = Receipt(question, scores, Explanation("Because."), MADE, "2026-11-24")
        keep(Dispute(receipt, "wrong key", right=0 if question.answer else 1), tmp_path / "runs")
    return rows


@pytest.fixture
def trained(tiny_spec, tmp_path):
    """trained(settings): a short run made in this process; the run and its adapter's card."""
    from train.__main__ import main

    def made(**settings):
        spec = replace(tiny_spec, name="short-1", epochs=1, evaluations=1, **settings)
        run = Run(tmp_path / "runs" / spec.name)
        run.folder.mkdir(parents=True)
        run.write_spec(spec)
        (run.folder / "reserve").write_bytes(os.urandom(runs.RESERVE_BYTES))
        assert main(str(run.folder)) == 0
        return run, json.loads((run.adapter / "medqa.json").read_text())

    return made


def test_disputed_rows_are_left_out_and_the_record_says_how_many(disputed, trained, tiny_spec):
    everything = datasets.load(tiny_spec.dataset).questions
    run, card = trained(disputed_rows="leave out")
    seen = runs.progress_of(run)
    kept = tuple(question for question in everything if question not in disputed)
    assert seen.prepared["left_out"] == card["left_out"] == {"disputed key": 3}
    assert seen.prepared["rows"] == card["rows"] == len(everything) - 3
    assert card["rows_sha256"] == datasets.fingerprint(kept)
    assert card["spec"]["disputed_rows"] == "leave out"
    assert "3 rows left out (3 disputed key)" in run_views.log(seen.messages)


def test_disputed_rows_are_kept_unless_the_run_is_told_otherwise(disputed, trained, tiny_spec):
    _, card = trained()
    assert card["left_out"] == {}
    assert card["rows"] == len(datasets.load(tiny_spec.dataset).questions)


def test_a_run_trains_on_the_corrected_keys(disputed, trained):
    _, card = trained(dataset="disputes", batch_size=1)
    corrected = datasets.load("disputes").questions
    assert card["rows_sha256"] == datasets.fingerprint(corrected)
    assert all(question.answer in (0, 1) for question in corrected)
