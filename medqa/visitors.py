"""The runs that visitors of a public page began: the oldest are deleted to make room. Knows no page, starts nothing."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from medqa import runs
from medqa.offered import MOST_BYTES_OF_VISITORS, MOST_RUNS_OF_VISITORS
from medqa.runs import Run, RunError

# A folder of this name is no run any more.
DELETED = ".deleted-"


def make_room(folder: Path) -> None:
    """For one more run of a visitor. Those of the host and those going on stay, whatever they take."""
    taken, count = 0, 1
    for run in runs.all_runs(folder):
        if not run.visitor_file.exists():
            continue
        taken, count = taken + _bytes(run.folder), count + 1
        if taken > MOST_BYTES_OF_VISITORS or count > MOST_RUNS_OF_VISITORS:
            # Somebody goes on with it just now.
            with suppress(RunError):
                _set_aside(run)
    for left in folder.glob(f"{DELETED}*"):
        shutil.rmtree(left, ignore_errors=True)


def _set_aside(run: Run) -> None:
    """Whoever resumes it either has the lock, or finds nothing under its name. Raises RunError while it is held."""
    with runs.holding(run.folder / "lock", f"The run {run.name} is running."), suppress(OSError):
        run.folder.rename(run.folder.with_name(f"{DELETED}{run.name}-{time.time_ns()}"))


def _bytes(folder: Path) -> int:
    total = 0
    for inside, _, names in os.walk(folder):
        for name in names:
            # A checkpoint may be replaced meanwhile.
            with suppress(FileNotFoundError):
                total += Path(inside, name).stat().st_size
    return total
