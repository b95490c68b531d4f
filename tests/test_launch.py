"""Starting and stopping, with a stand-in for the training process; the real one is in tests/train/test_session.py."""

import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from medqa import launch, runs
from medqa.runs import EventWriter, RunError
from medqa.spec import RunSpec, SpecError

SPEC = RunSpec(name="quick-1")
LIVES_UNTIL_TOLD = "import sys; sys.stdin.read()"


@pytest.fixture
def stand_in(monkeypatch):
    """Each start runs a process that does nothing but hold what it was handed; calling the fixture ends them all."""
    started = []
    real = subprocess.Popen

    def start(command, stdin, **options):
        assert command[-3:-1] == ["-m", "train"]
        process = real([sys.executable, "-S", "-c", LIVES_UNTIL_TOLD], stdin=subprocess.PIPE, **options)
        process.launcher = command[1:-3]
        process.folder = command[-1]
        process.session = options["start_new_session"]
        started.append(process)
        return process

    def end():
        for process in started:
            process.stdin.close()
            process.wait()

    end.started = started
    monkeypatch.setattr(launch.subprocess, "Popen", start)
    yield end
    end()


def with_checkpoint(run, step=5):
    folder = run.folder / "checkpoints" / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "complete").touch()


def test_a_start_writes_the_spec_and_the_child_holds_the_lock(tmp_path, stand_in):
    run = launch.start(SPEC, tmp_path / "runs")
    assert run.folder == tmp_path / "runs" / "quick-1"
    assert run.spec == SPEC
    assert stand_in.started[0].folder == str(run.folder)
    assert (run.folder / "reserve").stat().st_size == runs.RESERVE_BYTES
    assert run.alive
    stand_in()
    assert not run.alive


def test_the_run_outlives_the_servers_terminal(tmp_path, stand_in):
    launch.start(SPEC, tmp_path)
    pid = stand_in.started[0].pid
    assert os.getsid(pid) == pid != os.getsid(0)


def test_a_second_start_says_who_holds_the_device_and_makes_no_folder(tmp_path, stand_in):
    launch.start(SPEC, tmp_path)
    with pytest.raises(RunError, match=r"busy with the run “quick-1”\. Wait until it ends, or stop it first"):
        launch.start(replace(SPEC, name="quick-2"), tmp_path)
    assert not (tmp_path / "quick-2").exists()
    stand_in()
    assert launch.start(replace(SPEC, name="quick-2"), tmp_path).alive


def test_looking_at_a_run_disturbs_no_start(tmp_path, stand_in):
    (tmp_path / ".device.lock").touch()
    with (tmp_path / ".device.lock").open() as looking:
        import fcntl
        import threading

        fcntl.flock(looking, fcntl.LOCK_SH)
        threading.Timer(0.1, lambda: fcntl.flock(looking, fcntl.LOCK_UN)).start()
        assert launch.start(SPEC, tmp_path).alive
        time.sleep(0.1)


def test_a_taken_name_is_refused(tmp_path, stand_in):
    launch.start(SPEC, tmp_path)
    stand_in()
    with pytest.raises(RunError, match=r"There is a run “quick-1” already\. Choose another name"):
        launch.start(SPEC, tmp_path)
    assert len(stand_in.started) == 1


@pytest.mark.parametrize("name", ["", "../out", "a b", "/etc", ".hidden"])
def test_a_name_that_is_no_folder_name_starts_nothing(tmp_path, stand_in, name):
    with pytest.raises(SpecError):
        launch.start(replace(SPEC, name=name), tmp_path / "runs")
    assert not stand_in.started
    assert not (tmp_path / "runs").exists()


def test_a_run_without_a_checkpoint_cannot_be_resumed(tmp_path, stand_in):
    run = launch.start(SPEC, tmp_path)
    stand_in()
    with pytest.raises(RunError, match="quick-1 has no checkpoint to go on from"):
        launch.resume(run)


def test_resuming_takes_the_stop_back_and_reserves_the_last_words_again(tmp_path, stand_in):
    run = launch.start(SPEC, tmp_path)
    launch.stop(run)
    assert run.stop_file.exists()
    stand_in()
    (run.folder / "reserve").unlink()
    with_checkpoint(run)
    launch.resume(run)
    assert run.alive
    assert not run.stop_file.exists()
    assert (run.folder / "reserve").exists()


def test_a_living_run_is_not_resumed_a_second_time(tmp_path, stand_in):
    run = launch.start(SPEC, tmp_path)
    with_checkpoint(run)
    launch.stop(run)
    with pytest.raises(RunError, match="busy with the run “quick-1”"):
        launch.resume(run)
    assert run.stop_file.exists()


def test_a_resumed_run_shows_as_running_before_its_process_has_spoken(tmp_path, stand_in):
    run = launch.start(SPEC, tmp_path)
    with_checkpoint(run)
    EventWriter(run)("stopped", step=1)
    stand_in()
    launch.resume(run)
    assert runs.progress_of(run).status == "running"


def test_a_run_stopped_at_once_ends_where_it_is_and_goes_on_from_its_checkpoint(tmp_path, stand_in):
    run = launch.start(SPEC, tmp_path)
    with_checkpoint(run)
    launch.stop(run)
    with pytest.raises(RunError, match="is not found on this machine"):
        launch.stop(run, at_once=True)
    EventWriter(run)("started", process=stand_in.started[0].pid)
    launch.stop(run, at_once=True)
    seen = runs.progress_of(run)
    assert (seen.status, seen.resumable) == ("interrupted", True)
    launch.resume(run)
    assert run.alive
    assert not run.stop_file.exists()


def test_one_device_needs_no_launcher(tmp_path, stand_in):
    launch.start(SPEC, tmp_path)
    assert stand_in.started[0].launcher == []


def test_several_devices_are_started_by_accelerate_and_resumed_on_as_many_or_on_others(tmp_path, stand_in):
    run = launch.start(replace(SPEC, devices=8), tmp_path)
    stand_in()
    with_checkpoint(run)
    for devices in (None, 4, 1):
        launch.resume(run, devices)
        assert run.alive
        stand_in()
    launchers = [process.launcher for process in stand_in.started]
    assert all(words[:2] == ["-m", "accelerate.commands.launch"] for words in launchers[:3])
    wanted = [words[words.index("--num_processes") + 1] for words in launchers[:3]]
    assert wanted == ["8", "8", "4"]
    assert launchers[3] == []
    assert run.spec.devices == 8


def test_a_run_whose_devices_share_the_base_goes_on_with_one_that_holds_it_whole(tmp_path, stand_in):
    run = launch.start(replace(SPEC, devices=2, base_weights="shared"), tmp_path)
    stand_in()
    with_checkpoint(run)
    launch.resume(run, 1)
    assert run.alive


def test_devices_that_cannot_share_the_batch_resume_nothing(tmp_path, stand_in):
    run = launch.start(SPEC, tmp_path)
    stand_in()
    with_checkpoint(run)
    with pytest.raises(SpecError, match="An effective batch of 16 can't be shared evenly by 3 devices"):
        launch.resume(run, 3)
    assert not run.alive


def test_a_process_that_dies_without_a_word_leaves_an_interrupted_run(tmp_path, stand_in):
    run = launch.start(SPEC, tmp_path)
    EventWriter(run)("started")
    assert runs.progress_of(run).status == "running"
    stand_in.started[0].kill()
    stand_in.started[0].wait()
    assert runs.progress_of(run).status == "interrupted"


def test_a_free_name_is_above_all_that_are_taken(tmp_path):
    assert launch.free_name("quick", tmp_path) == "quick-1"
    for name in ("quick-1", "quick-12", "quick-old", "quicker-40"):
        (tmp_path / name).mkdir()
    assert launch.free_name("quick", tmp_path) == "quick-13"
    assert launch.with_free_name(replace(SPEC, name=""), "quick", tmp_path).name == "quick-13"
    assert launch.with_free_name(SPEC, "quick", tmp_path).name == "quick-1"
