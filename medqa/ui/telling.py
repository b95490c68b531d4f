"""What people are told of an error: on a public page never where this machine keeps what. Knows no tab."""

from __future__ import annotations

import sys
from pathlib import Path

from medqa.folders import without_any_folder
from medqa.settings import ROOT, Settings
from medqa.ui import views


def told_error(error: Exception, settings: Settings | None = None) -> str:
    """As HTML. Without settings it is told as on a public page; the log has all of what is left out."""
    sentence = str(error)
    bare = told_text(sentence, settings)
    if bare != sentence:
        print(f"medqa: {sentence}", file=sys.stderr, flush=True)
    return views.error(bare)


def told_text(text: str, settings: Settings | None = None) -> str:
    if settings is None:
        return without_any_folder(text)
    return without_any_folder(text, folders(settings)) if settings.public else text


def folders(settings: Settings) -> tuple[Path | str, ...]:
    return settings.runs, settings.base_model, ROOT
