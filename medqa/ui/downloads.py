"""Texts as files to download."""

from __future__ import annotations

import hashlib
import time
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp

# Gradio serves a copy of its own, made as soon as the file is there.
KEPT_SECONDS = 3600


def file_of(text: str, name: str, suffix: str) -> str:
    """Named by its content too: two visitors who save at the same moment get their own, and clicks don't add up."""
    _delete_old()
    file = _folder() / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}{suffix}"
    file.write_text(text, encoding="utf-8")
    return str(file)


def _delete_old() -> None:
    oldest = time.time() - KEPT_SECONDS
    for file in _folder().iterdir():
        try:
            if file.stat().st_mtime < oldest:
                file.unlink()
        except FileNotFoundError:  # by another visitor's click
            continue


@lru_cache(maxsize=1)
def _folder() -> Path:
    return Path(mkdtemp(prefix="medqa-downloads-"))
