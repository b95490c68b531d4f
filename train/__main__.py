"""`python -m train <run folder>`: the entry of the training process."""

from __future__ import annotations

import sys
from pathlib import Path

from medqa.runs import EventWriter, Run


def main(folder: str) -> int:
    run = Run(Path(folder))
    try:
        write = EventWriter(run)
        # Before the seconds that torch takes to import, so that the page shows a resumed run as running at once.
        write("started")
        from train.checkpoints import drop_unusable
        from train.session import train

        drop_unusable(run, write)
        train(run, write)
    except BaseException as error:
        from train.failures import sentence_for

        # The events share the disk with the checkpoint that has just filled it.
        (run.folder / "reserve").unlink(missing_ok=True)
        # A new writer, because it mends the line that was cut when the disk filled.
        EventWriter(run)("failed", reason=sentence_for(error, run))
        raise
    finally:
        (run.folder / "reserve").unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m train RUN_FOLDER")
    sys.exit(main(sys.argv[1]))
