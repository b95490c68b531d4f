"""Two processes that share the base's weights, over gloo on the CPU: the same course as one that holds them whole."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from medqa import adapters, launch, runs
from medqa.settings import ROOT
from tests.train.in_process import go_on, new_run
from tests.train.ranks_at_work import PATIENCE, check_ended_by_a_killed_rank, kill, processes, steps_on, wait_until

pytestmark = [pytest.mark.model, pytest.mark.slow, pytest.mark.usefixtures("no_process_is_left", "on_one_cpu_thread")]

SAME = 1e-4  # in nats: what two runs of the same steps may differ by in float32

# Memory runs out in the second rank, between a pass and its way back: the first waits for it in a layer.
OUT_OF_MEMORY = """
import os
import sys
import torch
from train import ranks, trainer
from train.__main__ import main

whole, calls = trainer.label_loss, iter(range(1000))

def too_much(model, inputs):
    loss = whole(model, inputs)
    if os.environ["RANK"] == "1" and next(calls) == 20:
        torch.empty(2**60, dtype=torch.uint8)  # refused by the CPU's own allocator
    return loss

trainer.label_loss = too_much
ranks.SECONDS_FOR_LAST_WORDS = 2
main(sys.argv[1])
"""


@pytest.fixture(scope="module")
def spec(tiny_spec):
    """The second rank has no held-out question, no row in an epoch's last batch, and none of the control splits'."""
    return replace(tiny_spec, name="whole-1", dataset="handbook", rows=45, epochs=6, evaluation_questions=1)


@pytest.fixture(scope="module")
def alone(spec, tmp_path_factory):
    """One process, from start to end."""
    run = new_run(tmp_path_factory.mktemp("alone"), spec)
    return SimpleNamespace(run=run, seen=go_on(run))


@pytest.fixture(scope="module")
def story(spec, tmp_path_factory, wait_for):
    """Memory runs out in one of two ranks, one is killed, both are stopped, one goes on alone, both finish."""
    folder = tmp_path_factory.mktemp("shared")
    script = folder / "out_of_memory.py"
    script.write_text(OUT_OF_MEMORY)
    usual = launch.command
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setattr(launch, "command", lambda run, devices: [*usual(run, devices)[:-3], str(script), str(run.folder)])
        run = launch.start(replace(spec, name="shared-1", devices=2, base_weights="shared"), folder)
    wait_until(lambda: not run.alive, "the first rank waits for ever", PATIENCE)
    told = SimpleNamespace(run=run, out_of_memory=runs.progress_of(run))

    launch.resume(run)
    wait_for(run, steps_on(16), PATIENCE)
    told.rank_killed = kill(run, rank=1)

    launch.resume(run)
    wait_for(run, steps_on(1), PATIENCE)
    launch.stop(run)
    told.stopped = wait_for(run, lambda seen: seen.status == "stopped" and not run.alive, PATIENCE)
    told.left_after_stop = processes(run.folder)
    told.adapter_when_stopped = run.has_adapter

    run.stop_file.touch()
    told.on_one = go_on(run)

    launch.resume(run)
    told.finished = wait_for(run, lambda seen: seen.status == "done" and not run.alive, PATIENCE)
    return told


def prepared(seen):
    return [event for event in seen.messages if event["event"] == "prepared"]


def test_each_of_two_holds_half_of_every_layer_and_the_embeddings_whole(story, alone, tiny_base):
    from medqa.estimate import shape_of

    [whole] = prepared(alone.seen)
    assert whole["base_weights"] == "whole"
    assert whole["parameters_here"] == whole["parameters"]
    in_layers = shape_of(tiny_base, 4, ("q_proj",)).in_layers
    for event in prepared(story.rank_killed):
        assert (event["base_weights"], event["base_weights_reason"]) == ("shared", "the run's own setting")
        assert (event["parameters"], event["trainable"]) == (whole["parameters"], whole["trainable"])
        assert event["parameters_here"] == whole["parameters"] - in_layers // 2


def test_the_log_says_that_the_weights_are_shared_and_how_many_rows_go_through_at_a_time(story):
    said = [event["message"] for event in story.out_of_memory.messages if event["event"] == "note"]
    assert said[0].startswith("The 2 devices share the base's weights (the run's own setting) and take 2 of 2 examples")


def test_memory_that_runs_out_in_one_of_two_ends_both_with_a_sentence(story):
    assert story.out_of_memory.status == "failed"
    assert "out of memory" in story.out_of_memory.reason
    assert "Resume it on more devices" in story.out_of_memory.reason
    assert story.out_of_memory.resumable


def test_a_killed_rank_ends_the_other_and_the_run_can_be_resumed(story):
    check_ended_by_a_killed_rank(story.rank_killed)


def test_a_stop_ends_both_with_an_adapter(story):
    assert story.left_after_stop == []
    assert story.stopped.resumable
    assert story.adapter_when_stopped


def test_one_device_goes_on_with_the_whole_base_and_two_share_it_again(story):
    turns = [(event["device"][:3] == "2 ×", event["base_weights"]) for event in prepared(story.finished)]
    assert turns == [(True, "shared")] * 3 + [(False, "whole"), (True, "shared")]
    steps = [event["from_step"] for event in prepared(story.finished)]
    assert steps[0] == 0 < steps[1] <= steps[2] < steps[3] == story.stopped.step < steps[4] == story.on_one.step


def test_every_step_and_every_score_is_that_of_one_process_with_the_whole_base(story, alone):
    assert story.finished.status == alone.seen.status == "done"
    for value, tolerance in (("loss", SAME), ("gradient_norm", 1e-2)):
        ours, theirs = ([event[value] for event in seen.steps] for seen in (story.finished, alone.seen))
        assert ours == pytest.approx(theirs, abs=tolerance), value
    [ours, theirs] = [{e["step"]: e["loss"] for e in seen.evaluations} for seen in (story.finished, alone.seen)]
    # It was measured once more, where it was stopped.
    assert {step: ours[step] for step in theirs} == pytest.approx(theirs, abs=SAME)
    for split in ("read", "unknown"):
        for when in ("before", "after"):
            ours, theirs = (seen.scores[split][when] for seen in (story.finished, alone.seen))
            assert ours["total"] == theirs["total"] == 2
            assert abs(ours["correct"] - theirs["correct"]) <= 1


def test_plain_peft_loads_the_adapter_and_computes_the_same(story, alone, tiny_base, cpu):
    import torch
    from peft import PeftModel

    from medqa.model import load_base

    ids = torch.arange(3, 60)[None]
    with torch.inference_mode():
        [ours, theirs] = [
            PeftModel.from_pretrained(load_base(tiny_base, cpu), str(run.adapter)).eval()(input_ids=ids).logits
            for run in (story.run, alone.run)
        ]
        base = load_base(tiny_base, cpu)(input_ids=ids).logits
    assert torch.allclose(ours, theirs, atol=1e-2)
    assert not torch.allclose(ours, base, atol=0.5)
    [adapter] = adapters.found(story.run.folder.parent)
    assert adapter.card["steps"] == adapter.card["total_steps"]


# What is chosen before a model is loaded


@pytest.mark.parametrize(("room", "rows"), [(100, 8), (4.5, 4), (3, 2), (0, 1)])
def test_as_many_rows_go_through_at_a_time_as_the_estimate_has_room_for(spec, cpu, monkeypatch, room, rows):
    """`room`: memory for so many rows of 100 tokens, of 12 in each of two ranks."""
    from medqa.estimate import memory_bytes, shape_of
    from train import sharding

    batch = replace(spec, batch_size=16, devices=2)
    shape = shape_of(spec.base_model, spec.lora_rank, spec.target_modules)

    def needed(rows):
        return memory_bytes(replace(batch, batch_size=2 * rows), 100, shape, cpu, shared=True)

    free = needed(0) + room * (needed(1) - needed(0))
    monkeypatch.setattr(sharding, "free_memory", lambda device, processes: free)
    monkeypatch.setattr(sharding.ranks, "least", lambda number: number)
    monkeypatch.setattr(sharding.ranks, "count", lambda: 2)
    assert sharding.rows_at_once(batch, cpu, 8, 100) == rows
