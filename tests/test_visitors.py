import fcntl
import os

import pytest

from medqa import launch, visitors
from medqa.runs import Run, RunError, all_runs
from medqa.spec import RunSpec


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(visitors, "MOST_RUNS_OF_VISITORS", 3)
    monkeypatch.setattr(visitors, "MOST_BYTES_OF_VISITORS", 100_000)


@pytest.fixture
def made(tmp_path):
    """made(number, by_visitor, size): a run with files of so many bytes; a higher number is newer."""

    def make(number, by_visitor=True, size=1000):
        run = Run(tmp_path / f"quick-{number}")
        run.folder.mkdir()
        run.write_spec(RunSpec(name=run.name))
        if by_visitor:
            run.visitor_file.touch()
        checkpoint = run.folder / "checkpoints" / "checkpoint-1"
        checkpoint.mkdir(parents=True)
        (checkpoint / "complete").touch()
        (checkpoint / "weights").write_bytes(b"x" * size)
        os.utime(run.folder / "spec.json", (number, number))
        return run

    return make


def names(folder):
    return [run.name for run in all_runs(folder)]


def test_the_oldest_runs_of_visitors_make_room_for_one_more(made, tmp_path):
    for number in range(1, 6):
        made(number)
    visitors.make_room(tmp_path)
    assert names(tmp_path) == ["quick-5", "quick-4"]
    assert not list(tmp_path.glob(".*"))


def test_runs_of_visitors_take_no_more_than_so_many_bytes(made, tmp_path):
    made(1)
    made(2, size=90_000)
    made(3, size=20_000)
    visitors.make_room(tmp_path)
    assert names(tmp_path) == ["quick-3"]


def test_a_run_of_the_host_is_never_deleted(made, tmp_path):
    for number in range(1, 8):
        made(number, by_visitor=False, size=90_000)
    made(8)
    visitors.make_room(tmp_path)
    assert len(names(tmp_path)) == 8


def test_a_run_that_goes_on_stays_until_it_has_ended(made, tmp_path):
    oldest, *_ = [made(number) for number in range(1, 5)]
    with (oldest.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        visitors.make_room(tmp_path)
        assert names(tmp_path) == ["quick-4", "quick-3", "quick-1"]
    visitors.make_room(tmp_path)
    assert names(tmp_path) == ["quick-4", "quick-3"]


def test_who_waits_for_a_run_that_is_deleted_meanwhile_is_told_that_it_cannot_be_started(made, tmp_path, monkeypatch):
    run = made(1)
    checkpoints = Run.checkpoints

    def deleted_then(self):
        found = checkpoints(self)
        visitors._set_aside(self)
        return found

    monkeypatch.setattr(Run, "checkpoints", deleted_then)
    with pytest.raises(RunError):
        launch.resume(run)
    assert not run.folder.exists()


def test_what_was_left_half_deleted_is_deleted_the_next_time(tmp_path):
    left = tmp_path / ".deleted-quick-1-7"
    left.mkdir()
    (left / "events.jsonl").touch()
    visitors.make_room(tmp_path)
    assert not left.exists()


def test_a_run_is_marked_as_a_visitors_before_it_begins(tmp_path, monkeypatch):
    marked = []
    monkeypatch.setattr(launch, "_spawn", lambda run, *_: marked.append(run.visitor_file.exists()))
    launch.start(RunSpec(name="quick-1"), tmp_path, by_visitor=True)
    launch.start(RunSpec(name="quick-2"), tmp_path)
    assert marked == [True, False]
