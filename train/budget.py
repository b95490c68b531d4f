"""How many tokens are scored at once: half as many each time memory runs out. Knows no model."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

from medqa.device import is_out_of_memory
from medqa.runs import EventWriter

# What an exam question takes with its options: with less at once, each goes alone as it does already.
LEAST = 256

Result = TypeVar("Result")


class Budget:
    """`can_shrink`: whether a pass that ran out of memory can be made again, see sharding.OUT_OF_MEMORY."""

    def __init__(self, tokens: int, write: EventWriter, can_shrink: bool = True) -> None:
        self.tokens = tokens
        self.write = write
        self.can_shrink = can_shrink

    def within(self, score: Callable[[int], Result]) -> Result:
        """What `score` returns for so many tokens at once; of several ranks all run out together, or none."""
        while True:
            try:
                return score(self.tokens)
            except Exception as error:
                if not is_out_of_memory(error) or not self.can_shrink or self.tokens <= LEAST:
                    raise
            # Outside the except block: the exception's traceback would keep the tensors alive.
            free_memory_again()
            less = max(LEAST, self.tokens // 2)
            self.write("note", message=f"Out of memory scoring {self.tokens:,} tokens at once: going on with {less:,}.")
            self.tokens = less


def free_memory_again() -> None:
    """From what a failed pass has left behind."""
    gc.collect()
    torch.cuda.empty_cache()  # does nothing where no GPU is in use
