"""The training process's work done in the process of a test: milliseconds instead of the seconds that imports take."""

import os
from pathlib import Path

from medqa import runs
from medqa.runs import Progress, Run
from medqa.spec import RunSpec


def new_run(folder: Path, spec: RunSpec) -> Run:
    """As the launcher leaves it for the process to find."""
    run = Run(folder / spec.name)
    run.folder.mkdir(parents=True)
    run.write_spec(spec)
    (run.folder / "reserve").write_bytes(os.urandom(runs.RESERVE_BYTES))
    return run


def go_on(run: Run) -> Progress:
    """From the start or the newest checkpoint, to the end, to the next step if told to stop, or to a failure."""
    from train.__main__ import main

    try:
        main(str(run.folder))
    except Exception as error:
        assert runs.progress_of(run).status == "failed", error
    return runs.progress_of(run)


def train_here(folder: Path, spec: RunSpec) -> tuple[Run, Progress]:
    run = new_run(folder, spec)
    return run, go_on(run)
