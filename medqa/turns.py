"""A lock that lets threads in by the order they came: one that takes it over and over can't starve the others."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """`with turns.mine():`; a thread that has its turn may take it again within."""

    def __init__(self) -> None:
        self._queue: deque[tuple[int, threading.Event]] = deque()
        self._changing = threading.Lock()

    @contextmanager
    def mine(self) -> Iterator[None]:
        me = threading.get_ident()
        with self._changing:
            nested = bool(self._queue) and self._queue[0][0] == me
            if not nested:
                called = threading.Event()
                self._queue.append((me, called))
                self._queue[0][1].set()
        if nested:
            yield
            return
        called.wait()
        try:
            yield
        finally:
            with self._changing:
                self._queue.popleft()
                if self._queue:
                    self._queue[0][1].set()
