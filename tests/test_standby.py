"""A process made ready for a run, with a stand-in for the trainer; the real one is in tests/train/test_session.py."""

import subprocess
import sys
import time

import pytest

from medqa import launch
from medqa.spec import RunSpec
from medqa.standby import Standby

# Waits as the trainer does; into the first file it is given it writes the folder and what the second one holds.
TRAINER = """
import os, socket, sys
folder, files, _, _ = socket.recv_fds(socket.socket(fileno=int(sys.argv[1])), 4096, 3)
if folder:
    os.write(files[0], folder + b" " + os.pread(files[1], 9, 0))
    sys.stdin.read()
"""


@pytest.fixture
def stand_in(monkeypatch):
    """The processes made ready; each ends once its `stdin` is closed."""
    made = []
    real = subprocess.Popen

    def start(command, stdin, **options):
        assert command[1:4] == ["-m", "train", "--standby"]
        made.append(real([sys.executable, "-S", "-c", TRAINER, command[4]], stdin=subprocess.PIPE, **options))
        return made[-1]

    monkeypatch.setattr("medqa.standby.subprocess.Popen", start)
    yield made
    for process in made:
        process.kill()
        process.communicate()


@pytest.fixture
def handed_over(tmp_path):
    """handed_over(standby): its process after it was given a run, and what that has written."""

    def take(standby):
        (tmp_path / "lock").write_text("held")
        with (tmp_path / "log").open("ab") as log, (tmp_path / "lock").open() as lock:
            process = standby.take(tmp_path, log.fileno(), lock.fileno())
        until = time.monotonic() + 20
        while process and not (tmp_path / "log").stat().st_size and time.monotonic() < until:
            time.sleep(0.01)
        return process, (tmp_path / "log").read_text()

    return take


def test_a_run_and_its_files_are_handed_to_the_process_that_waits(stand_in, handed_over, tmp_path):
    standby = Standby()
    standby.prepare({})
    assert handed_over(standby) == (stand_in[0], f"{tmp_path} held")


def test_without_a_process_there_is_none_to_take(handed_over):
    assert handed_over(Standby()) == (None, "")


def test_a_process_is_taken_once(stand_in, handed_over):
    standby = Standby()
    standby.prepare({})
    assert handed_over(standby)[0]
    assert handed_over(standby)[0] is None


def test_one_process_waits_however_often_it_is_asked_for(stand_in):
    standby = Standby()
    standby.prepare({})
    standby.prepare({})
    assert len(stand_in) == 1


def test_one_that_has_ended_is_not_taken_but_replaced(stand_in, handed_over):
    standby = Standby()
    standby.prepare({})
    stand_in[0].kill()
    stand_in[0].wait()
    assert handed_over(standby) == (None, "")
    standby.prepare({})
    assert handed_over(standby)[0] is stand_in[1]


def test_it_ends_with_the_process_that_wanted_it(stand_in):
    standby = Standby()
    standby.prepare({})
    standby._waiting[1].close()
    assert stand_in[0].wait(20) == 0


@pytest.fixture
def ready(monkeypatch):
    """keep_ready() as the page calls it, forgotten afterwards."""
    monkeypatch.setattr(launch, "_standby", Standby())
    launch.keep_ready()
    yield
    launch._keeps_ready.clear()


def test_a_run_takes_it_and_when_that_ends_the_next_one_waits(stand_in, ready, tmp_path):
    run = launch.start(RunSpec(name="quick-1"), tmp_path / "runs")
    assert len(stand_in) == 1
    assert run.alive
    until = time.monotonic() + 20
    while not (run.folder / "process.log").stat().st_size and time.monotonic() < until:
        time.sleep(0.01)
    assert (run.folder / "process.log").read_text().strip() == str(run.folder)
    stand_in[0].stdin.close()
    while len(stand_in) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    assert len(stand_in) == 2
    assert not run.alive
    assert stand_in[1].poll() is None
