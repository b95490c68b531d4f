from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest

from medqa.settings import Settings
from medqa.ui import page
from medqa.ui.answering import Engines


def test_gradios_own_copies_of_uploads_do_not_stay_for_ever(tmp_path):
    settings = Settings(runs=tmp_path)
    assert page.build(settings, Engines(settings)).delete_cache == page.DELETE_CACHE


@pytest.fixture
def launched(tmp_path, monkeypatch):
    """launched(settings): the page, and what it is launched with; nothing is served."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(Engines, "load_ahead", lambda self, then: None)

    def serve(settings):
        given = {}
        monkeypatch.setattr(gr.Blocks, "launch", lambda self, **options: given.update(options))
        monkeypatch.setattr(gr.Blocks, "local_url", "", raising=False)
        return page.serve(settings, prevent_thread_lock=True), given

    return serve


def test_gradio_keeps_few_sessions_and_few_events_and_reads_no_large_request(launched, tmp_path):
    served, given = launched(Settings(runs=tmp_path))
    assert given["state_session_capacity"] == page.SESSIONS
    assert served._queue.max_size == page.WAITING
    *_, limits = given["app_kwargs"]["middleware"]
    assert limits.cls is page.RequestLimits


def test_how_much_may_lie_about_of_uploads_is_bounded_on_a_public_page(launched, tmp_path):
    own = Settings(runs=tmp_path, max_upload_megabytes=3)
    _, given = launched(own)
    assert given["app_kwargs"]["middleware"][-1].kwargs["room"] == float("inf")
    _, given = launched(replace(own, public=True))
    assert given["app_kwargs"]["middleware"][-1].kwargs["room"] == 60 * 2**20


def test_gradios_copies_lie_in_a_folder_of_this_page_and_not_among_the_runs(launched, tmp_path):
    served, _ = launched(Settings(runs=tmp_path / "runs", port=7999))
    assert Path(served.GRADIO_CACHE) == tmp_path / "medqa-7999"
