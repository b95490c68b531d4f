import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from huggingface_hub import constants

from medqa import hub

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WAY_OUT = "choose an adapter of a finished run."
FILES = ["config.json", "model.safetensors", "chat_template.jinja", "merges.txt", "sub/tokenizer.json", "README.md"]
UNWANTED = ["modeling.py", "pytorch_model.bin", "training_args.bin", "model.pt", "weights.pkl", "model.gguf"]


class Repository(BaseHTTPRequestHandler):
    """A Hub with the repository some/thing; the others are gated, gone or broken, as their names say."""

    def do_GET(self):
        if "/api/models/some/thing/tree/" in self.path:
            listed = [{"type": "file", "path": name, "size": 2, "oid": "0000"} for name in FILES + UNWANTED]
            self.reply(200, json.dumps(listed).encode())
        elif "/api/models/some/thing" in self.path:
            listed = [{"rfilename": name} for name in FILES + UNWANTED]
            self.reply(200, json.dumps({"id": "some/thing", "sha": COMMIT, "siblings": listed}).encode())
        elif "/some/thing/resolve/" in self.path:
            self.reply(200, b"{}", {"ETag": '"0000"', "X-Repo-Commit": COMMIT})
        elif "gated" in self.path:
            self.reply(403, b"", {"X-Error-Code": "GatedRepo"})
        elif "gone" in self.path:
            self.reply(404, b"", {"X-Error-Code": "RepoNotFound"})
        else:
            self.reply(501, b"")

    do_HEAD = do_GET

    def reply(self, status, content, headers=()):
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    return tmp_path / "cache"


@pytest.fixture
def no_hub(monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # the discard port: nobody listens there


@pytest.fixture
def local_hub(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Repository)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    yield
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("name", ["Qwen/Qwen3-1.7B", "someone/medqa_lora.v2", "a/b"])
def test_owner_and_name_make_a_repository_id(name):
    assert hub.is_repository_id(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "quick-1",
        "/etc",
        "a/b/c",
        "a/",
        "/b",
        "a/..",
        "../b",
        "a b/c",
        "a/b\n",
        "https://hf.co/a/b",
        "a/b?x=1",
        "~/b",
    ],
)
def test_a_path_an_address_or_a_single_word_is_no_repository_id(name):
    assert not hub.is_repository_id(name)


@pytest.mark.parametrize("name", ["./b", "a/.b", "-a/b", "a/b-", "a--b/c", "a/b.git"])
def test_what_the_hub_refuses_as_an_id_is_none(name):
    assert not hub.is_repository_id(name)


def test_an_unreachable_hub_is_told_with_the_repository_and_the_way_out(no_hub):
    with pytest.raises(hub.HubError) as refused:
        hub.fetch("some/thing", WAY_OUT)
    assert str(refused.value).startswith("some/thing can't be reached on the Hub and is not in the local cache.")
    assert str(refused.value).endswith("Choose an adapter of a finished run.")


def test_what_was_fetched_once_is_had_from_the_cache_when_the_hub_is_unreachable(no_hub, own_cache):
    repository = own_cache / "models--some--thing"
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    assert hub.fetch("some/thing", WAY_OUT) == snapshot


def test_nothing_that_can_run_is_fetched(local_hub):
    folder = hub.fetch("some/thing", WAY_OUT)
    fetched = {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}
    assert fetched == set(FILES)


def test_weights_that_are_not_needed_are_not_fetched(local_hub):
    folder = hub.fetch("some/thing", WAY_OUT, weights=False)
    assert {path.name for path in folder.rglob("*")} & {"config.json", "model.safetensors"} == {"config.json"}
    assert (hub.fetch("some/thing", WAY_OUT) / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("repository", "said"),
    [
        ("some/gated", "some/gated is gated: accept its terms on the Hub and set HF_TOKEN. Or choose an adapter"),
        ("some/gone", "The Hub has no repository some/gone (or it is private). Check the id, or choose an adapter"),
        ("some/broken", "some/broken can't be reached on the Hub and is not in the local cache. Choose an adapter"),
    ],
)
def test_a_repository_that_is_not_given_out_is_told_with_the_reason_and_the_way_out(local_hub, repository, said):
    with pytest.raises(hub.HubError) as refused:
        hub.fetch(repository, WAY_OUT)
    assert str(refused.value).startswith(said)
