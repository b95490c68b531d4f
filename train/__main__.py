"""`python -m train <run folder>`: the entry of the training process, and of each rank of a run on several devices.

`python -m train --standby <descriptor>`: waits at that socket for the folder of a run and its files (medqa/standby.py).
"""

from __future__ import annotations

import gc
import os
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
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
        write("started", process=os.getpid())
        _loaded()(run, write)
    except BaseException as error:
        # The events share the disk with the checkpoint that has just filled it.
        (run.folder / "reserve").unlink(missing_ok=True)
        if not _has_failed(run):
            # A new writer, because it mends the line that was cut when the disk filled.
            EventWriter(run)("failed", reason=_sentence_for(error, run))
        raise
    finally:
        (run.folder / "reserve").unlink(missing_ok=True)
    return 0


def _follow(run: Run) -> int:
    try:
        _loaded()(run, ranks.silent)
    except Exception as error:
        time.sleep(ranks.SECONDS_FOR_LAST_WORDS)
        from train.failures import TrainingFailed

        # The first rank has not met it, and can't speak: it waits for this one in the middle of a pass.
        if isinstance(error, TrainingFailed) and not _has_failed(run):
            EventWriter(run)("failed", reason=str(error))
        raise
    return 0


def _loaded() -> Callable:
    """session.train, with the libraries it takes."""
    # They make objects by the hundred thousand and no garbage, for which Python would look a whole second; and again
    # as training begins, unless told that they are here to stay.
    gc.disable()
    try:
        from train.session import train
    finally:
        gc.freeze()
        gc.enable()
    return train


def _awaited(descriptor: int) -> str:
    """The folder of the run that is handed over. Ends the process when whoever made it ready has ended."""
    # What fails to load fails once more with the run, and is then told.
    with suppress(Exception):
        _loaded()
        from medqa import device
        from medqa.datasets import handbook
        from medqa.model import load_base
        from medqa.settings import EMBEDDED

        handbook.read_facts()
        # For what transformers gets ready at its first model, whichever that is. On the CPU: a GPU stays free.
        load_base(EMBEDDED, device.choose("cpu"))
    with socket.socket(fileno=descriptor) as line:
        folder, handed_over, _, _ = socket.recv_fds(line, 4096, 3)
    if not folder:
        sys.exit()
    # The locks are held as long as they are open, to the end of the process.
    log = handed_over[0]
    os.dup2(log, sys.stdout.fileno())
    os.dup2(log, sys.stderr.fileno())
    os.close(log)
    return os.fsdecode(folder)


def _sentence_for(error: BaseException, run: Run) -> str:
    try:
        from train.failures import sentence_for
    except Exception:  # it needs torch, which may be what can't be loaded
        first_line = (str(error).strip() or "no message").splitlines()[0]
        return (
            f"The libraries of training can't be loaded ({type(error).__name__}: {first_line[:300]}). "
            "See `python -m medqa doctor`, and install the requirements again."
        )
    return sentence_for(error, run)


def _has_failed(run: Run) -> bool:
    return progress_of(run).status == "failed"


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--standby", descriptor]:
            sys.exit(main(_awaited(int(descriptor))))
        case [folder]:
            sys.exit(main(folder))
    sys.exit("usage: python -m train RUN_FOLDER")
