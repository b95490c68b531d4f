"""Files of questions that people upload, kept beside the runs under what they hold. Knows no page."""

from __future__ import annotations

import hashlib
import shutil
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from medqa import runs
from medqa.datasets import load_parts
from medqa.datasets.rows import Loaded
from medqa.errors import UserError
from medqa.runs import RunError
from medqa.settings import Settings

# The folder has room for so many of the largest files.
LARGEST_FILES = 20
# Of a visitor's file so many at most, counting its held-out fifth; JSON may have each field on a line of its own. A
# file with more is refused unread: reading half a million rows takes half a minute, in which nobody else is served.
LINES_A_ROW = 20
MOST_LINES = 200_000
# Of two visitors with the same file one waits until it is kept, and of two with the last room one is refused.
_one_at_a_time = threading.Lock()


class UploadError(UserError):
    """A file that can't be kept; the message is a sentence that names it, says why and what to do."""


@dataclass(frozen=True)
class Upload:
    """`name`: its file in the folder. A run is trained on `train` and measured on `held_out`, which may be empty."""

    name: str
    train: Loaded
    held_out: Loaded


def kept(settings: Settings) -> list[Path]:
    # Those being written end in .part.
    return [path for path in _folder(settings).glob("*") if path.suffix != ".part"]


def located(dataset: str, settings: Settings) -> str:
    """The path of the upload that is kept under this name; any other data set as it is."""
    return next((str(path) for path in kept(settings) if path.name == dataset), dataset)


def keep(source: Path, settings: Settings, cop_base: int | None = None, most_questions: int | None = None) -> Upload:
    """Keep a copy, so that a run can be resumed when the file itself is gone, but only of what a run can be made from.

    `cop_base`: how numeric keys count, as in `datasets.load`. Raises UploadError, and DatasetError naming the file.
    """
    try:
        _check_size(source, settings)
        if most_questions is not None:
            _check_lines(source, most_questions)
        train, held_out = load_parts(source, cop_base)
        if most_questions is not None and len(train.questions) > most_questions:
            raise _too_many(source, f"{len(train.questions):,}", most_questions)
        return Upload(_copy(source, settings), train, held_out)
    except OSError as error:
        raise UploadError(f"{source.name} can't be kept on the server: {error.strerror}.") from error


def _check_lines(source: Path, most_questions: int) -> None:
    lines = most_rows(source)
    if lines > LINES_A_ROW * most_questions:
        raise _too_many(source, "far more", most_questions)
    if lines > MOST_LINES:
        raise UploadError(
            f"{source.name} has more than {MOST_LINES:,} lines, which would keep everybody else here waiting. "
            "Upload fewer rows, of JSON each on one line."
        )


def _too_many(source: Path, had: str, most: int) -> UploadError:
    return UploadError(
        f"{source.name} has {had} questions to train on; on this public page there can be at most {most:,}. "
        "Upload fewer rows."
    )


@lru_cache(maxsize=LARGEST_FILES)
def most_rows(file: Path) -> int:
    """How many questions a kept file has at most, counted without parsing it: a row has a line, or a brace, of its own.

    Kept under what it holds, a file never changes.
    """
    content = file.read_bytes()
    return max(content.count(b"\n") + 1, content.count(b"\r") + 1, content.count(b"{"))


def _check_size(source: Path, settings: Settings) -> None:
    if source.stat().st_size > settings.max_upload_megabytes * 2**20:
        raise UploadError(f"{source.name} is larger than {settings.max_upload_megabytes} MB. Upload fewer rows.")


def _copy(source: Path, settings: Settings) -> str:
    """The name of the kept file. One that is there stays untouched: a run may be reading it."""
    folder = _folder(settings)
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:12]
    file = folder / f"{digest}{source.suffix.lower()}"
    part = file.with_name(f"{file.name}.part")
    with _one_at_a_time:
        if file.exists():
            return file.name
        folder.mkdir(parents=True, exist_ok=True)
        _check_room(source, settings)
        try:
            shutil.copyfile(source, part)
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
    return file.name


def _check_room(source: Path, settings: Settings) -> None:
    room = LARGEST_FILES * settings.max_upload_megabytes
    if settings.public:
        _forget_unneeded(room * 2**20 - source.stat().st_size, settings)
    if sum(path.stat().st_size for path in [source, *kept(settings)]) > room * 2**20:
        raise UploadError(
            f"{source.name} can't be kept: the server's folder of uploads is full ({room:,} MB). Whoever runs this "
            f"MedQA can delete those from {_folder(settings).name} in the folder of runs that no run needs any more."
        )


def _forget_unneeded(room: int, settings: Settings) -> None:
    """Delete the oldest until the rest takes no more bytes: visitors must not fill it.

    First those that no run was made from, then those of visitors' runs that have ended: such a run keeps its adapter
    and can't be resumed. Never those of the host's runs and of those going on.
    """
    of_ended_runs, needed = _needed(settings)
    in_turn = sorted(kept(settings), key=lambda path: (str(path) in of_ended_runs, path.stat().st_mtime))
    taken = sum(path.stat().st_size for path in in_turn)
    for path in in_turn:
        if taken <= room:
            return
        if str(path) not in needed:
            taken -= path.stat().st_size
            path.unlink()


def _needed(settings: Settings) -> tuple[set[str], set[str]]:
    """The data sets of visitors' runs that have ended, and those of all other runs, whose settings can be read."""
    ended, others = set(), set()
    for run in runs.all_runs(settings.runs):
        of_visitor = run.visitor_file.exists() and not run.alive
        with suppress(RunError):
            (ended if of_visitor else others).add(run.spec.dataset)
    return ended, others


def _folder(settings: Settings) -> Path:
    return settings.runs / ".uploads"
