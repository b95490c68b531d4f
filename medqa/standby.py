"""A training process made ready: it has loaded its libraries, which takes longer than the first steps, and waits."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from medqa.settings import ROOT


class Standby:
    """At most one process, for one run: the run's folder and open files are handed to it over a socket.

    It ends by itself when this process does.
    """

    def __init__(self) -> None:
        self._waiting: tuple[subprocess.Popen, socket.socket] | None = None
        self._lock = threading.Lock()

    def prepare(self, environment: Mapping[str, str]) -> None:
        """Returns at once; a run that comes before the process is ready waits for the rest of its start alone."""
        with self._lock:
            if self._waiting and self._waiting[0].poll() is None:
                return
            line, its_end = socket.socketpair()
            with its_end:
                process = subprocess.Popen(
                    [sys.executable, "-m", "train", "--standby", str(its_end.fileno())],
                    cwd=ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    # What stops it from loading stops the run too, which then says so in its own log.
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                    pass_fds=(its_end.fileno(),),
                    env=environment,
                )
            self._waiting = process, line

    def take(self, run: Path, log: int, *locks: int) -> subprocess.Popen | None:
        """The process, which now trains the run in this folder and holds its files; None when there is none."""
        with self._lock:
            waiting, self._waiting = self._waiting, None
        if waiting is None:
            return None
        process, line = waiting
        with line:
            try:
                if process.poll() is None:
                    socket.send_fds(line, [os.fsencode(run)], [log, *locks])
                    return process
            except OSError:
                # It has just ended.
                pass
        return None
