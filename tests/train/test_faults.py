"""A run can't be lost: each fault a run may meet, on the real training process where the process matters."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import fields, replace
from types import SimpleNamespace

import psutil
import pytest

from medqa import adapters, datasets, launch, runs
from medqa.runs import EventWriter, Run, RunError
from medqa.settings import ROOT
from medqa.spec import RunSpec
from tests.train.in_process import go_on, new_run

pytestmark = [pytest.mark.model, pytest.mark.slow]

SAME = 1e-4  # in nats: what two runs of the same steps may differ by in float32
SECONDS_TO_BE_TRUE = 2
HOUR = 3600
# A run of `tiny_spec` makes 96 steps, with a checkpoint at every 19th.
SECOND_CHECKPOINT, LAST_STEP, LAST_SHORT_STEP = 38, 96, 12

# Found by the training process as it starts: acts at the very moment it asks the system for something, in its own
# thread, and changes nothing else in it. https://docs.python.org/3/library/audit_events.html
AT_THE_MOMENT = """
import pathlib, sys, time

def pause():
    pathlib.Path({reached!r}).touch()
    time.sleep(60)

def fill_the_disk():
    try:
        with open({filler!r}, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    except OSError:
        pass

met = []

def watch(event, arguments):
    if event == {event!r} and str(arguments[0]).endswith({ending!r}) and not met:
        met.append(event)
        {action}()

sys.addaudithook(watch)
"""


@pytest.fixture(scope="module", autouse=True)
def no_trainer_is_left(tmp_path_factory, on_one_cpu_thread):
    yield
    for process in trainers(tmp_path_factory.getbasetemp()):
        process.kill()


def trainers(folder):
    """The training processes of the runs under a folder, whoever started them."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if words[1:3] == ["-m", "train"] and words[-1].startswith(str(folder.resolve())):
            found.append(process)
    return found


@contextmanager
def acting(folder, action, event, ending):
    """The trainers started inside do something at this audit event; yields the file that a pause leaves behind."""
    reached = folder / "reached"
    reached.unlink(missing_ok=True)
    hook = folder / "hook"
    hook.mkdir(exist_ok=True)
    filler = str(folder / "filler")
    text = AT_THE_MOMENT.format(reached=str(reached), filler=filler, event=event, ending=ending, action=action)
    (hook / "sitecustomize.py").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(hook))
        yield reached


def wait_until(condition, what, seconds=90):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.02)


def kill(run):
    """What the page knows two seconds after a kill -9 of the trainer."""
    [trainer] = trainers(run.folder)
    trainer.send_signal(signal.SIGKILL)
    wait_until(lambda: runs.progress_of(run).status != "running", "still called running", SECONDS_TO_BE_TRUE)
    return SimpleNamespace(
        progress=runs.progress_of(run),
        checkpoints=[path.name for path in run.checkpoints()],
        folders={path.name for path in (run.folder / "checkpoints").glob("checkpoint-*")},
        adapters=[adapter.card["steps"] for adapter in adapters.found(run.folder.parent)],
        files={path.name for path in run.folder.iterdir()},
    )


@pytest.fixture
def cpu_alone(monkeypatch):
    monkeypatch.setenv("MEDQA_DEVICE", "cpu")


@pytest.fixture
def copied(finished_run, tmp_path):
    """A finished run to do damage to."""
    return Run(shutil.copytree(finished_run.folder, tmp_path / "runs" / finished_run.name))


@pytest.fixture
def short_spec(tiny_spec):
    """One epoch: a dozen steps, a checkpoint at every second one. Dropout draws on the random state at each step."""
    return replace(tiny_spec, name="short-1", epochs=1, lora_dropout=0.1)


@pytest.fixture
def small_disk(disk):
    folder = disk(megabytes=2)
    yield folder
    for process in trainers(folder):
        process.kill()
        process.wait()


def numbers(events):
    return [event["step"] for event in events]


def assert_same_course(seen, undisturbed):
    """Optimiser, scheduler and place in the data show in what each step did."""
    assert numbers(seen.steps) == numbers(undisturbed.steps)
    for value, tolerance in (("loss", SAME), ("learning_rate", 1e-12), ("gradient_norm", 1e-2)):
        ours, theirs = ([event[value] for event in progress.steps] for progress in (seen, undisturbed))
        assert ours == pytest.approx(theirs, abs=tolerance), value
    # A stopped run is measured once more than one that goes through.
    due = numbers(undisturbed.evaluations)
    measured = {event["step"]: event["loss"] for event in seen.evaluations}
    theirs = [event["loss"] for event in undisturbed.evaluations]
    assert [measured.get(step) for step in due] == pytest.approx(theirs, abs=SAME)


def same_weights(one, other):
    """After the last step; the adapter's own may be those of another step."""
    import torch
    from safetensors.torch import load_file

    ours, theirs = (load_file(run.checkpoints()[0] / adapters.WEIGHTS) for run in (one, other))
    return ours.keys() == theirs.keys() and all(torch.allclose(ours[n], theirs[n], atol=1e-4) for n in ours)


# kill -9 at three exact moments, each time in a new process of the same run


@pytest.fixture(scope="module")
def killed(tiny_spec, tmp_path_factory, wait_for, on_one_cpu_thread):
    """One run, killed while it writes a checkpoint, stopped, killed while it writes another adapter, then left be."""
    folder = tmp_path_factory.mktemp("killed")
    with acting(folder, "pause", "open", f"checkpoint-{SECOND_CHECKPOINT}/trainer_state.json") as reached:
        run = launch.start(replace(tiny_spec, name="killed-1"), folder / "runs")
        wait_until(reached.exists, "the second checkpoint was never written")
    told = SimpleNamespace(run=run, in_checkpoint=kill(run))

    # As if the kill had also cut the line that was being written.
    with run.events_file.open("ab") as file:
        file.write(b'{"event": "step", "time": 17')
    launch.resume(run)
    wait_for(run, lambda seen: seen.step >= 50)
    launch.stop(run)
    told.stopped = wait_for(run, lambda seen: seen.status == "stopped" and not run.alive)

    with acting(folder, "pause", "open", "adapter.part/medqa.json") as reached:
        launch.resume(run)
        wait_until(reached.exists, "no other adapter was ever written")
    told.in_adapter = kill(run)

    launch.resume(run)
    told.finished = wait_for(run, lambda seen: seen.status == "done" and not run.alive)
    return told


def test_killed_while_it_writes_a_checkpoint_a_run_keeps_the_one_before(killed):
    seen = killed.in_checkpoint
    assert (seen.progress.status, seen.progress.resumable) == ("interrupted", True)
    assert seen.folders == {"checkpoint-19", "checkpoint-38"}
    assert seen.checkpoints == ["checkpoint-19"]
    assert seen.adapters == []


def test_after_a_half_written_line_it_goes_on_from_that_checkpoint_and_no_word_is_lost(killed):
    from_steps = [event["from_step"] for event in killed.finished.messages if event["event"] == "prepared"]
    assert from_steps == [0, 19, killed.stopped.step, LAST_STEP]
    assert [event["event"] for event in killed.finished.messages].count("resumed") == 3


def test_killed_while_it_writes_another_adapter_it_offers_the_one_before(killed):
    seen = killed.in_adapter
    assert (seen.progress.status, seen.progress.resumable) == ("interrupted", True)
    assert seen.adapters == [killed.stopped.step]
    assert {"adapter.part", "adapter"} <= seen.files


def test_a_run_killed_time_and_again_ends_as_if_nothing_had_happened(killed, finished_run):
    assert_same_course(killed.finished, runs.progress_of(finished_run))
    assert same_weights(killed.run, finished_run)
    assert [adapter.card["steps"] for adapter in adapters.found(killed.run.folder.parent)] == [LAST_STEP]
    assert {path.name for path in killed.run.folder.iterdir()} == {path.name for path in finished_run.folder.iterdir()}


# The server


LAUNCHER = """
import sys, time
from pathlib import Path
from medqa import launch
from medqa.runs import Run, RunError

folder, name, like, at = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), float(sys.argv[4])
spec = Run(like).spec
time.sleep(max(0, at - time.time()))
try:
    launch.start(type(spec)(**{**spec.to_json(), "name": name}), folder)
    print("started", flush=True)
except RunError as error:
    print(error, flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def two_servers(finished_run, tmp_path_factory, wait_for, on_one_cpu_thread):
    """Two servers told to start a run at the same moment, then both killed with all that belongs to their terminals."""
    folder = tmp_path_factory.mktemp("servers")
    at = str(time.time() + 3)
    servers = {
        name: subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, folder, name, finished_run.folder, at],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        for name in ("left-1", "right-1")
    }
    told = SimpleNamespace(folder=folder, said={name: server.stdout.readline() for name, server in servers.items()})
    told.started = [name for name, said in told.said.items() if said == "started\n"]
    for server in servers.values():
        os.killpg(server.pid, signal.SIGKILL)
        server.communicate()
    if len(told.started) == 1:
        told.run = Run(folder / told.started[0])
        told.orphaned = runs.progress_of(told.run)
        told.finished = wait_for(told.run, lambda seen: seen.status == "done" and not told.run.alive)
    return told


def test_of_two_starts_at_the_same_moment_one_is_told_of_the_other(two_servers):
    [winner] = two_servers.started
    [refusal] = [said for name, said in two_servers.said.items() if name != winner]
    assert refusal.startswith(f"The device is busy with the run “{winner}”.")
    assert [path.name for path in two_servers.folder.iterdir() if path.is_dir()] == [winner]


def test_a_run_goes_on_when_its_server_is_killed(two_servers, finished_run):
    assert two_servers.orphaned.status == "running"
    assert_same_course(two_servers.finished, runs.progress_of(finished_run))
    assert same_weights(two_servers.run, finished_run)


# Damaged checkpoints


def test_a_truncated_checkpoint_is_told_and_the_one_before_is_gone_on_from(copied, finished_run, wait_for):
    newest, older = run_checkpoints = copied.checkpoints()
    os.truncate(newest / "optimizer.pt", 1000)
    shutil.rmtree(copied.adapter)
    launch.resume(copied)
    seen = wait_for(copied, lambda seen: seen.status == "done" and not copied.alive)
    assert f"checkpoint-{seen.prepared['from_step']}" == older.name
    [note] = [event["message"] for event in seen.messages if event["event"] == "note"]
    assert note.startswith(f"{newest.name} is damaged (optimizer.pt: ")
    assert note.endswith(f"going on from {older.name}.")
    assert_same_course(seen, runs.progress_of(finished_run))
    assert same_weights(copied, finished_run)
    assert copied.checkpoints() == run_checkpoints


def cut(file):
    os.truncate(file, file.stat().st_size // 2)


def empty(file):
    os.truncate(file, 0)


def delete(file):
    file.unlink()


@pytest.mark.parametrize("damage", [cut, empty, delete])
@pytest.mark.parametrize(
    "name", ["adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"]
)
def test_a_checkpoint_with_a_damaged_file_is_dropped_for_the_one_before(copied, name, damage):
    from train.checkpoints import drop_unusable

    newest, older = copied.checkpoints()
    damage(newest / name)
    drop_unusable(copied, EventWriter(copied))
    assert copied.checkpoints() == [older]
    said = runs.progress_of(copied).messages[-1]["message"]
    assert said.startswith(f"{newest.name} is damaged ({name}")


def test_a_checkpoint_with_a_part_overwritten_by_zeros_is_dropped_too(copied):
    from train.checkpoints import drop_unusable

    newest, older = copied.checkpoints()
    with (newest / "optimizer.pt").open("r+b") as file:
        file.seek(2000)
        file.write(bytes(4096))
    drop_unusable(copied, EventWriter(copied))
    assert copied.checkpoints() == [older]
    assert "wrong checksum" in runs.progress_of(copied).messages[-1]["message"]


def test_whole_checkpoints_are_left_as_they_are_and_nothing_is_said(copied):
    from train.checkpoints import drop_unusable

    before = copied.checkpoints(), copied.events_file.read_bytes()
    drop_unusable(copied, EventWriter(copied))
    assert (copied.checkpoints(), copied.events_file.read_bytes()) == before


def test_without_one_whole_checkpoint_a_run_begins_again_and_says_so(tmp_path, short_spec, cpu_alone):
    run = new_run(tmp_path, short_spec)
    undisturbed = go_on(run)
    for checkpoint in run.checkpoints():
        cut(checkpoint / "adapter_model.safetensors")
    seen = go_on(run)
    assert (seen.status, seen.prepared["from_step"]) == ("done", 0)
    notes = [event["message"] for event in seen.messages if event["event"] == "note"]
    assert notes[-1].endswith("no other is left, beginning again.")
    assert_same_course(seen, undisturbed)


# The clock


def test_with_the_clock_set_back_the_newest_checkpoints_are_kept_and_time_goes_on(
    tmp_path, short_spec, monkeypatch, cpu_alone
):
    undisturbed = go_on(new_run(tmp_path / "undisturbed", short_spec))
    run = new_run(tmp_path / "runs", short_spec)
    for _ in range(2):
        launch.stop(run)
        assert go_on(run).status == "stopped"
        run.stop_file.unlink()
    # What two checkpoints look like that were written before the clock was set back an hour.
    for checkpoint in run.checkpoints():
        os.utime(checkpoint, (time.time() + HOUR, time.time() + HOUR))
    wall = time.time
    monkeypatch.setattr(time, "time", lambda: wall() - HOUR)
    seen = go_on(run)
    assert seen.status == "done", seen.reason
    assert numbers(seen.steps) == numbers(undisturbed.steps)
    assert [step["loss"] for step in seen.steps] == pytest.approx([s["loss"] for s in undisturbed.steps], abs=SAME)
    assert seen.steps[0]["time"] > seen.steps[-1]["time"]
    seconds = [step["seconds"] for step in seen.steps]
    assert seconds == sorted(seconds)
    assert [path.name for path in run.checkpoints()] == ["checkpoint-12", "checkpoint-10"]


# The disk


def test_a_disk_that_fills_while_the_adapter_is_written_leaves_none_and_loses_no_step(
    small_disk, tmp_path, short_spec, wait_for, cpu_alone
):
    undisturbed = go_on(new_run(tmp_path / "undisturbed", short_spec))
    with acting(small_disk, "fill_the_disk", "os.mkdir", "adapter.part"):
        run = launch.start(short_spec, small_disk / "runs")
        wait_until(lambda: runs.progress_of(run).status != "running", "it never ended")
    seen = runs.progress_of(run)
    assert seen.status == "failed"
    assert seen.reason.startswith("The disk is full. Free some space, then resume")
    assert seen.resumable
    assert numbers(seen.steps) == numbers(undisturbed.steps)
    assert adapters.found(small_disk / "runs") == []
    (small_disk / "filler").unlink()
    wait_until(lambda: not run.alive, "it never left")
    assert_same_course(go_on(run), undisturbed)
    [adapter] = adapters.found(small_disk / "runs")
    assert adapter.card["steps"] == adapter.card["total_steps"]


def test_a_disk_without_room_for_a_run_starts_none_and_keeps_its_name_free(small_disk, short_spec):
    folder = small_disk / "runs"
    folder.mkdir()
    # Room for the settings, and not for the last words that are reserved.
    (small_disk / "filler").write_bytes(bytes(2 * 2**20 - runs.RESERVE_BYTES))
    with pytest.raises(RunError, match=r"short-1 can't be started in .*: No space left on device"):
        launch.start(short_spec, folder)
    assert runs.all_runs(folder) == []
    assert not (folder / short_spec.name).exists()


# Older and unreadable settings


def test_a_run_folder_of_an_older_version_is_shown_and_gone_on_with(copied, finished_run, cpu_alone):
    from medqa.settings import Settings
    from medqa.ui import past_runs

    older = {"name", "base_model", "dataset", "epochs", "batch_size", "learning_rate", "lora_rank", "max_length"}
    older |= {"precision", "evaluation_questions", "evaluations", "target_modules"}
    assert older < {field.name for field in fields(RunSpec)}
    kept = {name: value for name, value in copied.spec.to_json().items() if name in older}
    (copied.folder / "spec.json").write_text(json.dumps({**kept, "use_rslora": False}))
    assert copied.spec == finished_run.spec
    shutil.rmtree(copied.adapter)
    shutil.rmtree(copied.checkpoints()[0])
    table, _ = past_runs.listed(Settings(runs=copied.folder.parent))
    assert copied.name in table
    seen = go_on(copied)
    assert seen.status == "done"
    assert_same_course(seen, runs.progress_of(finished_run))
    assert same_weights(copied, finished_run)


def test_settings_that_cannot_be_read_are_what_a_failed_run_tells(copied):
    (copied.folder / "spec.json").write_text('{"name": "ti')
    seen = go_on(copied)
    assert seen.status == "failed"
    assert "has no readable spec.json" in seen.reason
    assert len(copied.checkpoints()) == 2


# Other questions under the same name


@pytest.fixture
def stopped_on_a_file(tmp_path, short_spec, cpu_alone):
    """A run stopped after its first step, with a copy of the questions to itself."""
    file = shutil.copy(short_spec.dataset, tmp_path / "mine.jsonl")
    run = new_run(tmp_path / "runs", replace(short_spec, dataset=str(file)))
    launch.stop(run)
    assert go_on(run).status == "stopped"
    run.stop_file.unlink()
    return run, file


def changed(file, split, explanation):
    """In the file's first question of a split. Returns what the file held."""
    before = file.read_text()
    stem = datasets.load(str(file), split).questions[0].stem
    rows = [json.loads(line) for line in before.splitlines()]
    rows = [row | {"explanation": explanation} if row["question"] == stem else row for row in rows]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return before


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_run_whose_questions_have_changed_is_not_gone_on_with_until_they_are_back(stopped_on_a_file, split):
    run, file = stopped_on_a_file
    before = changed(file, split, "Another explanation.")
    seen = go_on(run)
    assert (seen.status, seen.step, seen.resumable) == ("failed", 1, True)
    assert seen.reason.startswith(f"The questions of {file} are not those this run began with")
    assert [adapter.card["steps"] for adapter in adapters.found(run.folder.parent)] == [1]
    file.write_text(before)
    seen = go_on(run)
    assert (seen.status, seen.prepared["from_step"], seen.step) == ("done", 1, LAST_SHORT_STEP)


def test_a_run_of_a_version_that_recorded_no_fingerprint_is_gone_on_with(stopped_on_a_file):
    run, file = stopped_on_a_file
    events = [json.loads(line) for line in run.events_file.read_text().splitlines()]
    older = [{name: value for name, value in event.items() if not name.endswith("_sha256")} for event in events]
    assert older != events
    run.events_file.write_text("".join(json.dumps(event) + "\n" for event in older))
    changed(file, "train", "Another explanation.")
    assert go_on(run).status == "done"


# No number, no memory


def loss_at(monkeypatch, number, change):
    """The training loss of one call, counted from 0, becomes another."""
    from train import trainer

    whole, calls = trainer.label_loss, iter(range(1000))

    def changed(model, inputs):
        return change(whole(model, inputs), inputs) if next(calls) == number else whole(model, inputs)

    monkeypatch.setattr(trainer, "label_loss", changed)


def test_after_a_loss_that_is_no_number_resuming_repeats_only_what_came_after_the_checkpoint(
    tmp_path, short_spec, cpu_alone
):
    undisturbed = go_on(new_run(tmp_path / "undisturbed", short_spec))
    run = new_run(tmp_path / "runs", short_spec)
    with pytest.MonkeyPatch.context() as patch:
        loss_at(patch, 6, lambda loss, inputs: loss * float("nan"))
        failed = go_on(run)
    assert (failed.status, failed.step, failed.resumable) == ("failed", 6, True)
    assert failed.reason.endswith("the last checkpoint is kept. The adapter of step 6, the best so far, is saved.")
    [saved] = adapters.found(run.folder.parent)
    assert (saved.card["step"], saved.held_out["after"]["loss"]) == (6, failed.best["loss"])
    seen = go_on(run)
    assert (seen.status, seen.prepared["from_step"]) == ("done", 6)
    assert_same_course(seen, undisturbed)
    assert [adapter.card["steps"] for adapter in adapters.found(run.folder.parent)] == [LAST_SHORT_STEP]


def test_memory_that_runs_out_in_the_middle_costs_no_finished_step(tmp_path, short_spec, monkeypatch, cpu_alone):
    import torch

    without_dropout = replace(short_spec, lora_dropout=0.0)  # two halves of a batch draw other masks than the whole
    undisturbed = go_on(new_run(tmp_path / "undisturbed", without_dropout))
    run = new_run(tmp_path / "runs", without_dropout)

    def too_much(loss, inputs):
        return loss + torch.empty(2**60, dtype=torch.uint8).sum()  # refused by the CPU's own allocator

    loss_at(monkeypatch, 7, too_much)
    seen = go_on(run)
    assert (seen.status, seen.prepared["from_step"], seen.prepared["micro_batch"]) == ("done", 6, 2)
    notes = [event["message"] for event in seen.messages if event["event"] == "note"]
    assert [note.split(":")[0] for note in notes] == ["Out of memory with 4 examples at a time"]
    losses = [step["loss"] for step in seen.steps]
    assert losses == pytest.approx([step["loss"] for step in undisturbed.steps], abs=1e-3)


@pytest.fixture
def no_room_above(monkeypatch):
    """no_room_above(tokens): scoring more of them at once asks the CPU's own allocator for what it refuses."""
    from train import reporting

    whole = reporting.log_probabilities

    def limit(most):
        import torch

        def limited(model, encoded):
            lengths = [len(prefix) + sum(map(len, options)) for prefix, options in encoded]
            if max(lengths) * len(lengths) > most:
                torch.empty(2**60, dtype=torch.uint8)
            return whole(model, encoded)

        monkeypatch.setattr(reporting, "log_probabilities", limited)

    return limit


def notes(seen):
    return [event["message"] for event in seen.messages if event["event"] == "note"]


def test_memory_that_runs_out_in_scoring_makes_it_score_less_at_once_and_training_go_on(
    tmp_path, short_spec, no_room_above, cpu_alone
):
    spec = replace(short_spec, dataset="handbook", rows=48, evaluation_questions=40)
    undisturbed = go_on(new_run(tmp_path / "undisturbed", spec))
    no_room_above(1500)
    run = new_run(tmp_path / "runs", spec)
    seen = go_on(run)
    assert seen.status == "done", seen.reason
    assert [event["micro_batch"] for event in seen.messages if event["event"] == "prepared"] == [4]
    said = "Out of memory scoring {} tokens at once: going on with {}."
    assert notes(seen) == [said.format("4,096", "2,048"), said.format("2,048", "1,024")]
    assert_same_course(seen, undisturbed)
    assert [event["correct"] for event in seen.evaluations] == [event["correct"] for event in undisturbed.evaluations]
    assert seen.scores == undisturbed.scores


def test_memory_too_small_for_one_question_ends_the_run_with_a_sentence(tmp_path, short_spec, no_room_above, cpu_alone):
    no_room_above(10)
    seen = go_on(new_run(tmp_path / "runs", short_spec))
    assert seen.status == "failed"
    assert seen.reason.startswith("The device is out of memory even with one example at a time.")
    said = "Out of memory scoring {:,} tokens at once: going on with {:,}."
    assert notes(seen)[:4] == [said.format(size, size // 2) for size in (4096, 2048, 1024, 512)]


def test_memory_that_runs_out_in_the_last_scoring_is_met_with_less_at_once_too(
    tmp_path, short_spec, no_room_above, monkeypatch, cpu_alone
):
    from train import session

    controls = session.control_scores

    def short_of_memory(*parts):
        no_room_above(3000)
        return controls(*parts)

    monkeypatch.setattr(session, "control_scores", short_of_memory)
    seen = go_on(new_run(tmp_path / "runs", replace(short_spec, dataset="handbook", rows=48, evaluation_questions=40)))
    assert seen.status == "done", seen.reason
    assert len([event for event in seen.messages if event["event"] == "prepared"]) == 1
    assert notes(seen) == ["Out of memory scoring 4,096 tokens at once: going on with 2,048."]


# A long run on the page


def long_run(folder, steps):
    from medqa.spec import PRESETS

    run = new_run(folder, replace(PRESETS["quick"].spec, name=f"long-{steps}"))
    counts = dict.fromkeys(("rows", "held_out", "too_long", "cut", "trainable", "parameters", "micro_batch"), 1)
    said = {"held_out_split": "test", "left_out": {}, "device": "CPU", "device_reason": "for tests"}
    write = EventWriter(run)
    write("started")
    write("prepared", from_step=0, total_steps=steps + 1, **counts, **said)
    with run.events_file.open("a") as file:
        file.writelines(step_line(i) for i in range(1, steps + 1))
    return run


def step_line(i):
    figures = {"loss": 1 + 1 / i, "learning_rate": 1e-4, "gradient_norm": 0.5, "tokens_per_second": 3000}
    return json.dumps({"event": "step", "time": i, "step": i, "seconds": i / 2, "memory": 2**30, **figures}) + "\n"


def test_ten_thousand_steps_are_polled_and_drawn_as_cheaply_as_a_few_hundred(tmp_path, monkeypatch, undisturbed):
    import gc
    import re

    from medqa.settings import Settings
    from medqa.ui import charts
    from medqa.ui import fine_tune_tab as tab

    settings = Settings(runs=tmp_path)
    extras = [charts.SPIKES, *charts.STEP_FIGURES]
    parsed, loads = [], json.loads
    sizes, seconds = {}, {}
    for steps in (500, 10_000):
        run = long_run(tmp_path, steps)
        shown = tab.panel_of(settings, run.name, extras, ())
        with run.events_file.open("a") as file:
            file.write(step_line(steps + 1))
        monkeypatch.setattr(runs.json, "loads", lambda text: parsed.append(loads(text)) or parsed[-1])
        parsed.clear()
        gc.collect()  # what the tests before have left is not the page's to sweep
        with undisturbed():
            began = time.thread_time()
            panel = tab.panel_of(settings, run.name, extras, shown[-1])
            seconds[steps] = time.thread_time() - began
        assert [made["step"] for made in parsed if "event" in made] == [steps + 1]
        monkeypatch.undo()
        drawn = [piece for piece in panel if isinstance(piece, str)]
        assert f"step {steps + 1:,} of" in "".join(drawn)
        lines = re.findall(r'points="([^"]+)"', "".join(drawn))
        assert lines
        assert max(len(line.split()) for line in lines) <= charts.POINTS
        sizes[steps] = len("".join(drawn))
    assert sizes[10_000] < 1.2 * sizes[500]
    # The page polls once a second; what is left to do for each step is counting and smoothing, some microseconds; a
    # busy machine has room.
    assert seconds[10_000] < 0.5
