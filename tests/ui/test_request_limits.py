import os
import time

import pytest
from fastapi import FastAPI, Request
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from medqa.ui.request_limits import DEEP_LINK, EVENT_BYTES, UPLOAD, RequestLimits

EVENT = "/gradio_api/queue/join"
LARGEST = 1_000_000


@pytest.fixture
def seen():
    """How many bytes of each request reached what lies behind."""
    return []


@pytest.fixture
def client(tmp_path, seen):
    """client(room): of a server that reads whatever is posted to it."""

    def made(room=float("inf")):
        limits = Middleware(RequestLimits, LARGEST, tmp_path, kept_seconds=60, room=room)
        app = FastAPI(middleware=[limits])

        async def read(request: Request):
            seen.append(0)
            async for piece in request.stream():
                seen[-1] += len(piece)

        for path in (EVENT, UPLOAD, DEEP_LINK):
            app.add_api_route(path, read, methods=["GET", "POST"])
        return TestClient(app)

    return made


def in_pieces(count):
    return (b"x" * 1000 for _ in range(count // 1000))


def test_an_event_as_large_as_any_the_page_sends_passes_whole(client, seen):
    assert client().post(EVENT, content=b"x" * EVENT_BYTES).status_code == 200
    assert client().post(EVENT, content=in_pieces(EVENT_BYTES)).status_code == 200
    assert seen == [EVENT_BYTES, EVENT_BYTES]


def test_a_larger_event_is_refused_before_any_of_it_is_read(client, seen):
    refused = client().post(EVENT, content=b"x" * (EVENT_BYTES + 1))
    assert (refused.status_code, seen) == (413, [])
    assert "256,000 bytes" in refused.text


def test_an_event_that_does_not_say_how_large_it_is_is_read_no_further_than_the_limit(client, seen):
    assert client().post(EVENT, content=in_pieces(10 * EVENT_BYTES)).status_code == 413
    assert seen[0] <= EVENT_BYTES


def test_an_upload_has_a_limit_of_its_own_for_all_its_files_together(client, seen):
    assert client().post(UPLOAD, content=b"x" * LARGEST).status_code == 200
    assert seen == [LARGEST]
    assert client().post(UPLOAD, content=b"x" * 2 * LARGEST).status_code == 413
    assert client().post(UPLOAD, content=in_pieces(2 * LARGEST)).status_code == 413


def test_nobody_has_the_server_write_down_a_session(client, seen):
    assert client().get(f"{DEEP_LINK}?session_hash=any").status_code == 404
    assert seen == []


def test_an_upload_is_refused_with_a_sentence_where_too_much_lies_about(client, tmp_path):
    bounded = client(room=LARGEST)
    (tmp_path / "a1").mkdir()
    (tmp_path / "a1" / "cases.csv").write_bytes(b"x" * (LARGEST // 2))
    assert bounded.post(UPLOAD, content=b"x" * (LARGEST // 3)).status_code == 200
    refused = bounded.post(UPLOAD, content=b"x" * (LARGEST // 2))
    assert (refused.status_code, "no room for uploads left" in refused.text) == (507, True)
    # Of unknown length it may be as large as any.
    assert bounded.post(UPLOAD, content=in_pieces(2000)).status_code == 507
    assert bounded.post(EVENT, content=b"x").status_code == 200


def test_what_is_old_goes_before_a_new_upload_is_refused(client, tmp_path):
    folder, left = tmp_path / "a1", tmp_path / "tmp_of_a_broken_upload"
    folder.mkdir()
    new = folder / "new.csv"
    for path in (left, folder / "old.csv", new):
        path.write_bytes(b"x" * (LARGEST // 3))
    for path in (left, folder / "old.csv"):
        os.utime(path, (time.time() - 61,) * 2)
    assert client(room=LARGEST).post(UPLOAD, content=b"x" * (LARGEST // 2)).status_code == 200
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [new]
    assert client(room=LARGEST).post(UPLOAD, content=b"x" * LARGEST).status_code == 507


def test_a_folder_that_has_become_empty_goes_too(client, tmp_path):
    empty = tmp_path / "a1"
    empty.mkdir()
    os.utime(empty, (time.time() - 61,) * 2)
    client(room=LARGEST).post(UPLOAD, content=b"x")
    assert not empty.exists()


def test_the_room_of_an_upload_under_way_is_taken_already(tmp_path):
    began, limits = [], None

    async def slow(scope, receive, send):
        began.append(limits._under_way)
        raise ConnectionError

    limits = RequestLimits(slow, LARGEST, tmp_path, 60, room=LARGEST)
    with pytest.raises(ConnectionError):
        TestClient(limits).post(UPLOAD, content=b"x" * 1000)
    assert (began, limits._under_way) == ([1000], 0)
