"""`python -m train <run folder>`: the entry of the training process, and of each rank of a run on several devices."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from medqa.runs import EventWriter, Run, progress_of
from train import ranks


def main(folder: str) -> int:
    ranks.end_with_launcher()
    run = Run(Path(folder))
    return _lead(run) if ranks.first() else _follow(run)


def _lead(run: Run) -> int:
    try:
        write = EventWriter(run)
        # Before the seconds that torch takes to import, so that the page shows a resumed run as running at once.
        write("started")
        from train.session import train

        train(run, write)
    except BaseException as error:
        from train.failures import sentence_for

        # The events share the disk with the checkpoint that has just filled it.
        (run.folder / "reserve").unlink(missing_ok=True)
        if not _has_failed(run):
            # A new writer, because it mends the line that was cut when the disk filled.
            EventWriter(run)("failed", reason=sentence_for(error, run))
        raise
    finally:
        (run.folder / "reserve").unlink(missing_ok=True)
    return 0


def _follow(run: Run) -> int:
    from train.session import train

    try:
        train(run, ranks.silent)
    except Exception as error:
        time.sleep(ranks.SECONDS_FOR_LAST_WORDS)
        from train.failures import TrainingFailed

        # The first rank has not met it, and can't speak: it waits for this one in the middle of a pass.
        if isinstance(error, TrainingFailed) and not _has_failed(run):
            EventWriter(run)("failed", reason=str(error))
        raise
    return 0


def _has_failed(run: Run) -> bool:
    return progress_of(run).status == "failed"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m train RUN_FOLDER")
    sys.exit(main(sys.argv[1]))
