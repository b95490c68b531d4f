import shutil
import threading
from dataclasses import replace

import gradio as gr
import pytest

from medqa.runs import EventWriter, Run, RunError
from medqa.settings import Settings
from medqa.spec import RunSpec
from medqa.ui import charts, fine_tune_tab, shown_run


@pytest.fixture
def run(tmp_path):
    made = Run(tmp_path / "quick-1")
    made.folder.mkdir()
    made.write_spec(RunSpec(name="quick-1"))
    step(made, 1)
    return made


@pytest.fixture
def settings(tmp_path):
    return Settings(runs=tmp_path)


def step(run, number):
    figures = {"gradient_norm": 0.5, "learning_rate": 2e-4, "tokens_per_second": 4100, "memory": 2**30}
    EventWriter(run)("step", step=number, seconds=float(number), loss=1.0, **figures)


@pytest.fixture
def times_drawn(monkeypatch):
    drawn, draw = [], shown_run.run_views.run_panel
    monkeypatch.setattr(shown_run.run_views, "run_panel", lambda *of: drawn.append(of) or draw(*of))
    return drawn


def test_a_run_is_drawn_once_for_all_who_watch_it_and_again_when_it_has_gone_on(run, settings, times_drawn):
    visitors = [
        threading.Thread(target=lambda: shown_run.look(run).drawn([charts.SPIKES, "memory"], settings))
        for _ in range(8)
    ]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert len(times_drawn) == 1
    step(run, 2)
    shown_run.look(run).drawn([charts.SPIKES], settings)
    assert len(times_drawn) == 2


def test_the_order_in_which_charts_were_chosen_draws_nothing_anew(run, settings, times_drawn):
    one = shown_run.look(run).drawn(["memory", "tokens/s"], settings)
    assert shown_run.look(run).drawn(["tokens/s", "memory"], settings) == one
    assert len(times_drawn) == 1


def test_what_the_host_sees_of_folders_is_not_what_visitors_get(run, settings):
    EventWriter(run)("failed", reason="/srv/medqa/runs/quick-1 is full.")
    assert "/srv/medqa/runs/quick-1 is full." in shown_run.look(run).drawn([], settings).panel
    assert "/srv" not in shown_run.look(run).drawn([], replace(settings, public=True)).panel


def test_a_run_that_has_just_been_deleted_is_said_to_be_and_its_panel_waits_for_the_next_poll(
    run, settings, monkeypatch
):
    monkeypatch.setattr(fine_tune_tab.runs, "all_runs", lambda folder: [run])
    shutil.rmtree(run.folder)
    with pytest.raises(RunError, match="The run quick-1 has been deleted"):
        shown_run.look(run)
    assert fine_tune_tab.panel_of(settings, run.name, [], ()) == [gr.skip()] * 8
