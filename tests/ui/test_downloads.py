import os
import time
from pathlib import Path

import pytest

from medqa.ui import downloads


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "_folder", lambda: tmp_path)
    return tmp_path


def test_what_was_saved_long_ago_is_deleted_as_something_new_is_saved(folder):
    old, recent = (Path(downloads.file_of(text, "receipt", ".json")) for text in ("old", "recent"))
    os.utime(old, (time.time() - downloads.KEPT_SECONDS - 1,) * 2)
    new = Path(downloads.file_of("new", "receipt", ".json"))
    assert set(folder.iterdir()) == {recent, new}


def test_the_same_text_saved_again_is_as_new_as_its_last_saving(folder):
    file = Path(downloads.file_of("text", "receipt", ".json"))
    os.utime(file, (time.time() - downloads.KEPT_SECONDS - 1,) * 2)
    assert Path(downloads.file_of("text", "receipt", ".json")).read_text() == "text"


def test_the_oldest_make_room_where_many_are_saved(folder, monkeypatch):
    monkeypatch.setattr(downloads, "MOST_BYTES", 10)
    first, second = (Path(downloads.file_of(text, "run", ".json")) for text in ("1" * 5, "2" * 5))
    os.utime(first, (time.time() - 60,) * 2)
    third = Path(downloads.file_of("3" * 5, "run", ".json"))
    assert set(folder.iterdir()) == {second, third}
    whole = Path(downloads.file_of("4" * 50, "run", ".json"))
    assert set(folder.iterdir()) == {whole}
