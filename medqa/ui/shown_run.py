"""A run as the page shows it, worked out once for all who watch it. Knows no component of the page."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from medqa import runs
from medqa.runs import EventReader, Progress, Run, RunError
from medqa.settings import Settings
from medqa.spec import without_folders
from medqa.ui import charts, run_views
from medqa.ui.telling import told_text

# Of two who ask at the same moment one draws: ten thousand steps take a tenth of a second.
_drawing = threading.Lock()


@dataclass(frozen=True)
class Drawn:
    """As HTML."""

    panel: str
    curves: str
    log: str


@dataclass(frozen=True)
class Seen:
    """A run at one moment. Events are only ever added, so their number tells what they are."""

    reader: EventReader
    events: int
    alive: bool
    has_checkpoint: bool
    has_adapter: bool
    told_to_stop: bool

    @property
    def progress(self) -> Progress:
        return _progress(self)

    def drawn(self, chosen: list[str], settings: Settings) -> Drawn:
        """`chosen` of `charts.SPIKES` and `charts.STEP_FIGURES`."""
        with _drawing:
            return _drawn(self, tuple(sorted(set(chosen))), settings)


def look(run: Run) -> Seen:
    """Raises RunError for one that has just been deleted."""
    try:
        # A run deleted and made anew under the same name is another one.
        reader = _reader(run.folder, (run.folder / "spec.json").stat().st_mtime_ns)
    except FileNotFoundError as error:
        raise RunError(f"The run {run.name} has been deleted.") from error
    # The lock is read first: a trainer that ends in between has then written its last event.
    alive = run.alive
    return Seen(reader, len(reader.read()), alive, bool(run.checkpoints()), run.has_adapter, run.stop_file.exists())


@lru_cache(maxsize=256)
def _reader(folder: Path, created: int) -> EventReader:
    """One reader per run for all visitors, so that each poll parses only what is new."""
    return EventReader(Run(folder))


@lru_cache(maxsize=32)
def _progress(seen: Seen) -> Progress:
    return runs.progress(seen.reader.events[: seen.events], seen.alive, seen.has_checkpoint)


@lru_cache(maxsize=32)
def _drawn(seen: Seen, chosen: tuple[str, ...], settings: Settings) -> Drawn:
    run = Run(seen.reader.path.parent)
    progress = _without_folders(run, seen.progress, settings)
    return Drawn(
        run_views.run_panel(run, progress, seen.told_to_stop),
        _charts(progress, chosen),
        run_views.log([*progress.messages, *progress.evaluations]),
    )


def _without_folders(run: Run, progress: Progress, settings: Settings) -> Progress:
    """What a trainer says may name a file; where the server keeps it is no visitor's business."""
    try:
        spec = run.spec
    except RunError:
        return progress

    def bare(text: str) -> str:
        return told_text(without_folders(text, spec), settings)

    messages = [
        event | {words: bare(event[words]) for words in ("message", "reason") if words in event}
        for event in progress.messages
    ]
    return replace(progress, reason=bare(progress.reason), messages=messages)


def _charts(progress: Progress, chosen: tuple[str, ...]) -> str:
    """Loss and accuracy, and what is chosen."""
    last = max([event["seconds"] for event in (*progress.steps, *progress.evaluations)], default=0.0)
    spikes = charts.spike_series(progress.steps) if charts.SPIKES in chosen else []
    loss = charts.chart("Loss", [*charts.loss_series(progress.steps, progress.evaluations), *spikes], x_end=last)
    accuracy = charts.chart(
        "Right on held-out questions", charts.accuracy_series(progress.evaluations), "%", (0, 100), last, 180
    )
    return loss + charts.step_figures(progress.steps, chosen, last) + accuracy
