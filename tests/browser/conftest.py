"""What the browser stories share: the app as a real process, and a Chromium that watches what the page does."""

import fcntl
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from medqa import launch, lock_holder
from medqa.runs import Run
from medqa.settings import ROOT
from medqa.spec import PRESETS

PATIENCE_SECONDS = 60  # two shared cores
RUN_SECONDS = 600  # no more than a ceiling: how long a run takes is the machine's matter
HERE = ("127.0.0.1", "localhost")


class Server:
    """`python app.py` with a runs folder and a port of its own; the same ones each time it is started."""

    def __init__(self, folder: Path) -> None:
        self.runs = folder / "runs"
        self.log = folder / "server.log"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def up(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Returns once the page is served."""
        users = {k: v for k, v in os.environ.items() if not k.startswith(("MEDQA_", "GRADIO_")) and k != "SPACE_ID"}
        # On a GPU a run would be over before a story could stop it.
        ours = {
            "MEDQA_RUNS": str(self.runs),
            "MEDQA_PORT": str(self.port),
            "MEDQA_DEVICE": "cpu",
            "HF_HUB_OFFLINE": "1",
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "app.py"], cwd=ROOT, env=users | ours, stdout=log, stderr=subprocess.STDOUT
            )
        until = time.monotonic() + PATIENCE_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > until:
                pytest.fail(f"The server did not come up:\n{self.log.read_text()}")
            time.sleep(0.1)

    def stop(self) -> None:
        if self.up:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def trainers(self, run: str = "*") -> list[int]:
        """The process ids of the training processes at work in this runs folder, or on one run."""
        at_work = [found for path in self.runs.glob(f"{run}/events.jsonl") if (found := Run(path.parent)).alive]
        return [process for process in map(lock_holder.recorded_process, at_work) if process]

    def end_trainers(self) -> None:
        """Returns once no run is alive. One that has just been started holds its lock before it says who it is."""
        until = time.monotonic() + PATIENCE_SECONDS
        while any(Run(path.parent).alive for path in self.runs.glob("*/lock")):
            assert time.monotonic() < until, f"A trainer does not end:\n{self.log.read_text()}"
            for pid in self.trainers():
                with suppress(ProcessLookupError):  # it has just ended by itself
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


class Watch:
    """What the pages of one test asked for and complained of."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.dialogs: list[str] = []
        # Gradio's client closes its stream of events as a page is left, which may be open just then. A test that takes
        # the server away adds what the browser then says.
        self.harmless = ["AbortError: signal is aborted without reason"]

    def over(self, context) -> None:
        context.on("request", lambda request: self.requests.append(request.url))
        context.on("page", lambda page: page.on("websocket", lambda socket: self.requests.append(socket.url)))
        context.on("console", self._heard)
        context.on("weberror", lambda error: self.errors.append(f"uncaught: {error.error}"))
        context.on("dialog", self._refused)

    @property
    def left_the_machine(self) -> list[str]:
        parts = [(url, urlsplit(url)) for url in self.requests]
        return [url for url, p in parts if p.scheme not in ("data", "blob", "about") and p.hostname not in HERE]

    @property
    def complaints(self) -> list[str]:
        return [error for error in self.errors if not any(known in error for known in self.harmless)]

    def reload(self, page) -> None:
        """A press of the page that is on its way just then is cut off, and Gradio's client says so as it goes."""
        before = len(self.errors)
        page.reload()
        self.errors[before:] = [error for error in self.errors[before:] if "Connection errored out." not in error]

    def _heard(self, message) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} ({message.location.get('url', '')})")

    def _refused(self, dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()


@pytest.fixture(scope="session")
def _served(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("app"))
    yield server
    server.stop()
    server.end_trainers()


@pytest.fixture(scope="module")
def _server(_served):
    """One server for all files, as each start loads Gradio, torch and the model; a file begins with no runs."""
    if not _served.up:
        _served.start()
    yield _served
    _served.end_trainers()
    if _served.runs.exists():
        shutil.rmtree(_served.runs)


@pytest.fixture
def server(_server):
    """A run left going by a failed test does not block the next one."""
    yield _server
    _server.end_trainers()


# Not of the session: Playwright keeps an event loop running, which other tests may not expect.
@pytest.fixture(scope="module")
def chromium():
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    path = shutil.which("chromium")
    if not path:
        pytest.skip("no chromium on the PATH")
    sync_api.expect.set_options(timeout=PATIENCE_SECONDS * 1000)
    with sync_api.sync_playwright() as playwright:
        # Tests run as root in containers, where Chromium's sandbox can't start.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
def new_page(chromium, watch):
    """new_page(**context options): a page in a browser context of its own, as another visitor has."""
    contexts = []

    def make(width=1280, height=900, **options):
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(PATIENCE_SECONDS * 1000)
        contexts.append(context)
        watch.over(context)
        return context.new_page()

    yield make
    for context in contexts:
        context.close()
    assert watch.left_the_machine == []
    assert watch.complaints == []
    assert watch.dialogs == []


@pytest.fixture
def page(new_page):
    return new_page()


@pytest.fixture
def opened(server):
    """opened(page, query=""): the page once it reacts. Drawn but not yet wired up, it loses what a script types."""
    from playwright.sync_api import expect

    def open_page(page, query=""):
        page.goto(server.url + query)
        # The badge names the device with the first answer to the page's timer after the model has loaded.
        expect(page.locator("#head .mq-badge")).to_contain_text("CPU")
        return page

    return open_page


@pytest.fixture
def fine_tune(server):
    """fine_tune(page, rows=64, …): open the tab, set fields under Advanced, start. Returns the run's name."""
    from playwright.sync_api import expect

    def start(page, name="quick-1", **fields):
        page.get_by_role("tab", name="Fine-tune").click()
        advanced(page)
        for field, value in fields.items():
            box = page.locator(f"#field-{field} input")
            box.fill(str(value))
            box.press("Enter" if field in ("dataset", "base_model") else "Tab")
            expect(box).to_have_value(str(value))
        page.locator("#run-name input").fill("" if name == "quick-1" else name)
        page.locator("#start").click()
        expect(page.locator("#live")).to_contain_text(f"{name} · running")
        return name

    return start


@pytest.fixture
def until_finished():
    """until_finished(page, name="quick-1"): the page shows that this run has come to its end, however long it took."""
    from playwright.sync_api import expect

    def wait(page, name="quick-1"):
        live = page.locator("#live")
        expect(live).to_contain_text(re.compile(f"{name} · (finished|failed)"), timeout=RUN_SECONDS * 1000)
        expect(live).to_contain_text(f"{name} · finished")

    return wait


@pytest.fixture(scope="session")
def _trained(tmp_path_factory, wait_for):
    """For stories that begin where a run has ended: one such run, made once, by the worker that needs it first."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    changed = {"rows": 64, "evaluation_questions": 10, "epochs": 1}
    spec = replace(PRESETS["quick"].spec, name="quick-1", **changed)
    run = Run(folder / "trained" / spec.name)
    with (folder / "trained.lock").open("w") as made, pytest.MonkeyPatch.context() as patch:
        fcntl.flock(made, fcntl.LOCK_EX)
        patch.setenv("MEDQA_DEVICE", "cpu")
        if not run.folder.exists():
            launch.start(spec, run.folder.parent)
        wait_for(run, lambda seen: seen.status == "done" and not run.alive, RUN_SECONDS)
    return run


@pytest.fixture
def trained(server, _trained, until_finished):
    """trained(page): on the Fine-tune tab turns up the finished run quick-1, as one started in another browser does."""

    def turn_up(page):
        # Its pieces are there all at once, as the page sees them.
        arriving = shutil.copytree(_trained.folder, server.runs.with_name("arriving"))
        server.runs.mkdir(exist_ok=True)
        arriving.rename(server.runs / _trained.name)
        page.get_by_role("tab", name="Fine-tune").click()
        until_finished(page)

    return turn_up


def advanced(page) -> None:
    page.get_by_role("button", name="Advanced").click()
    page.locator("#field-rows input").wait_for()
    # Gradio hands a component its value a moment after drawing it; what a script types before then may be lost.
    page.wait_for_timeout(500)
