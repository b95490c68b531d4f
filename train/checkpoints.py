"""Checkpoints as resuming needs them: whole, readable, the newest two. Writes none."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

from safetensors import safe_open

from medqa.runs import EventWriter, Run

KEPT = 2


def drop_unusable(run: Run, write: EventWriter) -> None:
    """Remove what was cut short by a kill or has been damaged since, and tell what was damaged.

    Trainer would stop at a damaged file, and begin with a fresh optimiser, without a word, where its file is missing.
    """
    whole = run.checkpoints()
    for folder in (run.folder / "checkpoints").glob("checkpoint-*"):
        if folder not in whole:
            _remove(folder)
    while whole and (damage := _damage(whole[0])):
        damaged = whole.pop(0)
        _remove(damaged)
        way_on = f"going on from {whole[0].name}" if whole else "no other is left, beginning again"
        write("note", message=f"{damaged.name} is damaged ({damage}): {way_on}.")


def keep_newest(run: Run) -> None:
    """By step. Trainer itself goes by the files' times: with the clock set back, it would delete the newest."""
    for checkpoint in run.checkpoints()[KEPT:]:
        _remove(checkpoint)


def _remove(checkpoint: Path) -> None:
    # First, so that a kill on the way leaves no checkpoint that calls itself complete.
    (checkpoint / "complete").unlink(missing_ok=True)
    shutil.rmtree(checkpoint)


def _damage(checkpoint: Path) -> str | None:
    """The first file that can't be read to its end, and why."""
    for name, check in CHECKS.items():
        files = sorted(checkpoint.glob(name))
        if not files:
            return f"{name.replace('*', '')} is missing"
        for file in files:
            try:
                check(file)
            except Exception as error:  # each format has errors of its own
                return f"{file.name}: {error}"
    return None


def _check_zip(path: Path) -> None:
    """torch.save writes a zip archive with a checksum for each part."""
    with zipfile.ZipFile(path) as archive:
        if part := archive.testzip():
            raise zipfile.BadZipFile(f"{part} has a wrong checksum")


def _check_safetensors(path: Path) -> None:
    with safe_open(path, "pt"):
        pass


CHECKS = {
    "adapter_model.safetensors": _check_safetensors,
    "optimizer.pt": _check_zip,
    "scheduler.pt": _check_zip,
    "rng_state*.pth": _check_zip,  # one for each rank, or the one
    "trainer_state.json": lambda path: json.loads(path.read_text(encoding="utf-8")),
}
