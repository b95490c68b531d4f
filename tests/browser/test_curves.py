"""A visitor looks closer at a finished run: switches charts on and off, and takes the run home as a file."""

import json
import re
from functools import partial

import pytest
from playwright.sync_api import expect

from medqa.runs import EventWriter, Run
from medqa.spec import PRESETS, RunSpec

pytestmark = pytest.mark.browser

STEPS = 40
SPIKE_AT = 30


@pytest.fixture
def finished(server):
    """A run as a trainer records it, with one loss far above the others, whose best adapter is not its last."""
    run = Run(server.runs / "curves-1")
    run.folder.mkdir(parents=True)
    run.write_spec(RunSpec.from_json(PRESETS["quick"].spec.to_json() | {"name": run.name}))
    write = EventWriter(run)
    write("started")
    counts = dict.fromkeys(("rows", "held_out", "too_long", "cut", "trainable", "parameters", "micro_batch"), 1)
    said = {"held_out_split": "test", "left_out": {}, "device": "CPU", "device_reason": "test"}
    write("prepared", from_step=0, total_steps=STEPS, **counts, **said)
    write("evaluated", step=0, seconds=0.5, loss=5.0, correct=27, total=100, kept=False)
    figures = {"learning_rate": 2e-4, "gradient_norm": 0.5, "tokens_per_second": 4100, "memory": 2**30}
    for step in range(1, STEPS + 1):
        loss = 9.0 if step == SPIKE_AT else 3 - step / 20 + step % 3 / 10
        write("step", step=step, seconds=float(step), loss=loss, **figures)
        if step % 20 == 0:
            write("evaluated", step=step, seconds=step + 0.5, loss=2.0, correct=100 - step, total=100, kept=step == 20)
    before, after = {"step": 0, "correct": 27, "total": 100}, {"step": 20, "correct": 80, "total": 100}
    write("done", step=STEPS, seconds=41.0, scores={"test": {"before": before, "after": after}})
    return run


def test_charts_are_switched_on_and_off_and_the_run_is_taken_home_as_a_file(opened, page, finished, tmp_path):
    opened(page)
    page.get_by_role("tab", name="Fine-tune").click()
    expect(page.locator("#run-shown input")).to_have_value(finished.name)
    # By role: a chart that is shown has the name of its switch too.
    switch = partial(page.get_by_role, "checkbox")
    curves, titles = page.locator("#curves"), page.locator("#curves figcaption")
    expect(page.locator("#live")).to_contain_text("The adapter of step 20 is the one saved: best of 2 evaluations.")
    expect(titles).to_have_text(["Loss", "Right on held-out questions"])
    expect(curves).to_contain_text("spike (1)")

    switch(name="loss spikes").uncheck()
    expect(curves).not_to_contain_text("spike")
    for name in ("memory", "gradient norm"):
        switch(name=name).check()
    expect(titles).to_have_text(["Loss", "Gradient norm", "Memory in GB", "Right on held-out questions"])
    switch(name="memory").uncheck()
    expect(titles).to_have_text(["Loss", "Gradient norm", "Right on held-out questions"])
    # A poll or two later the choice still stands.
    page.wait_for_timeout(2500)
    expect(titles).to_have_count(3)

    with page.expect_download() as download:
        page.get_by_role("button", name="Export this run").click()
    assert re.fullmatch(rf"{finished.name}-\w{{12}}\.json", download.value.suggested_filename)
    download.value.save_as(tmp_path / "taken-home.json")
    exported = json.loads((tmp_path / "taken-home.json").read_text())
    assert [event["event"] for event in exported["events"]].count("step") == STEPS
    assert exported["status"]["best_step"] == 20
