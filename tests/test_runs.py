import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from medqa import runs
from medqa.runs import TERMINAL, EventReader, EventWriter, Run, RunError, progress
from medqa.spec import RunSpec

FAR_BACK = 1_000_000


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "quick-1"
    folder.mkdir()
    return Run(folder)


def written(run, *lines):
    with run.events_file.open("ab") as file:
        file.writelines(lines)


def step(number, seconds=None, **values):
    return {"event": "step", "step": number, "seconds": float(number if seconds is None else seconds), **values}


def prepared(from_step=0, total_steps=10):
    return {"event": "prepared", "from_step": from_step, "total_steps": total_steps}


def steps_of(seen):
    return [event["step"] for event in seen.steps]


@contextmanager
def another_process_holding(path, shared=False):
    kind = "LOCK_SH" if shared else "LOCK_EX"
    code = f"import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.flock(f, fcntl.{kind}); print(1, flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "1\n"
    try:
        yield process
    finally:
        process.communicate("\n")


# Events


def test_what_is_written_is_read_in_its_order(run):
    write = EventWriter(run)
    write("started")
    write("step", step=1, loss=0.5)
    first, second = EventReader(run).read()
    assert first["event"] == "started"
    assert (second["event"], second["step"], second["loss"]) == ("step", 1, 0.5)
    assert second["time"] >= first["time"] > FAR_BACK


def test_text_with_line_breaks_stays_one_event(run):
    EventWriter(run)("failed", reason="first\nsecond\r\u2028third “é”")
    [event] = EventReader(run).read()
    assert event["reason"] == "first\nsecond\r\u2028third “é”"


def test_a_run_without_events_reads_as_none(run):
    assert EventReader(run).read() == []


def test_a_half_written_last_line_waits_for_its_end(run):
    reader = EventReader(run)
    written(run, b'{"event": "started"}\n{"event": "st')
    assert [event["event"] for event in reader.read()] == ["started"]
    written(run, b'opped"}\n')
    assert [event["event"] for event in reader.read()] == ["started", "stopped"]


def test_a_whole_line_counts_only_with_its_newline(run):
    reader = EventReader(run)
    written(run, b'{"event": "done"}')
    assert reader.read() == []
    written(run, b"\n")
    assert reader.read() == [{"event": "done"}]


@pytest.mark.parametrize(
    "line",
    [
        b'{"event": "step", "st',
        b"",
        b"\0\0\0\0",
        b"\xff\xfe",
        b"[1]",
        b"7",
        b"null",
        b'{"step": 3}',
        b'{"event": "a"}}',
    ],
    ids=repr,
)
def test_a_damaged_line_is_skipped_and_its_neighbours_are_kept(run, line):
    written(run, b'{"event": "started"}\n', line + b"\n", b'{"event": "done"}\n')
    assert [event["event"] for event in EventReader(run).read()] == ["started", "done"]


def test_a_reader_reads_only_what_is_new(run):
    reader = EventReader(run)
    written(run, b'{"event": "started"}\n')
    reader.read()
    # Were the start read again, it would now be gone.
    with run.events_file.open("r+b") as file:
        file.write(b"#" * 20)
    written(run, b'{"event": "done"}\n')
    assert [event["event"] for event in reader.read()] == ["started", "done"]
    assert reader.offset == run.events_file.stat().st_size


def test_two_readers_each_get_everything(run):
    EventWriter(run)("started")
    assert EventReader(run).read() == EventReader(run).read() != []


def test_visitors_who_poll_one_reader_at_once_see_each_event_once(run):
    written(run, *[json.dumps(step(i)).encode() + b"\n" for i in range(1000)])
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # with twenty rounds, threads change places inside read() in nearly every test
    try:
        for _ in range(20):
            reader, together = EventReader(run), threading.Barrier(4)
            visitors = [threading.Thread(target=poll, args=(reader, together)) for _ in range(4)]
            for visitor in visitors:
                visitor.start()
            for visitor in visitors:
                visitor.join()
            assert [event["step"] for event in reader.events] == list(range(1000))
    finally:
        sys.setswitchinterval(usual)


def poll(reader, together):
    together.wait()
    reader.read()


def test_a_writer_mends_the_line_that_a_killed_one_left_half_written(run):
    written(run, b'{"event": "started"}\n{"event": "step", "st')
    EventWriter(run)("started", again=True)
    assert [event.get("again") for event in EventReader(run).read()] == [None, True]


@pytest.mark.parametrize("before", [b"", b'{"event": "started"}\n'])
def test_a_writer_adds_nothing_to_whole_lines(run, before):
    written(run, before)
    EventWriter(run)
    assert run.events_file.read_bytes() == before


def test_a_writer_makes_no_file_before_its_first_event(run):
    EventWriter(run)
    assert not run.events_file.exists()


# Status


@pytest.mark.parametrize("alive", [True, False])
@pytest.mark.parametrize("last", TERMINAL)
def test_the_last_word_of_a_run_is_its_status_whether_or_not_its_process_has_left(last, alive):
    assert progress([{"event": "started"}, {"event": last}], alive, False).status == last


@pytest.mark.parametrize(("alive", "status"), [(True, "running"), (False, "interrupted")])
@pytest.mark.parametrize(
    "events",
    [
        [],
        [{"event": "started"}],
        [{"event": "started"}, prepared(), step(1)],
        *[[{"event": "started"}, {"event": last}, {"event": "started"}] for last in TERMINAL],
    ],
    ids=["no events", "started", "at step 1", *[f"resumed after {last}" for last in TERMINAL]],
)
def test_without_a_last_word_the_lock_tells_running_from_interrupted(events, alive, status):
    assert progress(events, alive, False).status == status


@pytest.mark.parametrize(
    ("last", "alive", "resumable"),
    [
        ("stopped", False, True),
        ("failed", False, True),
        ("started", False, True),
        ("started", True, False),
        ("done", False, False),
    ],
)
def test_a_run_that_ended_early_can_be_resumed_where_there_is_a_checkpoint(last, alive, resumable):
    assert progress([{"event": last}], alive, has_checkpoint=True).resumable is resumable
    assert progress([{"event": last}], alive, has_checkpoint=False).resumable is False


def test_the_reason_of_a_failure_is_forgotten_once_resumed():
    failed = [{"event": "started"}, {"event": "failed", "reason": "The disk is full."}]
    assert progress(failed, False, True).reason == "The disk is full."
    assert progress([*failed, {"event": "started"}], True, True).reason == ""


def test_what_comes_after_the_last_word_does_not_change_it():
    assert progress([{"event": "done"}, {"event": "note", "message": "bye"}], False, False).status == "done"


def test_a_run_began_when_its_process_first_spoke_however_often_it_was_resumed():
    turns = [{"event": name, "time": 10.0 + i} for i, name in enumerate(("started", "failed", "resumed", "started"))]
    assert progress(turns, alive=True, has_checkpoint=True).began == 10.0
    assert progress([], alive=True, has_checkpoint=False).began == float("inf")


def test_the_scores_are_those_last_told():
    told = [{"event": "stopped", "scores": {"test": 1}}, {"event": "started"}, {"event": "done", "scores": {"test": 2}}]
    assert progress(told, False, False).scores == {"test": 2}
    assert progress(told[:2], False, False).scores == {"test": 1}


# Steps


def test_the_steps_that_a_resumed_run_repeats_count_once():
    first = [prepared(), *[step(i, loss=1.0) for i in range(1, 8)]]
    again = [prepared(from_step=5), *[step(i, loss=2.0) for i in range(6, 11)]]
    seen = progress(first + again, True, True)
    assert steps_of(seen) == list(range(1, 11))
    assert [event["loss"] for event in seen.steps] == [1.0] * 5 + [2.0] * 5


def test_going_on_drops_the_steps_and_evaluations_after_the_checkpoint_at_once():
    evaluations = [{"event": "evaluated", "step": i} for i in (0, 4, 6)]
    seen = progress([prepared(), step(4), step(5), step(6), *evaluations, prepared(from_step=5)], True, True)
    assert steps_of(seen) == [4, 5]
    assert [event["step"] for event in seen.evaluations] == [0, 4]
    assert seen.step == 5


def test_starting_over_from_nothing_keeps_only_the_measure_of_the_base_model():
    seen = progress([prepared(), {"event": "evaluated", "step": 0}, step(1), step(2), prepared()], True, False)
    assert steps_of(seen) == []
    assert [event["step"] for event in seen.evaluations] == [0]


def test_before_anything_is_known_there_is_no_step_no_total_and_no_time_left():
    seen = progress([], True, False)
    assert (seen.step, seen.total_steps, seen.seconds_left) == (0, 0, None)


def test_the_time_left_follows_the_pace_so_far():
    seen = progress([prepared(total_steps=10), step(1, 3.0), step(2, 5.0), step(3, 7.0)], True, False)
    assert seen.seconds_left == pytest.approx(2.0 * 7)


def test_the_pace_is_that_of_the_last_twenty_steps():
    slow = [step(i, 100.0 * i) for i in range(1, 11)]
    fast = [step(10 + i, 5000.0 + i) for i in range(1, 21)]
    assert progress([prepared(total_steps=40), *slow, *fast], True, False).seconds_left == pytest.approx(10.0)


def test_what_is_measured_between_two_steps_is_no_part_of_the_pace():
    seen = progress([prepared(total_steps=10), step(1, 1.0), step(2, 2.0), step(3, 33.0), step(4, 34.0)], True, False)
    assert seen.seconds_left == pytest.approx(6.0)


def test_one_step_shows_no_pace():
    assert progress([prepared(), step(1)], True, False).seconds_left is None


def test_nothing_is_left_of_a_run_that_is_over():
    steps = [prepared(), step(1), step(2)]
    assert progress([*steps, {"event": "stopped"}], False, True).seconds_left is None
    assert progress(steps, False, True).seconds_left is None
    assert progress([*steps, step(10)], True, True).seconds_left == 0


# The folder


def test_a_spec_is_read_as_it_was_written(run):
    spec = RunSpec(name="quick-1", rows=7, target_modules=("q_proj",))
    run.write_spec(spec)
    assert run.spec == spec
    assert [path.name for path in run.folder.iterdir()] == ["spec.json"]


@pytest.mark.parametrize("text", [None, "", '{"name": "qu', "[]", "7", "null", "\0"])
def test_an_unreadable_spec_is_told_with_the_runs_name(run, text):
    if text is not None:
        (run.folder / "spec.json").write_text(text)
    with pytest.raises(RunError, match=r"The run quick-1 has no readable spec\.json"):
        run.spec  # noqa: B018


def test_only_checkpoints_written_to_their_end_count_the_newest_first(run):
    for number in (2, 10, 9, 30):
        folder = run.folder / "checkpoints" / f"checkpoint-{number}"
        folder.mkdir(parents=True)
        (folder / "trainer_state.json").touch()
    assert run.checkpoints() == []
    for number in (2, 10, 9):
        (run.folder / "checkpoints" / f"checkpoint-{number}" / "complete").touch()
    assert [path.name for path in run.checkpoints()] == ["checkpoint-10", "checkpoint-9", "checkpoint-2"]


def test_an_adapter_is_there_once_its_folder_has_its_last_name(run):
    part = run.folder / "adapter.part"
    part.mkdir()
    (part / "adapter_config.json").touch()
    assert not run.has_adapter
    part.rename(run.adapter)
    assert run.has_adapter


def test_runs_are_listed_newest_first_without_hidden_folders_and_those_that_lack_a_spec(tmp_path):
    for name, age in (("middle", 5), ("newest", 1), ("oldest", 9), (".hidden", 0)):
        (tmp_path / name).mkdir()
        Run(tmp_path / name).write_spec(RunSpec(name=name))
        os.utime(tmp_path / name / "spec.json", (FAR_BACK - age, FAR_BACK - age))
    (tmp_path / "no-spec").mkdir()
    assert [run.name for run in runs.all_runs(tmp_path)] == ["newest", "middle", "oldest"]
    assert runs.all_runs(tmp_path / "nowhere") == []


def test_a_run_is_found_by_name(run):
    run.write_spec(RunSpec(name="quick-1"))
    assert runs.named(run.folder.parent, "quick-1") == run


@pytest.mark.parametrize("name", ["", None])
def test_who_names_no_run_is_told_to_choose_one(run, name):
    with pytest.raises(RunError, match=r"^Choose a run first\.$"):
        runs.named(run.folder.parent, name)


@pytest.mark.parametrize("name", ["quick-2", "../quick-1", "."])
def test_an_unknown_run_is_refused_with_those_there_are(run, name):
    run.write_spec(RunSpec(name="quick-1"))
    with pytest.raises(RunError, match=r"Runs there: quick-1\.") as refused:
        runs.named(run.folder.parent, name)
    assert f"“{name}”" in str(refused.value)


# The lock


def test_a_lock_nobody_made_is_not_held(tmp_path):
    assert not runs.locked(tmp_path / "lock")


def test_a_run_is_alive_exactly_while_another_process_holds_its_lock(run):
    with another_process_holding(run.folder / "lock"):
        assert run.alive
    assert not run.alive


def test_a_killed_process_holds_no_lock(run):
    with another_process_holding(run.folder / "lock") as process:
        process.kill()
        process.wait()
        assert not run.alive


def test_readers_do_not_take_one_another_for_the_trainer(run):
    with another_process_holding(run.folder / "lock", shared=True):
        assert not run.alive


def test_a_child_that_inherited_the_lock_keeps_it_after_the_parent_let_go(run):
    lock = run.folder / "lock"
    with runs.holding(lock, "") as descriptor:
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, pass_fds=(descriptor,))
    try:
        assert run.alive
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
    finally:
        child.communicate()
    assert not run.alive


def test_a_lock_is_let_go_when_what_needed_it_fails(run):
    with pytest.raises(ZeroDivisionError), runs.holding(run.folder / "lock", ""):
        assert run.alive
        _ = 1 / 0
    assert not run.alive


def test_a_folder_that_cannot_be_written_to_is_told_with_the_way_out(tmp_path):
    (tmp_path / "lock").mkdir()  # opened for writing by nobody, not even by root
    with pytest.raises(RunError, match=rf"{tmp_path} can't be written to: Is a directory\. Set MEDQA_RUNS"):
        runs.holding(tmp_path / "lock", "busy").__enter__()


@pytest.mark.parametrize(("content", "named"), [("quick-7", "quick-7"), ("", "another run")])
def test_a_lock_that_is_held_is_refused_with_its_holder(tmp_path, monkeypatch, content, named):
    monkeypatch.setattr(runs.time, "sleep", lambda seconds: None)
    lock = tmp_path / "lock"
    lock.write_text(content)
    with another_process_holding(lock), pytest.raises(RunError) as refused, runs.holding(lock, "Busy with {holder}."):
        pass
    assert str(refused.value) == f"Busy with {named}."
    assert lock.read_text() == content


def test_a_readers_brief_look_does_not_keep_a_run_from_its_lock(tmp_path):
    lock = tmp_path / "lock"
    with another_process_holding(lock, shared=True) as reader:
        threading.Timer(0.03, reader.kill).start()
        with runs.holding(lock, "refused"):
            assert runs.locked(lock)


def test_progress_of_a_run_comes_from_its_folder(run):
    written(run, b'{"event": "started"}\n')
    (run.folder / "checkpoints" / "checkpoint-5").mkdir(parents=True)
    (run.folder / "checkpoints" / "checkpoint-5" / "complete").touch()
    seen = runs.progress_of(run)
    assert (seen.status, seen.resumable) == ("interrupted", True)
    with another_process_holding(run.folder / "lock"):
        assert runs.progress_of(run).status == "running"


def test_a_checkpoint_folder_copied_by_hand_is_none_of_the_runs(tmp_path):
    run = Run(tmp_path / "quick-1")
    for name in ("checkpoint-6", "checkpoint-12", "checkpoint-6 (copy)", "checkpoint-old"):
        (run.folder / "checkpoints" / name).mkdir(parents=True)
        (run.folder / "checkpoints" / name / "complete").touch()
    assert [path.name for path in run.checkpoints()] == ["checkpoint-12", "checkpoint-6"]


def test_a_run_that_is_deleted_while_they_are_listed_is_left_out(tmp_path, monkeypatch):
    (tmp_path / "kept-1").mkdir()
    Run(tmp_path / "kept-1").write_spec(RunSpec(name="kept-1"))
    listed = [tmp_path / name / "spec.json" for name in ("gone-1", "kept-1")]
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: iter(listed))
    assert [run.name for run in runs.all_runs(tmp_path)] == ["kept-1"]
