import fcntl
import json
import os
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from medqa.runs import EventWriter, Run
from medqa.settings import Settings
from medqa.spec import RunSpec
from medqa.ui import charts, fine_tune_tab
from medqa.ui.spec_form import FORM, form_value

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


def test_a_failed_run_that_has_an_adapter_offers_to_answer_with_it(settings, run):
    *_, use, version = fine_tune_tab.panel_of(settings, run.name, [], ())
    assert not use["visible"]
    run.adapter.mkdir()
    (run.adapter / "adapter_config.json").touch()
    _, panel, *_, use, _ = fine_tune_tab.panel_of(settings, run.name, [], version)
    assert use["visible"]
    assert "“Answer with this adapter” chooses it." in panel


def test_a_run_is_exported_as_json_under_its_name(settings, run):
    said, file = fine_tune_tab.export_file(settings, run.name)
    assert said == ""
    assert re.fullmatch(r"quick-1-\w{12}\.json", Path(file).name)
    exported = json.loads(Path(file).read_text())
    assert exported["spec"]["dataset"] == DATASET
    assert len(exported["events"]) == 31


def test_on_a_public_page_an_export_names_no_folder_of_the_server(settings, run):
    _, file = fine_tune_tab.export_file(replace(settings, public=True), run.name)
    EventWriter(run)("note", message="/srv/models/other/config.json is missing.")
    _, file = fine_tune_tab.export_file(replace(settings, public=True), run.name)
    text = Path(file).read_text()
    assert "/srv" not in text
    assert "config.json is missing." in text
    assert "cases.jsonl is gone." in text


def test_without_a_run_there_is_nothing_to_export_and_the_page_says_so(settings):
    said, file = fine_tune_tab.export_file(settings, None)
    assert "Choose a run first." in said
    assert not isinstance(file, str)


def test_who_presses_stop_or_resume_without_a_run_is_told_to_choose_one(settings):
    assert "Choose a run first." in fine_tune_tab.stopped(settings, None, "Stop")[0]
    assert "Choose a run first." in fine_tune_tab.resumed(settings, "")


def test_a_public_page_does_not_say_where_the_runs_are_and_the_log_does(settings, capsys):
    assert str(settings.runs) in fine_tune_tab.resumed(settings, "none-1")
    said = fine_tune_tab.resumed(replace(settings, public=True), "none-1")
    assert f"There is no run “none-1” in {settings.runs.name}." in said
    assert str(settings.runs.parent) not in said
    assert str(settings.runs) in capsys.readouterr().err


def test_what_a_trainer_says_of_a_file_is_shown_without_its_folder(settings, run):
    EventWriter(run)("note", message=f"Accuracy is not measured: {DATASET} has none.")
    _, panel, _, log, *_ = fine_tune_tab.panel_of(settings, run.name, [], ())
    assert "cases.jsonl is gone." in panel
    assert "cases.jsonl has none." in log
    assert "/srv" not in panel + log


def test_a_public_page_shows_no_folder_that_a_trainer_names(settings, run):
    EventWriter(run)("failed", reason="The adapter can't be written in /srv/medqa/runs/quick-1: no such file.")
    _, panel, *_ = fine_tune_tab.panel_of(replace(settings, public=True), run.name, [], ())
    assert "be written in quick-1: no such file." in panel


@pytest.mark.model
def test_an_error_of_the_preview_names_the_file_without_its_folder(settings, monkeypatch):
    from medqa import estimate
    from medqa.datasets.rows import DatasetError

    def fails(spec, folder, device):
        raise DatasetError(f"None of 3 questions of {spec.dataset} fits.")

    monkeypatch.setattr(estimate, "preview", fails)
    values = tuple(form_value(field, RunSpec(dataset=DATASET)) for field in FORM)
    assert "None of 3 questions of cases.jsonl fits." in fine_tune_tab.shown_preview(settings, values)


# Stopping


@pytest.fixture
def going_on(settings, run):
    """The run with a process that holds its lock, and what the button to stop it says."""
    EventWriter(run)("resumed")
    with (run.folder / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield lambda: fine_tune_tab.panel_of(settings, run.name, [], ())[4]


def test_once_asked_to_stop_the_button_says_that_pressing_it_again_does_not_wait(settings, run, going_on):
    assert going_on() == button("Stop")
    said, pressed = fine_tune_tab.stopped(settings, run.name, "Stop")
    assert said == ""
    assert pressed["interactive"] is False
    assert run.stop_file.exists()
    # Not under the second click of somebody impatient.
    assert going_on() == button("Stop", interactive=False)
    asked = time.time() - fine_tune_tab.SECOND_CLICK_SECONDS
    os.utime(run.stop_file, (asked, asked))
    assert going_on() == button("Stop at once")


def test_that_a_run_is_stopping_is_said_while_it_does_and_no_longer(settings, run, going_on):
    def panel():
        return fine_tune_tab.panel_of(settings, run.name, [], ())[1]

    assert "Stopping after this step" not in panel()
    fine_tune_tab.stopped(settings, run.name, "Stop")
    assert "Stopping after this step" in panel() and "“Stop at once” does not wait" in panel()
    EventWriter(run)("stopped", step=1, seconds=1.0)
    assert "Stopping after this step" not in panel()


def button(label, interactive=True):
    import gradio as gr

    return gr.update(value=label, interactive=interactive)


def test_what_stood_on_the_button_is_what_pressing_it_does(settings, run, going_on, monkeypatch):
    asked = []
    monkeypatch.setattr(fine_tune_tab.launch, "stop", lambda run, at_once: asked.append(at_once))
    fine_tune_tab.stopped(settings, run.name, "Stop")
    # Another visitor, whose page does not say yet that the run is stopping.
    fine_tune_tab.stopped(settings, run.name, "Stop")
    said, _ = fine_tune_tab.stopped(settings, run.name, "Stop at once")
    assert asked == [False, False, True]
    assert "The run has ended." in said


def test_a_process_that_cannot_be_ended_is_told(settings, run, going_on):
    said, pressed = fine_tune_tab.stopped(settings, run.name, "Stop at once")
    assert "is not found on this machine" in said
    assert "value" not in pressed


def test_a_second_click_on_resume_is_not_told_that_the_run_it_resumed_holds_the_device(settings, run, going_on):
    assert fine_tune_tab.resumed(settings, run.name) == ""


def test_a_run_that_has_ended_has_nothing_to_stop(settings, run):
    run.stop_file.touch()
    assert fine_tune_tab.panel_of(settings, run.name, [], ())[4] == button("Stop", interactive=False)


# What visitors may go on with


def test_a_visitor_neither_stops_nor_resumes_a_run_of_the_host(settings, run, monkeypatch):
    monkeypatch.setattr(fine_tune_tab.launch, "resume", lambda run: pytest.fail("resumed"))
    public = replace(settings, public=True)
    refusals = fine_tune_tab.resumed(public, run.name), fine_tune_tab.stopped(public, run.name, "Stop")[0]
    assert all("was begun by this page" in refusal for refusal in refusals)
    assert not run.stop_file.exists()
    run.visitor_file.touch()
    fine_tune_tab.stopped(public, run.name, "Stop")
    assert run.stop_file.exists()


def test_a_visitor_cannot_go_on_with_a_run_that_could_not_be_started_here(settings, run, monkeypatch):
    gone_on = []
    monkeypatch.setattr(fine_tune_tab.launch, "resume", gone_on.append)
    run.visitor_file.touch()
    run.write_spec(RunSpec(name="quick-1", batch_size=1024))
    said = fine_tune_tab.resumed(replace(settings, public=True), run.name)
    assert "Effective batch is 1,024; on this public page it can be at most 64" in said
    assert gone_on == []
    assert fine_tune_tab.resumed(settings, run.name) == ""
    run.write_spec(RunSpec(name="quick-1"))
    assert fine_tune_tab.resumed(replace(settings, public=True), run.name) == ""
    assert gone_on == [run, run]


# The page


@pytest.fixture
def page(settings):
    import gradio as gr

    with gr.Blocks() as built:
        fine_tune_tab.fine_tune_tab(settings)
    return built


def test_one_data_set_is_read_at_a_time_for_a_preview_or_as_an_upload(page):
    reading = [event for event in page.fns.values() if event.concurrency_id == "rows"]
    assert [event.concurrency_limit for event in reading] == [1, 1, 1]


def emptied_by(page, emptied):
    """Of which components a change, told no server, empties this one."""
    ids = {block._id: block.elem_id for block in page.blocks.values() if getattr(block, "elem_id", None)}
    wired = [made for made in page.fns.values() if [ids.get(block._id) for block in made.outputs] == [emptied]]
    return {ids[source] for made in wired if made.js == fine_tune_tab.EMPTY for source, _ in made.targets}


def test_a_preview_goes_when_any_field_of_the_form_is_changed(page):
    assert emptied_by(page, "preview-text") == {f"field-{field}" for field in FORM}


def test_what_was_said_of_one_run_is_not_said_of_the_next_one_shown(page):
    assert emptied_by(page, "start-problem") == {"run-shown"}
