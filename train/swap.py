"""Two folders that change names in one moment, where the system can. Knows nothing of what they hold."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

# linux/fcntl.h, linux/fs.h
AT_FDCWD = -100
RENAME_EXCHANGE = 2


def swapped(one: Path, other: Path) -> bool:
    """Whether they have changed names. Not on another Unix than Linux, nor on a file system without it, such as NFS."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    return rename is not None and not rename(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE)
