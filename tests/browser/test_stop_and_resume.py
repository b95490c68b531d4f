"""A run is stopped, resumed, killed, watched by two visitors, and outlives the server."""

import os
import re
import signal
import time

import pytest
from playwright.sync_api import expect

from medqa import runs
from tests.browser.conftest import RUN_SECONDS

pytestmark = pytest.mark.browser

# Short steps, twelve an epoch, four epochs: long enough to be met in the middle, soon over.
STEPS = {"batch_size": 4, "lora_rank": 4, "target_modules": "q_proj", "evaluations": 1}
TOTAL = re.compile(r"step ([\d,]+) of ([\d,]+)")
SECONDS_TO_NOTICE = 10


@pytest.fixture
def short_run(fine_tune, questions_file):
    return lambda page, name, epochs=4: fine_tune(page, name, dataset=questions_file, epochs=epochs, **STEPS)


def test_a_stopped_run_gives_an_adapter_and_goes_on_to_its_last_step(opened, page, short_run, until_finished):
    opened(page)
    name = short_run(page, "stopped-1")
    wait_for_step(page, 5)
    page.locator("#stop").click()
    expect(page.locator("#live")).to_contain_text(f"{name} · stopped")
    expect(page.locator("#stop")).to_be_disabled()
    step, total = steps(page)
    assert 5 <= step < total

    page.get_by_role("tab", name="Answer").click()
    # Comes with the adapter; a list opened before them is closed again when they come.
    expect(page.locator("#adapter-hint")).not_to_contain_text("No adapter yet")
    page.locator("#adapter input").click()
    expect(page.get_by_role("option", name=re.compile(name))).to_be_visible()
    page.keyboard.press("Escape")

    page.get_by_role("tab", name="Fine-tune").click()
    page.locator("#resume").click()
    expect(page.locator("#live")).to_contain_text("running")
    expect(page.locator("#resume")).to_be_hidden()
    until_finished(page, name)
    assert steps(page) == (total, total)
    expect(page.locator("#use")).to_be_visible()


def test_two_visitors_see_a_killed_run_as_interrupted_and_may_resume_it(
    opened, server, page, new_page, short_run, until_finished
):
    opened(page)
    name = short_run(page, "killed-1")
    second = new_page()
    opened(second)
    second.get_by_role("tab", name="Fine-tune").click()
    expect(second.locator("#run-shown input")).to_have_value(name)
    expect(second.locator("#live")).to_contain_text(f"{name} · running")
    # A checkpoint is written each fifth of the way.
    wait_until(lambda: runs.named(server.runs, name).checkpoints())

    [trainer] = server.trainers(name)
    os.kill(trainer, signal.SIGKILL)
    began = time.monotonic()
    for visitor in (page, second):
        expect(visitor.locator("#live")).to_contain_text(f"{name} · interrupted")
        expect(visitor.locator("#live")).to_contain_text("Resume goes on from its last checkpoint.")
        expect(visitor.locator("#resume")).to_be_visible()
    seconds = time.monotonic() - began
    print(f"interruption shown after {seconds:.1f} s")
    assert seconds < SECONDS_TO_NOTICE

    second.locator("#resume").click()
    for visitor in (page, second):
        until_finished(visitor, name)
        step, total = steps(visitor)
        assert step == total


def test_a_run_outlives_the_server_and_a_restarted_one_shows_it(opened, server, page, watch, short_run, until_finished):
    # While the server is away the page's polls fail, and the browser says so.
    watch.harmless += ["ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_INCOMPLETE_CHUNKED_ENCODING"]
    watch.harmless += ["TypeError: network error", "TypeError: Failed to fetch", "Connection errored out."]
    opened(page)
    name = short_run(page, "outlives-1")
    wait_for_step(page, 2)
    step, _ = steps(page)
    server.kill()
    assert server.trainers(name)
    server.start()

    opened(page)
    page.get_by_role("tab", name="Fine-tune").click()
    expect(page.locator("#run-shown input")).to_have_value(name)
    expect(page.locator("#live")).to_contain_text(re.compile(f"{name} · (running|finished)"))
    assert steps(page)[0] >= step
    until_finished(page, name)
    step, total = steps(page)
    assert step == total


def test_a_second_start_says_which_run_holds_the_device(opened, server, page, short_run):
    opened(page)
    name = short_run(page, "first-1")
    page.locator("#run-name input").fill("second-1")
    page.locator("#start").click()
    expect(page.locator("#start-problem")).to_contain_text(f"busy with the run “{name}”")
    assert not (server.runs / "second-1").exists()


def test_a_double_click_on_start_begins_one_run_and_complains_of_nothing(opened, server, page):
    opened(page)
    page.get_by_role("tab", name="Fine-tune").click()
    page.locator("#run-name input").fill("twice-1")
    page.locator("#start").dblclick(delay=100)
    expect(page.locator("#live")).to_contain_text("twice-1 · running")
    page.wait_for_timeout(1000)  # what the second click would be answered
    expect(page.locator("#start-problem p")).to_have_count(0)
    assert [run.name for run in runs.all_runs(server.runs)][:1] == ["twice-1"]


def steps(page):
    """(step, total) as the page says them."""
    expect(page.locator("#live")).to_contain_text(TOTAL)
    return tuple(int(number.replace(",", "")) for number in TOTAL.search(page.locator("#live").inner_text()).groups())


def wait_for_step(page, wanted):
    wait_until(lambda: steps(page)[0] >= wanted)


def wait_until(condition):
    until = time.monotonic() + RUN_SECONDS
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)
