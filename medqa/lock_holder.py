"""The process that holds a run's lock: found by what the run has recorded, and ended. Never touches any other."""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from pathlib import Path

from medqa.runs import BEGINNINGS, EventReader, Run, RunError

# A trainer ends at the first signal; the launcher of several takes a moment to end its ranks.
SECONDS_TO_LEAVE = 5.0
PROCESSES = Path("/proc")


def end(run: Run) -> None:
    """Returns once the process has ended; at once when there is none. Raises RunError.

    The processes of a run's other devices end with it, and nothing that is whole on the disk is lost.
    """
    if not run.alive:
        return
    process = _opened(run)
    if process is None:
        raise RunError(
            f"The process of the run {run.name} is not found on this machine, so it can't be ended at once. "
            "Where it has only just been started, try again in a moment; else end it where it was started."
        )
    try:
        if not _ends(process):
            raise RunError(f"The process of the run {run.name} does not end, not even killed. Its device may be stuck.")
    finally:
        os.close(process)


def _ends(process: int) -> bool:
    ended = select.poll()
    ended.register(process, select.POLLIN)
    for asked_by in (signal.SIGTERM, signal.SIGKILL):
        # Gone by itself meanwhile.
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, asked_by)
        if ended.poll(1000 * SECONDS_TO_LEAVE):
            return True
    return False


def _opened(run: Run) -> int | None:
    """A descriptor of the process, None where it is not found. Unlike its number, no other process can get it."""
    recorded = recorded_process(run)
    if recorded is None or not hasattr(os, "pidfd_open"):
        return None
    # On several devices the first of their processes speaks, and its launcher holds the lock.
    for number in (recorded, _parent(recorded)):
        if number == os.getpid():
            continue
        try:
            process = os.pidfd_open(number)
        except OSError:
            continue
        if _holds(number, run.folder / "lock"):
            return process
        os.close(process)
    return None


def recorded_process(run: Run) -> int | None:
    """The number of the process that spoke last; None while a resumed one has not, as an old one may be another's."""
    begun = [event for event in EventReader(run).read() if event["event"] in BEGINNINGS]
    number = begun[-1].get("process") if begun else None
    return number if isinstance(number, int) and number > 0 else None


def _parent(number: int) -> int:
    """0, which is no process, where there is none."""
    try:
        # A name in brackets, which may hold spaces and brackets, is followed by state and parent.
        return int((PROCESSES / str(number) / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def _holds(number: int, lock: Path) -> bool:
    """Whether it has the lock itself, not only the file open, as one that looks whether the run is alive has."""
    process = PROCESSES / str(number)
    try:
        wanted = lock.stat()
        files = list((process / "fd").iterdir())
    except OSError:
        return False
    return any(_is_same(file, wanted) and _is_locked(process / "fdinfo" / file.name) for file in files)


def _is_same(file: Path, wanted: os.stat_result) -> bool:
    try:
        return os.path.samestat(file.stat(), wanted)
    except OSError:
        return False


def _is_locked(description: Path) -> bool:
    """By the kernel's own words, such as `lock: 1: FLOCK  ADVISORY  WRITE …`."""
    try:
        lines = description.read_text().splitlines()
    except OSError:
        return False
    return any({"FLOCK", "WRITE"} <= set(line.split()) for line in lines if line.startswith("lock:"))
