import pytest
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from medqa.settings import Settings
from medqa.ui import page
from medqa.ui.own_machine import OwnMachineOnly


def answer(**headers):
    app = FastAPI(middleware=[Middleware(OwnMachineOnly)])
    app.add_api_route("/", lambda: "the page")
    return TestClient(app).get("/", headers={"host": "127.0.0.1:7860", **headers})


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "localhost", "[::1]:7860", "127.0.0.2"])
def test_this_machine_by_any_of_its_names_is_let_in(host):
    assert answer(host=host).json() == "the page"


@pytest.mark.parametrize("host", ["evil.example:7860", "192.168.1.4", "localhost.evil.example", "", "[fe80::1]:7860"])
def test_another_name_is_refused_and_told_the_way_out(host):
    refused = answer(host=host)
    assert refused.status_code == 403
    assert f"under the name {host!r}" in refused.text
    assert "MEDQA_PUBLIC=1" in refused.text and "MEDQA_PROXY=1" in refused.text


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "CF-Connecting-IP"])
def test_what_a_proxy_sends_is_refused_though_it_asks_for_this_machine(header):
    refused = answer(**{header: "203.0.113.9"})
    assert refused.status_code == 403
    assert header.lower() in refused.text


@pytest.mark.parametrize(
    ("settings", "guarded"),
    [
        ({}, True),
        ({"host": "localhost"}, True),
        ({"public": True}, False),
        ({"proxy": True}, False),
        ({"host": "0.0.0.0", "public": False}, False),
    ],
)
def test_only_a_page_for_this_machine_alone_is_guarded(settings, guarded, tmp_path):
    made = page.guards(Settings(runs=tmp_path, **settings), tmp_path)
    assert any(one.cls is OwnMachineOnly for one in made) == guarded
