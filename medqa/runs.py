"""The run record: a folder with its spec, its events and its lock, and the status derived from them. Starts nothing."""

from __future__ import annotations

import fcntl
import json
import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median

from medqa.errors import UserError
from medqa.spec import RunSpec, SpecError

TERMINAL = ("done", "stopped", "failed")
# "resumed" is the launcher's word, written while it holds the lock: the process itself needs a moment to speak.
BEGINNINGS = ("started", "resumed")
# Freed by the trainer when the disk is full, so that the event that says so can still be written.
RESERVE_BYTES = 65_536


class RunError(UserError):
    """A run that can't be started, found or read; the message says which and what to do."""


@dataclass(frozen=True)
class Run:
    """One folder of runs. Everything is read from disk when asked for; nothing is kept."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def spec(self) -> RunSpec:
        """Raises RunError when spec.json is missing or not readable."""
        try:
            return RunSpec.from_json(json.loads((self.folder / "spec.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, AttributeError, SpecError) as error:
            raise RunError(f"The run {self.name} has no readable spec.json: {error}") from error

    @property
    def events_file(self) -> Path:
        return self.folder / "events.jsonl"

    @property
    def adapter(self) -> Path:
        return self.folder / "adapter"

    @property
    def stop_file(self) -> Path:
        return self.folder / "stop"

    @property
    def visitor_file(self) -> Path:
        """There where a visitor of a public page began the run."""
        return self.folder / "visitor"

    @property
    def has_adapter(self) -> bool:
        return (self.adapter / "adapter_config.json").exists()

    def checkpoints(self) -> list[Path]:
        """Checkpoints written to their end, newest first."""
        whole = [path.parent for path in (self.folder / "checkpoints").glob("checkpoint-*/complete")]
        # A copy somebody made by hand, `checkpoint-6 (copy)`, is none of the run's.
        numbered = [path for path in whole if path.name.removeprefix("checkpoint-").isdecimal()]
        return sorted(numbered, key=lambda path: int(path.name.split("-")[1]), reverse=True)

    @property
    def alive(self) -> bool:
        return locked(self.folder / "lock")

    def write_spec(self, spec: RunSpec) -> None:
        _write_whole(self.folder / "spec.json", json.dumps(spec.to_json(), indent=1) + "\n")


def all_runs(folder: Path) -> list[Run]:
    """Newest first."""
    found = []
    for path in folder.glob("*/spec.json"):
        # One that has just been deleted, to make room for others, is none.
        with suppress(FileNotFoundError):
            if not path.parent.name.startswith("."):
                found.append((path.stat().st_mtime, path.parent))
    return [Run(folder) for _, folder in sorted(found, reverse=True)]


def named(folder: Path, name: str | None) -> Run:
    """Raises RunError."""
    if not name:
        raise RunError("Choose a run first.")
    run = next((run for run in all_runs(folder) if run.name == name), None)
    if run is None:
        known = ", ".join(run.name for run in all_runs(folder)) or "none yet"
        raise RunError(f"There is no run “{name}” in {folder}. Runs there: {known}.")
    return run


def locked(path: Path) -> bool:
    """Whether somebody holds the lock. Probes with a shared lock, so that readers don't disturb one another."""
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextmanager
def holding(path: Path, what: str) -> Iterator[int]:
    """Hold a lock file; yields its descriptor, which a child may inherit and then holds too. Raises RunError.

    A reader's shared probe lasts microseconds, so a refusal is tried again for half a second.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        where = f"The folder {path.parent} can't be written to: {error.strerror}"
        raise RunError(f"{where}. Set MEDQA_RUNS to one that can.") from error
    try:
        for attempt in range(50):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if attempt == 49:
                    holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
                    raise RunError(what.format(holder=holder or "another run")) from None
                time.sleep(0.01)
        yield descriptor
    finally:
        os.close(descriptor)


class EventWriter:
    """Appends events, each a whole line in one write. Only who holds the run's lock has one."""

    def __init__(self, run: Run) -> None:
        self.path = run.events_file
        # A process killed in mid-line left no newline; without one the next event would be lost with it.
        if self.path.exists() and self.path.stat().st_size and not self.path.read_bytes().endswith(b"\n"):
            self._append("\n")

    def __call__(self, event: str, **values: object) -> None:
        self._append(json.dumps({"event": event, "time": round(time.time(), 3), **values}) + "\n")

    def _append(self, text: str) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text)


class EventReader:
    """Reads a growing events.jsonl from where it left off. A half-written last line waits for its newline.

    Safe to share between threads: all visitors' polls of a run use one.
    """

    def __init__(self, run: Run) -> None:
        self.path = run.events_file
        self.offset = 0
        self.events: list[dict] = []
        self._lock = threading.Lock()

    def read(self) -> list[dict]:
        """All events so far; damaged lines are skipped."""
        with self._lock:
            self._read_on()
            return list(self.events)

    def _read_on(self) -> None:
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                text = file.read()
        except FileNotFoundError:
            return
        whole = text[: text.rfind(b"\n") + 1]
        self.offset += len(whole)
        for line in whole.splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and "event" in event:
                self.events.append(event)


@dataclass(frozen=True)
class Progress:
    """What the events of a run add up to. `steps` and `evaluations` are events, one per step, oldest first."""

    status: str
    reason: str = ""
    total_steps: int = 0
    steps: list[dict] = field(default_factory=list)
    evaluations: list[dict] = field(default_factory=list)
    prepared: dict = field(default_factory=dict)
    messages: list[dict] = field(default_factory=list)
    scores: dict = field(default_factory=dict)
    resumable: bool = False

    @property
    def step(self) -> int:
        return self.steps[-1]["step"] if self.steps else 0

    @property
    def began(self) -> float:
        """When the run's process first spoke, in Unix seconds; infinity before."""
        return next((event["time"] for event in self.messages if event["event"] == "started"), math.inf)

    @property
    def best(self) -> dict | None:
        """The evaluation whose adapter is the best so far: each that was kept beat those before it."""
        return next((event for event in reversed(self.evaluations) if event.get("kept")), None)

    @property
    def seconds_per_step(self) -> float | None:
        """The median of the last 20 steps; None before there are two."""
        recent = self.steps[-21:]
        # Not the mean: an evaluation takes as long as several steps, and would count as if each had one.
        paces = [after["seconds"] - before["seconds"] for before, after in pairwise(recent)]
        return median(paces) if paces else None

    @property
    def seconds_left(self) -> float | None:
        """By the pace of the last steps, to which measuring adds; None where that is not known."""
        if self.status != "running" or self.seconds_per_step is None:
            return None
        return self.seconds_per_step * (self.total_steps - self.step)


def progress(events: list[dict], alive: bool, has_checkpoint: bool) -> Progress:
    """Fold events into the truth. A resumed run repeats the steps after its checkpoint: the repeat counts."""
    steps: list[dict] = []
    evaluations: list[dict] = []
    messages: list[dict] = []
    prepared: dict = {}
    last: dict = {}
    scores: dict = {}
    for event in events:
        kind = event["event"]
        if kind == "step":
            steps.append(event)
        elif kind == "evaluated":
            evaluations.append(event)
        else:
            messages.append(event)
        if kind == "prepared":
            prepared = event
            steps = [e for e in steps if e["step"] <= event["from_step"]]
            evaluations = [e for e in evaluations if e["step"] <= event["from_step"]]
        if kind in BEGINNINGS or kind in TERMINAL:
            last = event
        scores = event.get("scores", scores)
    status = last["event"] if last.get("event") in TERMINAL else "running" if alive else "interrupted"
    return Progress(
        status=status,
        reason=last.get("reason", ""),
        total_steps=prepared.get("total_steps", 0),
        steps=steps,
        evaluations=evaluations,
        prepared=prepared,
        messages=messages,
        scores=scores,
        resumable=status in ("stopped", "interrupted", "failed") and has_checkpoint,
    )


def progress_of(run: Run, reader: EventReader | None = None) -> Progress:
    # The lock is read first: a trainer that ends in between has then written its last event.
    alive = run.alive
    return progress((reader or EventReader(run)).read(), alive, bool(run.checkpoints()))


def _write_whole(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
