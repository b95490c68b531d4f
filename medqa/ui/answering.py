"""Engines behind the page: one per base model, loaded ahead in the background or when first asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from medqa.adapters import Adapter, AdapterError
from medqa.errors import UserError
from medqa.question import Answer, Explanation
from medqa.receipt import Said, weights_sha256
from medqa.settings import Settings

if TYPE_CHECKING:
    from medqa.engine import Engine


# Base models in memory at a time.
MOST_BASES = 2
# Up to so many parameters a model computes on one core: the page's threads sleep while they wait (see app.py), and to
# wake a second one for each of hundreds of small products takes longer than it saves. medqa-nano scores one question in
# 61 ms instead of 155, twelve in the same time; a model of 27 M gains from the second.
ON_ONE_CORE = 16_000_000


# Each answer is its own, the same question asked again another: pages react to a change of it.
@dataclass(frozen=True, eq=False)
class Asked:
    """The answer a card shows, with all that probes need to ask on."""

    answer: Answer
    adapter: Adapter | None
    explanation: Explanation
    # SHA-256 of the adapter's weights when it was asked: its run may go on and replace them.
    weights: str | None = None
    said: Said = field(default_factory=Said)
    # Title to sentences of the probes run on this answer: panels add theirs, its receipt tells them.
    probes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    when: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def folder(self) -> Path | None:
        return self.adapter.folder if self.adapter else None

    def check_adapter(self) -> None:
        """What is asked on must be the adapter that answered. Raises AdapterError."""
        if self.folder is None:
            return
        try:
            weights = weights_sha256(self.folder)
        except AdapterError as error:
            gone = f"The adapter {self.adapter.name} is gone, so its answer can't be asked about any more."
            raise AdapterError(gone) from error
        if weights != self.weights:
            raise AdapterError(
                f"The adapter {self.adapter.name} has been replaced since this answer: its run went on. Press Answer "
                "again, then go on."
            )


class Engines:
    """torch loads in here, not with the page: importing it takes longer than building the page."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._cores: int | None = None
        # Why the default base model could not be loaded ahead, if so.
        self.failure = ""
        self._ready: dict[str, Engine] = {}
        self._lock = threading.Lock()

    def of(self, base: str) -> Engine:
        """Waits while the model loads; who asks for one that is ready waits for nobody. Raises ModelError."""
        ready = self._ready.get(base)
        if ready:
            return ready
        with self._lock:
            if base not in self._ready:
                self._make_room()
                self._ready[base] = self._loaded(base)
            return self._ready[base]

    def _make_room(self) -> None:
        """The host's own base model stays, as most visitors ask it; beside it there is one other at a time."""
        while len(self._ready) >= MOST_BASES:
            del self._ready[next(base for base in self._ready if base != self.settings.base_model)]

    def _loaded(self, base: str) -> Engine:
        import torch

        from medqa import device, model
        from medqa.engine import Engine

        chosen = device.choose(self.settings.device)
        limits = (self.settings.max_question_tokens, self.settings.max_explanation_tokens)
        loaded = model.load(base, chosen)
        self._cores = self._cores or torch.get_num_threads()
        small = chosen.torch_name == "cpu" and loaded.base.num_parameters() <= ON_ONE_CORE
        loaded.cores = 1 if small else self._cores
        return Engine(loaded, *limits)

    def is_ready(self, base: str) -> bool:
        return base in self._ready

    def load_ahead(self, then: Callable[[], None]) -> None:
        """Begin loading the default base model. A failure shows when somebody asks: `of` meets it again."""
        threading.Thread(target=self._try, args=(then,), daemon=True, name="load-ahead").start()

    def _try(self, then: Callable[[], None]) -> None:
        try:
            self.of(self.settings.base_model)
        except UserError as error:
            self.failure = str(error)
            print(f"The base model could not be loaded ahead: {error}", flush=True)
        finally:
            then()

    def hardware(self) -> tuple[str, list[str]]:
        """The device in words, and what on this machine will bite."""
        from medqa import device

        return device.choose(self.settings.device).badge, device.warnings()
