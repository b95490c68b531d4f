"""Ending a run's process, with stand-ins for the trainer, its launcher, and those that must never be ended."""

import fcntl
import os
import signal
import subprocess
import sys

import pytest

from medqa import lock_holder, runs
from medqa.runs import EventWriter, Run, RunError

PATIENCE_SECONDS = 20
# Each says when it is ready, and would otherwise stay for ever.
WAITS = "import sys; print(flush=True); sys.stdin.read()"
IGNORES_THE_FIRST_SIGNAL = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAITS}"
LAUNCHES = f"""
import subprocess, sys
rank = subprocess.Popen([sys.executable, "-S", "-c", {WAITS!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
rank.stdout.readline()
print(rank.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


@pytest.fixture
def process(run):
    """process(code): a process that is `holding` the run's lock, or has its file open for `looking`, or neither."""
    started = []

    def start(code=WAITS, holding=False, looking=False):
        command = [sys.executable, "-S", "-c", code]
        with (run.folder / "lock").open("a") as lock:
            if holding:
                fcntl.flock(lock, fcntl.LOCK_EX)
            files = (lock.fileno(),) if holding or looking else ()
            started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=files))
        started[-1].said = started[-1].stdout.readline().strip()
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.communicate()


def speaks(run, number):
    EventWriter(run)("started", process=number)


def test_the_process_that_holds_the_lock_is_ended_and_the_run_shows_as_interrupted(run, process):
    trainer = process(holding=True)
    speaks(run, trainer.pid)
    lock_holder.end(run)
    assert trainer.wait(PATIENCE_SECONDS) == -signal.SIGTERM
    assert runs.progress_of(run).status == "interrupted"


def test_one_that_ignores_the_first_signal_is_killed(run, process, monkeypatch):
    monkeypatch.setattr(lock_holder, "SECONDS_TO_LEAVE", 0.3)
    trainer = process(IGNORES_THE_FIRST_SIGNAL, holding=True)
    speaks(run, trainer.pid)
    lock_holder.end(run)
    assert trainer.wait(PATIENCE_SECONDS) == -signal.SIGKILL


def test_of_several_devices_the_first_rank_speaks_and_its_launcher_is_ended(run, process):
    launcher = process(LAUNCHES, holding=True)
    speaks(run, int(launcher.said))
    lock_holder.end(run)
    assert launcher.wait(PATIENCE_SECONDS) == -signal.SIGTERM


def test_another_process_that_has_got_the_recorded_number_is_left_alone(run, process):
    trainer, other = process(holding=True), process(looking=True)
    speaks(run, other.pid)
    with pytest.raises(RunError, match="is not found on this machine"):
        lock_holder.end(run)
    assert (other.poll(), trainer.poll()) == (None, None)


def test_this_very_process_is_left_alone_also_where_it_holds_the_lock(run):
    speaks(run, os.getpid())
    with runs.holding(run.folder / "lock", "It is held."), pytest.raises(RunError, match="is not found"):
        lock_holder.end(run)


@pytest.mark.parametrize("said", [[], ["resumed"]], ids=["just started", "just resumed"])
def test_a_process_that_has_not_spoken_yet_is_not_guessed_by_what_was_recorded_before(run, process, said):
    trainer = process(holding=True)
    if said:
        speaks(run, trainer.pid)
    for event in said:
        EventWriter(run)(event)
    with pytest.raises(RunError, match="only just been started, try again in a moment"):
        lock_holder.end(run)
    assert trainer.poll() is None


def test_of_a_run_that_has_ended_no_process_is_looked_for(run, process):
    other = process()
    speaks(run, other.pid)
    lock_holder.end(run)
    assert other.poll() is None
