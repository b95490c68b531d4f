import fcntl
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from medqa.runs import EventWriter, Run
from medqa.settings import Settings
from medqa.spec import RunSpec
from medqa.ui import charts, fine_tune_tab

DATASET = "/srv/visitors/cases.jsonl"


@pytest.fixture
def settings(tmp_path):
    return Settings(runs=tmp_path)


@pytest.fixture
def run(settings):
    found = Run(settings.runs / "quick-1")
    found.folder.mkdir()
    found.write_spec(RunSpec(name="quick-1", dataset=DATASET))
    write = EventWriter(found)
    figures = {"gradient_norm": 0.5, "learning_rate": 2e-4, "tokens_per_second": 4100, "memory": 2**30}
    for number in range(1, 31):
        write("step", step=number, seconds=float(number), loss=5.0 if number == 25 else 1 + number % 3 / 10, **figures)
    write("failed", reason=f"{DATASET} is gone.")
    return found


def charts_shown(settings, run, chosen, already=()):
    _, _, curves, *_, version = fine_tune_tab.panel_of(settings, run.name, chosen, already)
    return curves, version


def test_the_charts_chosen_are_shown_and_no_others(settings, run):
    alone, _ = charts_shown(settings, run, [])
    assert alone.count("<figcaption>") == 1
    assert "spike" not in alone
    marked, _ = charts_shown(settings, run, [charts.SPIKES, "tokens/s"])
    assert "spike (1)" in marked
    assert "<figcaption>Tokens per second</figcaption>" in marked


def test_a_new_choice_of_charts_is_drawn_although_the_run_has_not_changed(settings, run):
    alone, version = charts_shown(settings, run, [])
    again, _ = charts_shown(settings, run, [], version)
    assert not isinstance(again, str)
    more, _ = charts_shown(settings, run, ["memory"], version)
    assert more.startswith(alone.removesuffix("</figure>"))
    assert "Memory in GB" in more


def test_resuming_is_offered_once_the_stopped_process_has_left(settings, run):
    checkpoint = run.folder / "checkpoints" / "checkpoint-30"
    checkpoint.mkdir(parents=True)
    (checkpoint / "complete").touch()
    EventWriter(run)("stopped", step=30)
    with (run.folder / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        *_, resume, _, version = fine_tune_tab.panel_of(settings, run.name, [], ())
        assert not resume["visible"]
    *_, resume, _, _ = fine_tune_tab.panel_of(settings, run.name, [], version)
    assert resume["visible"]


def test_a_run_is_exported_as_json_under_its_name(settings, run):
    said, file = fine_tune_tab.export_file(settings, run.name)
    assert said == ""
    assert re.fullmatch(r"quick-1-\w{12}\.json", Path(file).name)
    exported = json.loads(Path(file).read_text())
    assert exported["spec"]["dataset"] == DATASET
    assert len(exported["events"]) == 31


def test_on_a_public_page_an_export_names_no_folder_of_the_server(settings, run):
    _, file = fine_tune_tab.export_file(replace(settings, public=True), run.name)
    text = Path(file).read_text()
    assert "/srv" not in text
    assert "cases.jsonl is gone." in text


def test_without_a_run_there_is_nothing_to_export_and_the_page_says_so(settings):
    said, file = fine_tune_tab.export_file(settings, None)
    assert "There is no run" in said
    assert not isinstance(file, str)
