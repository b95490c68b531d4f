"""Texts as files to download."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp


def file_of(text: str, name: str, suffix: str) -> str:
    """Named by its content too: two visitors who save at the same moment get their own, and clicks don't add up."""
    file = _folder() / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}{suffix}"
    file.write_text(text, encoding="utf-8")
    return str(file)


@lru_cache(maxsize=1)
def _folder() -> Path:
    return Path(mkdtemp(prefix="medqa-downloads-"))
