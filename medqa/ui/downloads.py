"""Texts as files to download."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from tempfile import gettempdir, mkdtemp

KEPT_SECONDS = 3600
# Beyond so much the oldest go sooner: a long run's export is some MB, and each of its steps makes it another one.
MOST_BYTES = 100 * 2**20


def file_of(text: str, name: str, suffix: str) -> str:
    """Named by its content too: two visitors who save at the same moment get their own, and clicks don't add up."""
    folder = _folder()
    # Deleted while it was empty, by those who look after Gradio's folder.
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}{suffix}"
    file.write_text(text, encoding="utf-8")
    _delete_old(folder, file)
    return str(file)


def _delete_old(folder: Path, but: Path) -> None:
    oldest, taken = time.time() - KEPT_SECONDS, but.stat().st_size
    found = []
    for file in folder.iterdir():
        with suppress(FileNotFoundError):  # deleted by another visitor's click
            if file != but:
                status = file.stat()
                found.append((status.st_mtime, status.st_size, file))
    for saved, size, file in sorted(found, reverse=True):
        taken += size
        if saved < oldest or taken > MOST_BYTES:
            file.unlink(missing_ok=True)


@lru_cache(maxsize=1)
def _folder() -> Path:
    """In Gradio's own folder of files, from where it serves them without making a copy of its own."""
    parent = Path(os.environ.get("GRADIO_TEMP_DIR") or gettempdir())
    parent.mkdir(parents=True, exist_ok=True)
    return Path(mkdtemp(prefix="saved-", dir=parent))
