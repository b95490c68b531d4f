"""Read the prompts that several threads ask for: those that wait at the same time in one pass. Knows no questions."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedModel

from medqa.model import Loaded, adapter_key
from medqa.read_prompts import Kept, ReadPrompts, has_window, read_prompts

# A CPU takes as long for eight prompts at once as for one after another, and the first to ask would wait for all. A
# GPU is through with one before Python has started the next one's kernels.
TOKENS_TOGETHER = {"cpu": 0, "cuda": 8192}


@dataclass(eq=False)
class _Wanted:
    prompt: list[int]
    weights: str
    read: ReadPrompts | None = None

    @property
    def key(self) -> tuple[str, tuple[int, ...]]:
        return self.weights, tuple(self.prompt)


class Reader:
    """What it has read it keeps, as long as `kept` has room; safe to use from several threads."""

    def __init__(self, loaded: Loaded, kept: Kept) -> None:
        self.loaded = loaded
        self.kept = kept
        self.tokens_together = TOKENS_TOGETHER[loaded.device.torch_name]
        self._waiting: list[_Wanted] = []
        self._changing = threading.Lock()

    def read(self, prompt: list[int], adapter: Path | None) -> ReadPrompts:
        """One prompt, read with this adapter on."""
        read = self.kept.get(_Wanted(prompt, adapter_key(adapter)).key)
        if read is None:
            with self.using(prompt, adapter) as (_, read):
                pass
        return read

    @contextmanager
    def using(self, prompt: list[int], adapter: Path | None) -> Iterator[tuple[PreTrainedModel, ReadPrompts]]:
        """The network as Loaded.using gives it, and what it has read of the prompt."""
        wanted = _Wanted(prompt, adapter_key(adapter))
        wanted.read = self.kept.get(wanted.key)
        with self._waits(wanted), self.loaded.using(adapter) as model:
            # Another thread may have read it with its own by now.
            if wanted.read is None:
                self._try_together(model, wanted)
            if wanted.read is None:
                self._read(model, [wanted])
            yield model, wanted.read

    def _try_together(self, model: PreTrainedModel, mine: _Wanted) -> None:
        together = self._together(mine)
        if len(together) > 1 and not has_window(model):
            # Most likely memory: each then reads its own, and may fail alone.
            with suppress(RuntimeError, MemoryError):
                self._read(model, together)

    def _read(self, model: PreTrainedModel, wanted: list[_Wanted]) -> None:
        read = read_prompts(model, [one.prompt for one in wanted])
        for one, alone in zip(wanted, read.apart() if len(wanted) > 1 else [read], strict=True):
            one.read = alone
            self.kept.put(one.key, alone)

    @contextmanager
    def _waits(self, wanted: _Wanted) -> Iterator[None]:
        with self._changing:
            self._waiting.append(wanted)
        try:
            yield
        finally:
            with self._changing:
                self._waiting.remove(wanted)

    def _together(self, mine: _Wanted) -> list[_Wanted]:
        """It, and those that wait to be read with the same weights, as many as the budget has room for."""
        with self._changing:
            others = [w for w in self._waiting if w is not mine and w.read is None and w.weights == mine.weights]
        chosen, longest = [mine], len(mine.prompt)
        for one in others:
            longest = max(longest, len(one.prompt))
            if longest * (len(chosen) + 1) > self.tokens_together:
                break
            chosen.append(one)
        return chosen
