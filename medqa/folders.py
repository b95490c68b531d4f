"""Sentences and records without the folders of this machine. Knows no page."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

# An absolute path, or one from home, of two parts at least: "mg/kg", a Hub id and a web address are none.
_PATH = re.compile(r"""(?<![\w:/.~])~?(?:/[^\s/“”"'`<>|,;:()\[\]{}]+){2,}/?""")


def without_any_folder(text: str, known: Iterable[Path | str] = ()) -> str:
    """Each path by its last part. `known`: folders that may lie in one with a space in its name."""
    for folder in sorted((str(one) for one in known if Path(one).is_absolute()), key=len, reverse=True):
        text = text.replace(folder, Path(folder).name)
    return _PATH.sub(lambda path: Path(path[0]).name, text)


def each_text_without(value: object, known: Iterable[Path | str] = ()) -> object:
    """The same JSON value, with `without_any_folder` of every text in it."""
    if isinstance(value, str):
        return without_any_folder(value, known)
    if isinstance(value, dict):
        return {name: each_text_without(one, known) for name, one in value.items()}
    if isinstance(value, list):
        return [each_text_without(one, known) for one in value]
    return value
