"""The launcher and the ranks of a run on several devices, as the tests see and kill them."""

import signal
import time

import psutil

from medqa import runs

SECONDS_TO_BE_TRUE = 2
PATIENCE = 240  # seconds; a start imports torch three times, on a machine that may be busy


def processes(folder):
    """The launchers and ranks of the runs under a folder, whoever started them."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        at_work = process.info["status"] != psutil.STATUS_ZOMBIE
        if at_work and words[-3:-1] == ["-m", "train"] and words[-1].startswith(str(folder.resolve())):
            found.append(process)
    return found


def rank_of(process):
    """None for the launcher."""
    number = process.environ().get("RANK")
    return None if number is None else int(number)


def wait_until(condition, what, seconds=SECONDS_TO_BE_TRUE):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.02)


def kill(run, rank):
    """What is known two seconds after a kill -9 of one rank, or of the launcher."""
    there = {rank_of(process): process for process in processes(run.folder)}
    assert set(there) == {None, 0, 1}
    there[rank].send_signal(signal.SIGKILL)
    wait_until(lambda: runs.progress_of(run).status != "running" and not run.alive, "still called running")
    wait_until(lambda: not processes(run.folder), "a process was left behind")
    return runs.progress_of(run)


def steps_on(steps):
    """Whether the last turn of a run has made more than so many."""

    def far_enough(seen):
        turns = [event["event"] for event in seen.messages if event["event"] in ("resumed", "prepared")]
        return turns[-1:] == ["prepared"] and seen.step > seen.prepared["from_step"] + steps

    return far_enough


def check_ended_by_a_killed_rank(seen):
    """The other ranks have ended too, with or without the time to say so, and the run can be gone on with."""
    assert seen.status in ("interrupted", "failed")
    if seen.status == "failed":
        assert seen.reason.startswith("Another process of this run ended")
    assert seen.resumable
