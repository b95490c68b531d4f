"""What was worked out for the answers asked about last: two panels read the same scores, and so does each switch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from medqa.question import Answer

KEPT = 16
T = TypeVar("T")


class Recent(Generic[T]):
    """One result for each answer; which names its base and adapter and holds its scores, so it tells models apart."""

    def __init__(self) -> None:
        self._kept: dict[Answer, T] = {}
        self._lock = threading.Lock()

    def of(self, answer: Answer, make: Callable[[], T]) -> T:
        with self._lock:
            if answer in self._kept:
                return self._kept[answer]
        made = make()
        with self._lock:
            self._kept[answer] = made
            while len(self._kept) > KEPT:
                del self._kept[next(iter(self._kept))]
        return made
