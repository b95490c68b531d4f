"""A run on several devices, as two processes on the CPU that meet over gloo: the same course as one, and one record."""

import socket
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from medqa import adapters, launch, runs
from medqa.runs import EventReader
from medqa.settings import ROOT
from tests.train.in_process import go_on, new_run
from tests.train.ranks_at_work import PATIENCE, check_ended_by_a_killed_rank, kill, processes, steps_on, wait_until

pytestmark = [pytest.mark.model, pytest.mark.slow, pytest.mark.usefixtures("no_process_is_left", "on_one_cpu_thread")]

SAME = 1e-4  # in nats: what two runs of the same steps may differ by in float32


@pytest.fixture(scope="module")
def spec(tiny_spec):
    """Of 45 rows, an epoch's last batch has one: nothing for the second rank."""
    return replace(tiny_spec, name="one-1", rows=45, epochs=12, evaluations=3)


def numbers(events):
    return [event["step"] for event in events]


@pytest.fixture(scope="module")
def alone(spec, tmp_path_factory, on_one_cpu_thread):
    """One process, from start to end."""
    run = new_run(tmp_path_factory.mktemp("alone"), spec)
    return SimpleNamespace(run=run, seen=go_on(run))


@pytest.fixture(scope="module")
def story(spec, tmp_path_factory, wait_for, on_one_cpu_thread):
    """A run on two devices: stopped, a rank killed, gone on with on one, the launcher killed, finished on one."""
    run = launch.start(replace(spec, name="two-1", devices=2), tmp_path_factory.mktemp("two"))
    wait_for(run, lambda seen: seen.step >= 5, PATIENCE)
    launch.stop(run)
    told = SimpleNamespace(
        run=run, stopped=wait_for(run, lambda seen: seen.status == "stopped" and not run.alive, PATIENCE)
    )
    told.left_after_stop = processes(run.folder)
    told.log = (run.folder / "process.log").read_text()

    launch.resume(run)
    wait_for(run, steps_on(30), PATIENCE)
    told.rank_killed = kill(run, rank=1)

    run.stop_file.touch()
    told.on_one = go_on(run)

    launch.resume(run)
    wait_for(run, steps_on(30), PATIENCE)
    told.launcher_killed = kill(run, rank=None)

    told.finished = go_on(run)
    return told


def test_two_processes_share_each_batch_and_take_the_steps_of_one(story, alone):
    assert story.stopped.prepared["micro_batch"] == 2
    assert alone.seen.prepared["micro_batch"] == 4
    assert story.stopped.prepared["device"].startswith("2 × CPU")
    last = story.stopped.step
    assert last >= 5
    for value, tolerance in (("loss", SAME), ("learning_rate", 1e-12), ("gradient_norm", 1e-2)):
        ours, theirs = ([event[value] for event in seen.steps[:last]] for seen in (story.stopped, alone.seen))
        assert ours == pytest.approx(theirs, abs=tolerance), value


def test_both_measure_their_share_of_the_held_out_questions(story, alone):
    ours, theirs = story.stopped.evaluations[0], alone.seen.evaluations[0]
    assert (ours["step"], ours["correct"], ours["total"]) == (0, theirs["correct"], theirs["total"])
    assert ours["loss"] == pytest.approx(theirs["loss"], abs=SAME)


def test_a_stop_ends_both_after_the_same_step_with_an_adapter(story):
    assert story.left_after_stop == []
    assert story.stopped.resumable
    assert "Traceback" not in story.log
    assert numbers(story.stopped.steps) == list(range(1, story.stopped.step + 1))


def test_a_killed_rank_ends_the_run_and_it_can_be_resumed(story):
    check_ended_by_a_killed_rank(story.rank_killed)


def test_a_killed_launcher_leaves_no_process_behind(story):
    assert story.launcher_killed.status == "interrupted"
    assert story.launcher_killed.resumable


def test_each_turn_goes_on_from_the_last_checkpoint_with_any_number_of_devices(story):
    prepared = [event for event in story.finished.messages if event["event"] == "prepared"]
    assert [event["device"][:3] == "2 ×" for event in prepared] == [True, True, False, True, False]
    steps = [event["from_step"] for event in prepared]
    assert steps[:2] == [0, story.stopped.step]
    assert steps == sorted(steps)
    assert steps[3] == story.on_one.step


def test_there_is_one_stream_of_events(story):
    turns = []
    for event in EventReader(story.run).read():
        if event["event"] == "started":
            turns.append([])
        turns[-1].append(event)
    assert len(turns) == 5
    for turn in turns:
        for kind in ("step", "evaluated", "saved"):
            said = numbers(event for event in turn if event["event"] == kind)
            assert said == sorted(set(said)), kind


def test_the_run_ends_as_if_it_had_been_one_process_all_the_time(story, alone):
    assert story.finished.status == alone.seen.status == "done"
    assert numbers(story.finished.steps) == numbers(alone.seen.steps)
    losses = [[event["loss"] for event in seen.steps] for seen in (story.finished, alone.seen)]
    assert losses[0] == pytest.approx(losses[1], abs=SAME)
    assert same_weights(story.run, alone.run)
    [adapter] = adapters.found(story.run.folder.parent)
    assert adapter.card["steps"] == adapter.card["total_steps"]


def same_weights(one, other):
    import torch
    from safetensors.torch import load_file

    ours, theirs = (load_file(run.checkpoints()[0] / adapters.WEIGHTS) for run in (one, other))
    return ours.keys() == theirs.keys() and all(torch.allclose(ours[n], theirs[n], atol=1e-4) for n in ours)


# A loss that is no number in one of two, after an evaluation


DIVERGING = """
import sys
import time
from medqa import training_rows
from train import ranks, reporting, trainer  # reporting before the change: it measures
from train.__main__ import main

whole, calls, write = trainer.label_loss, iter(range(1000)), training_rows.write

def no_number(model, inputs):
    worse = float("nan") if next(calls) == 6 and not ranks.first() else 1.0
    return whole(model, inputs) * worse

def slow(*rows):
    time.sleep(2)
    write(*rows)

trainer.label_loss, training_rows.write = no_number, slow
ranks.SECONDS_FOR_LAST_WORDS = 1
main(sys.argv[1])
"""


def test_the_best_adapter_is_saved_however_long_it_takes_before_a_failure_of_one_rank_ends_all(
    spec, tmp_path, monkeypatch
):
    script = tmp_path / "diverging.py"
    script.write_text(DIVERGING)
    usual = launch.command
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(launch, "command", lambda run, devices: [*usual(run, devices)[:-3], script, run.folder])
    run = launch.start(replace(spec, name="diverging-1", epochs=1, devices=2), tmp_path / "runs")
    wait_until(lambda: not run.alive, "one rank waits for ever", PATIENCE)
    seen = runs.progress_of(run)
    assert (seen.status, seen.step, seen.resumable) == ("failed", 6, True)
    assert seen.reason.endswith("The adapter of step 4, the best so far, is saved.")
    [adapter] = adapters.found(tmp_path / "runs")
    assert adapter.card["step"] == 4


# As on two hosts, each with accelerate's own config; twice, the memory of the second runs out.


TWO_HOSTS = """
compute_environment: LOCAL_MACHINE
distributed_type: MULTI_GPU
num_machines: 2
num_processes: 2
machine_rank: 0
main_process_ip: 127.0.0.1
main_process_port: {port}
mixed_precision: 'no'
"""

OUT_OF_MEMORY_ONCE = """
import sys
import torch
from train import reporting, trainer
from train.__main__ import main

def once(work, call):
    calls = iter(range(1000))

    def too_much(*inputs):
        if next(calls) == call:
            torch.empty(2**60, dtype=torch.uint8)  # refused by the CPU's own allocator
        return work(*inputs)

    return too_much

trainer.label_loss = once(trainer.label_loss, 7)
reporting.log_probabilities = once(reporting.log_probabilities, 1)
main(sys.argv[1])
"""


@pytest.fixture(scope="module")
def hosts(spec, tmp_path_factory, on_one_cpu_thread):
    folder = tmp_path_factory.mktemp("hosts")
    short = replace(spec, epochs=1)
    alone = go_on(new_run(folder, short))
    config = folder / "home" / "accelerate" / "default_config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(TWO_HOSTS.format(port=free_port()))
    script = folder / "out_of_memory_once.py"
    script.write_text(OUT_OF_MEMORY_ONCE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HOME", str(config.parents[1]))
        patch.setenv("PYTHONPATH", str(ROOT))
        run = launch.start(replace(short, name="hosts-1", devices=2), folder)
        second = [sys.executable, "-m", "accelerate.commands.launch", "--machine_rank", "1", script, run.folder]
        done = subprocess.run(second, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    wait_until(lambda: not run.alive, "the first host never ended", PATIENCE)
    return SimpleNamespace(seen=runs.progress_of(run), alone=alone)


def notes(seen):
    return [event["message"] for event in seen.messages if event["event"] == "note"]


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_two_launchers_meet_by_accelerates_own_config_and_take_the_steps_of_one_process(hosts):
    assert hosts.seen.status == "done", hosts.seen.reason
    losses = [[event["loss"] for event in progress.steps] for progress in (hosts.seen, hosts.alone)]
    assert losses[0] == pytest.approx(losses[1], abs=SAME)


def test_memory_that_runs_out_in_one_rank_makes_all_go_on_with_less_at_a_time(hosts):
    sizes = [event["micro_batch"] for event in hosts.seen.messages if event["event"] == "prepared"]
    assert sizes == [2, 1]
    [_, note] = notes(hosts.seen)
    assert note.startswith("Out of memory with 2 examples at a time: going on with 1")


def test_memory_that_runs_out_when_one_rank_scores_makes_all_score_less_at_once(hosts):
    assert notes(hosts.seen)[0] == "Out of memory scoring 4,096 tokens at once: going on with 2,048."
    [ours, theirs] = [[(e["step"], e["correct"]) for e in seen.evaluations] for seen in (hosts.seen, hosts.alone)]
    assert ours == theirs
