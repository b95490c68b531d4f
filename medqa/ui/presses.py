"""A button that is pressed again while its first press is still being answered. Knows nothing of what it answers."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass
class Presses:
    """How often one visitor has pressed it."""

    count: int = 0

    def another(self) -> None:
        self.count += 1

    def until_another(self, pieces: Generator[T]) -> Iterator[T]:
        begun = self.count
        with closing(pieces):
            for piece in pieces:
                if self.count > begun:
                    return
                yield piece
