"""A run that leaves out rows whose key was marked wrong, and one that trains on the corrected ones."""

import json
from dataclasses import replace

import pytest

from medqa import datasets, launch, runs
from medqa.disputes import Dispute, keep
from medqa.question import Explanation
from medqa.receipt import Made, Receipt
from medqa.ui import run_views
from tests.train.in_process import go_on, new_run

pytestmark = pytest.mark.model
MADE = Made("medqa-nano", "9860", None, None, "cpu", "2 cores", "float32", {})


@pytest.fixture
def disputed(tiny_spec, tmp_path, monkeypatch):
    """Three training rows whose key was marked wrong, with the first other option as the right one."""
    monkeypatch.setenv("MEDQA_DEVICE", "cpu")
    monkeypatch.setenv("MEDQA_RUNS", str(tmp_path / "runs"))
    rows = datasets.load(tiny_spec.dataset).questions[:3]
    for question in rows:
        mark(question, tmp_path / "runs")
    return rows


def mark(question, folder):
    scores = tuple(-1.0 - i for i in range(len(question.options)))
    receipt = Receipt(question, scores, Explanation("Because."), MADE, "2026-11-24")
    keep(Dispute(receipt, "wrong key", right=0 if question.answer else 1), folder)


@pytest.fixture
def ready(tiny_spec, tmp_path):
    """ready(settings): a short run that has not begun."""
    return lambda **settings: new_run(
        tmp_path / "runs", replace(tiny_spec, name="short-1", epochs=1, evaluations=1, **settings)
    )


@pytest.fixture
def trained(ready):
    """trained(settings): such a run made in this process; the run and its adapter's card."""

    def made(**settings):
        run = ready(**settings)
        assert go_on(run).status == "done"
        return run, card_of(run)

    return made


def card_of(run):
    return json.loads((run.adapter / "medqa.json").read_text())


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


@pytest.mark.parametrize(
    "settings", [{"disputed_rows": "leave out"}, {"dataset": "disputes", "batch_size": 1}], ids=str
)
def test_marks_made_while_a_run_is_stopped_are_left_to_the_next_run(disputed, ready, tiny_spec, settings):
    run = ready(**settings)
    launch.stop(run)
    stopped, before = go_on(run), card_of(run)
    assert stopped.status == "stopped"
    for question in datasets.load(tiny_spec.dataset).questions[3:9]:
        mark(question, run.folder.parent)
    run.stop_file.unlink()
    seen, after = go_on(run), card_of(run)
    assert (seen.status, seen.prepared["from_step"]) == ("done", 1)
    assert after["rows_sha256"] == before["rows_sha256"]
    assert seen.prepared["held_out"] == stopped.prepared["held_out"]


def test_the_marks_that_count_lie_beside_the_run_wherever_its_process_has_its_own_runs(
    disputed, trained, monkeypatch, tmp_path
):
    """A second host's processes are started by hand, without the first one's settings."""
    monkeypatch.setenv("MEDQA_RUNS", str(tmp_path / "elsewhere"))
    _, card = trained(disputed_rows="leave out")
    assert card["left_out"] == {"disputed key": 3}
