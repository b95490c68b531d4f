import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from medqa import adapters, launch, lock_holder, runs
from medqa.runs import Run, RunError
from medqa.settings import ROOT
from medqa.spec import ALL_LINEAR
from tests.train.in_process import go_on, new_run, train_here

pytestmark = pytest.mark.model

SAME = 1e-4  # in nats: what two runs of the same steps may differ by in float32


@pytest.fixture(autouse=True)
def cpu_alone(monkeypatch):
    monkeypatch.setenv("MEDQA_DEVICE", "cpu")


def losses(progress):
    return [step["loss"] for step in progress.steps]


def numbers(events):
    return [event["step"] for event in events]


def process_of(run):
    return psutil.Process(lock_holder.recorded_process(run))


@pytest.fixture
def short_spec(tiny_spec):
    """One epoch: about a dozen steps, a checkpoint at every second one."""
    return replace(tiny_spec, name="short-1", epochs=1)


# A run from start to end, in its own process


def test_a_finished_run_has_every_step_and_its_scores(finished_run, tiny_spec):
    seen = runs.progress_of(finished_run)
    assert seen.status == "done"
    assert numbers(seen.steps) == list(range(1, seen.total_steps + 1))
    assert seen.total_steps == tiny_spec.steps(seen.prepared["rows"])
    assert numbers(seen.evaluations) == [0, seen.total_steps // 2, seen.total_steps]
    assert seen.evaluations[-1]["loss"] < seen.evaluations[0]["loss"] - 0.5
    assert set(seen.scores["validation"]) == {"before", "after"}
    assert seen.prepared["device"].startswith("CPU · ")
    assert seen.prepared["device"].endswith("float32")
    assert all(step["tokens_per_second"] > 0 and step["memory"] > 0 for step in seen.steps)


def test_a_finished_run_keeps_its_newest_checkpoints_and_leaves_no_litter(finished_run):
    steps = [int(path.name.split("-")[1]) for path in finished_run.checkpoints()]
    assert len(steps) == 2
    assert steps[0] == runs.progress_of(finished_run).total_steps
    there = {path.name for path in finished_run.folder.iterdir()}
    assert there == {"spec.json", "events.jsonl", "process.log", "checkpoints", "adapter", "lock"}


def test_the_adapter_is_listed_with_what_it_was_made_from(finished_run, tiny_spec, tiny_base):
    from medqa.base_model import revision

    [adapter] = adapters.found(finished_run.folder.parent)
    assert (adapter.name, adapter.base, adapter.dataset) == (tiny_spec.name, tiny_base, tiny_spec.dataset)
    assert adapter.card["base_revision"] == revision(tiny_base)
    assert adapter.card["spec"] == json.loads(json.dumps(tiny_spec.to_json()))
    assert len(adapter.card["rows_sha256"]) == 64
    assert adapter.card["steps"] == adapter.card["total_steps"]
    best = runs.progress_of(finished_run).best
    assert adapter.card["step"] == adapter.held_out["after"]["step"] == best["step"]
    assert adapter.held_out["after"]["correct"] == best["correct"]
    assert {"torch", "transformers", "peft"} <= set(adapter.card["versions"])
    assert "%" in adapter.label
    assert not list(adapter.folder.glob("*.bin"))


def test_the_adapters_card_keeps_how_sure_it_was_of_each_held_out_answer(finished_run, loaded, questions_file):
    from medqa import datasets, trust
    from medqa.engine import Engine
    from medqa.question import Answer

    [adapter] = adapters.found(finished_run.folder.parent)
    [(split, kept)] = adapter.card["certainty"].items()
    counts = {kind: sum(len(judged[kind].split()) for judged in kept.values()) for kind in ("right", "wrong")}
    after = adapter.held_out["after"]
    assert split == "validation"
    assert sum(trust.held_out_options(adapter.card).values()) == after["total"]
    assert counts == {"right": after["correct"], "wrong": after["total"] - after["correct"]}
    # The same as the engine counts with the saved adapter, give or take a rounding.
    held_out = datasets.load(questions_file, split).questions
    scored = dict(Engine(loaded).score_many(held_out, adapter.folder))
    answers = [Answer(held_out[i], scores, "") for i, scores in scored.items()]
    measured = [round(abs(trust.certainty(answer)), 2) for answer in answers]
    assert all(
        any(abs(int(top) / 1000 - other) <= 0.01 for other in measured)
        for judged in kept.values()
        for tops in judged.values()
        for top in tops.split()
    )


def test_the_engine_answers_and_explains_with_the_new_adapter(finished_run, loaded, questions):
    from medqa.engine import Engine

    engine = Engine(loaded, max_explanation_tokens=20)
    answer = engine.score(questions[7], finished_run.adapter, "tiny-1")
    assert answer.log_probabilities != pytest.approx(engine.score(questions[7]).log_probabilities, abs=0.5)
    last = list(engine.explain(answer, finished_run.adapter))[-1]
    assert last.cut or last.ended


def test_plain_peft_loads_the_adapter_and_computes_what_the_engine_computes(finished_run, loaded, tiny_base, cpu):
    import torch
    from peft import PeftModel

    from medqa.model import load_base

    ids = torch.arange(3, 60)[None]
    plain = PeftModel.from_pretrained(load_base(tiny_base, cpu), str(finished_run.adapter)).eval()
    with torch.inference_mode(), loaded.using(finished_run.adapter) as network:
        ours = network(input_ids=ids).logits
        theirs = plain(input_ids=ids).logits
    assert torch.allclose(ours, theirs, atol=1e-5)
    with torch.inference_mode(), loaded.using(None) as network:
        assert not torch.allclose(ours, network(input_ids=ids).logits, atol=0.1)


# A run that is ended at once, resumed, stopped and resumed again, each time in a process of its own


@pytest.fixture(scope="module")
def story(tiny_spec, tmp_path_factory, wait_for, on_one_cpu_thread):
    """The run, and its progress after each turn."""
    folder = tmp_path_factory.mktemp("story")
    spec = replace(tiny_spec, name="story-1")
    # The first turn is a process's that was made ready, as on the page, the others' are started for them.
    launch._standby.prepare(launch.environment())
    ready = launch._standby._waiting[0].pid
    told = SimpleNamespace(run=launch.start(spec, folder), ready=ready)
    run = told.run
    with pytest.raises(RunError) as refused:
        launch.start(replace(spec, name="second-1"), folder)
    told.second_start = str(refused.value)
    told.running = wait_for(run, lambda seen: run.checkpoints() and seen.step > seen.total_steps // 5 + 2)
    told.adapter_while_running = run.has_adapter
    told.processes = [process_of(run).pid]

    launch.stop(run, at_once=True)
    told.killed = wait_for(run, lambda seen: seen.status == "interrupted")

    launch.resume(run)
    told.resumed = wait_for(run, lambda seen: 0 < seen.prepared["from_step"] < seen.step - 5)
    told.processes.append(process_of(run).pid)
    launch.stop(run)
    told.stopped = wait_for(run, lambda seen: seen.status == "stopped" and not run.alive)
    told.adapters_when_stopped = adapters.found(folder)

    launch.resume(run)
    told.finished = wait_for(run, lambda seen: seen.status == "done" and not run.alive)
    return told


def test_a_process_that_was_ready_trains_the_run_and_the_next_is_one_of_its_own(story):
    assert story.processes[0] == story.ready != story.processes[1]
    # What it prints goes to the run's log, from both.
    assert (story.run.folder / "process.log").read_text().count("train_runtime") == 2


def test_a_second_start_says_who_holds_the_device(story):
    assert story.running.status == "running"
    assert "The device is busy with the run “story-1”" in story.second_start
    assert not (story.run.folder.parent / "second-1").exists()


def test_a_run_ended_at_once_is_interrupted_and_can_be_resumed(story):
    assert not story.adapter_while_running
    assert story.killed.status == "interrupted"
    assert story.killed.resumable
    assert 0 < story.killed.step < story.killed.total_steps


def test_a_resumed_run_goes_on_from_its_newest_checkpoint(story):
    from_step = story.resumed.prepared["from_step"]
    assert 0 < from_step <= story.killed.step
    assert from_step % (story.killed.total_steps // 5) == 0


def test_a_stopped_run_leaves_an_adapter_to_choose_and_can_be_resumed(story):
    assert story.stopped.status == "stopped"
    assert story.stopped.resumable
    assert story.stopped.step < story.stopped.total_steps
    [adapter] = story.adapters_when_stopped
    assert adapter.card["steps"] == story.stopped.step
    assert f"checkpoint-{story.finished.prepared['from_step']}" == f"checkpoint-{story.stopped.step}"


def test_a_run_resumed_after_all_that_finishes_as_if_nothing_had_happened(story, finished_run):
    undisturbed = runs.progress_of(finished_run)
    assert numbers(story.finished.steps) == numbers(undisturbed.steps)
    assert losses(story.finished) == pytest.approx(losses(undisturbed), abs=SAME)
    assert [e["learning_rate"] for e in story.finished.steps] == [e["learning_rate"] for e in undisturbed.steps]
    # It is measured once more, where it was stopped; where both were measured they measured the same.
    where_stopped = [e for e in story.finished.evaluations if e["step"] == story.stopped.step]
    both = [e for e in story.finished.evaluations if e["step"] in numbers(undisturbed.evaluations)]
    assert len(where_stopped) == 1
    assert [(e["step"], e["correct"]) for e in both] == [(e["step"], e["correct"]) for e in undisturbed.evaluations]
    assert [e["loss"] for e in both] == pytest.approx([e["loss"] for e in undisturbed.evaluations], abs=SAME)
    assert story.finished.scores["validation"]["after"]["step"] == story.finished.best["step"]


def test_the_clock_of_a_resumed_run_never_goes_back(story):
    seconds = [step["seconds"] for step in story.finished.steps]
    assert seconds == sorted(seconds)


# Stopping and resuming, in this process


def test_a_run_stopped_at_once_saves_its_first_step_and_what_it_measures_there(tmp_path, short_spec):
    run = new_run(tmp_path, short_spec)
    launch.stop(run)
    seen = go_on(run)
    assert (seen.status, numbers(seen.steps), seen.resumable) == ("stopped", [1], True)
    assert seen.scores["validation"]["after"]["step"] == 1
    assert card(run)["step"] == 1


def test_a_checkpoint_that_was_cut_short_is_not_resumed_from(tmp_path, finished_run):
    run = Run(shutil.copytree(finished_run.folder, tmp_path / finished_run.name))
    newest, older = run.checkpoints()
    (newest / "complete").unlink()
    (newest / "adapter_model.safetensors").write_bytes(b"cut")
    undisturbed = losses(runs.progress_of(finished_run))
    seen = go_on(run)
    assert seen.status == "done"
    assert f"checkpoint-{seen.prepared['from_step']}" == older.name
    assert losses(seen) == pytest.approx(undisturbed, abs=SAME)
    assert len(run.checkpoints()) == 2


def test_resuming_after_the_last_step_only_saves_the_adapter(tmp_path, finished_run):
    import torch
    from safetensors.torch import load_file

    run = Run(shutil.copytree(finished_run.folder, tmp_path / finished_run.name))
    shutil.rmtree(run.adapter)
    seen = go_on(run)
    assert seen.status == "done"
    ours, theirs = (load_file(r.adapter / adapters.WEIGHTS) for r in (run, finished_run))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


# The best adapter is the one saved


def card(run):
    return json.loads((run.adapter / "medqa.json").read_text())


@pytest.fixture
def measuring(monkeypatch):
    """measuring(correct, …): what the evaluations of a run count, in that order; the last one again and again."""
    from train.reporting import HeldOut

    def script(*correct):
        counts = iter(correct)
        monkeypatch.setattr(
            HeldOut, "measure", lambda *_: {"correct": next(counts, correct[-1]), "total": 5, "loss": 1.0}
        )

    return script


@pytest.fixture
def failing_at(monkeypatch):
    """failing_at(call): the loss of that one call is no number, which ends the run."""
    from train import trainer

    whole = trainer.label_loss

    def fail(call):
        calls = iter(range(1000))
        monkeypatch.setattr(
            trainer, "label_loss", lambda m, i: whole(m, i) * (float("nan") if next(calls) == call else 1)
        )

    return fail


def same_weights(ours, theirs):
    """Of two files; Trainer and PEFT leave the adapter's name out of the weights' names."""
    import torch
    from safetensors.torch import load_file

    ours, theirs = ({k.replace(".default", ""): w for k, w in load_file(file).items()} for file in (ours, theirs))
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_the_adapter_of_the_best_evaluation_is_saved_not_that_of_the_last(tmp_path, short_spec, measuring):
    measuring(1, 2, 2, 2, 2, 4, 3)
    run, seen = train_here(tmp_path, replace(short_spec, evaluations=6))
    *_, best, last = numbers(seen.evaluations)
    assert (seen.status, last) == ("done", seen.total_steps)
    assert seen.scores["validation"]["after"] == {"step": best, "correct": 4, "total": 5, "loss": 1.0}
    assert (card(run)["step"], card(run)["steps"]) == (best, last)
    checkpoints = run.folder / "checkpoints"
    weights = run.adapter / adapters.WEIGHTS
    assert same_weights(weights, checkpoints / f"checkpoint-{best}" / adapters.WEIGHTS)
    assert not same_weights(weights, checkpoints / f"checkpoint-{last}" / adapters.WEIGHTS)


def test_the_best_adapter_of_before_a_failure_is_saved_by_the_resumed_run(tmp_path, short_spec, measuring, failing_at):
    spec = replace(short_spec, evaluations=12)
    measuring(1, 1, 4, 2)
    failing_at(7)
    run, seen = train_here(tmp_path, spec)
    assert (seen.status, seen.best["step"]) == ("failed", 2)
    kept = (run.folder / "checkpoints" / "best-2.safetensors").read_bytes()
    assert seen.reason.endswith("The adapter of step 2, the best so far, is saved.")
    assert (card(run)["step"], card(run)["scores"]["validation"]["after"]["correct"]) == (2, 4)
    seen = go_on(run)
    assert (seen.status, seen.prepared["from_step"], card(run)["step"]) == ("done", 6, 2)
    (tmp_path / "kept.safetensors").write_bytes(kept)
    assert same_weights(run.adapter / adapters.WEIGHTS, tmp_path / "kept.safetensors")


def test_a_best_adapter_of_steps_that_are_repeated_gives_way_to_what_the_repeat_measures(
    tmp_path, short_spec, measuring, failing_at
):
    spec = replace(short_spec, evaluations=12)
    measuring(1, 2, 2, 4, 1, 5)
    failing_at(5)
    run, seen = train_here(tmp_path, spec)
    assert (seen.status, seen.best["step"]) == ("failed", 5)
    measuring(3)
    seen = go_on(run)
    assert (seen.status, seen.prepared["from_step"]) == ("done", 4)
    assert seen.scores["validation"]["after"]["correct"] == 4
    assert card(run)["step"] == seen.best["step"] == 3


@pytest.mark.parametrize("correct", [(2, 1), (2, 2)], ids=["fewer", "as many"])
def test_a_failed_run_whose_best_adapter_does_not_beat_the_base_saves_none(
    tmp_path, short_spec, measuring, failing_at, correct
):
    measuring(*correct)
    failing_at(5)
    run, seen = train_here(tmp_path, replace(short_spec, evaluations=12))
    assert (seen.status, seen.best["step"], run.has_adapter) == ("failed", 1, False)
    assert seen.reason.endswith("the last checkpoint is kept.")


def test_of_two_failures_the_one_that_ended_the_training_is_told(tmp_path, short_spec, measuring, failing_at, capsys):
    measuring(1, 4)
    failing_at(5)
    run = new_run(tmp_path, replace(short_spec, evaluations=12))
    (run.folder / "adapter.part").write_text("no folder can be made here")
    seen = go_on(run)
    assert (seen.status, run.has_adapter) == ("failed", False)
    assert seen.reason.endswith("the last checkpoint is kept.")
    assert "adapter.part" in capsys.readouterr().err


def stop_in_the_fifth_step(run, monkeypatch):
    from train import trainer

    whole, calls = trainer.label_loss, iter(range(100))

    def asked(model, inputs):
        if next(calls) == 4:
            launch.stop(run)
        return whole(model, inputs)

    monkeypatch.setattr(trainer, "label_loss", asked)


def test_a_run_keeps_its_order_of_rows_where_it_goes_on_without_packing(tmp_path, short_spec, monkeypatch):
    from train import packing, session

    run = new_run(tmp_path, short_spec)
    stop_in_the_fifth_step(run, monkeypatch)
    with monkeypatch.context() as on_a_gpu:
        on_a_gpu.setattr(session, "is_packed", lambda model, _, *size: packing.use(model.get_base_model(), *size))
        assert go_on(run).prepared["batches_per_sort"] == 1
    run.stop_file.unlink()
    seen = go_on(run)
    assert (seen.status, seen.prepared["from_step"], seen.prepared["batches_per_sort"]) == ("done", 5, 1)
    _, other = train_here(tmp_path / "other", short_spec)
    assert other.prepared["batches_per_sort"] == 16


def test_a_run_stopped_early_saves_its_best_adapter_too_and_resumes_from_its_last_step(
    tmp_path, short_spec, measuring, monkeypatch
):
    run = new_run(tmp_path, replace(short_spec, evaluations=12))
    stop_in_the_fifth_step(run, monkeypatch)
    measuring(1, 2, 4, 3)
    seen = go_on(run)
    assert (seen.status, seen.step, card(run)["step"], card(run)["steps"]) == ("stopped", 5, 2, 5)
    run.stop_file.unlink()
    seen = go_on(run)
    assert (seen.status, seen.prepared["from_step"], card(run)["step"]) == ("done", 5, 2)


def test_an_adapter_lost_between_two_renames_is_found_again(tmp_path, finished_run):
    from train.saving import recover_renamed_adapter

    run = Run(shutil.copytree(finished_run.folder, tmp_path / finished_run.name))
    run.adapter.rename(run.folder / "adapter.old")
    recover_renamed_adapter(run)
    assert run.has_adapter


@pytest.fixture
def stopped_run(tmp_path, short_spec, monkeypatch):
    """After its fifth step, with an adapter; nothing keeps it from going on."""
    run = new_run(tmp_path, short_spec)
    with monkeypatch.context() as patch:
        stop_in_the_fifth_step(run, patch)
        assert go_on(run).status == "stopped"
    run.stop_file.unlink()
    return run


@pytest.mark.skipif(sys.platform != "linux", reason="folders can't be swapped")
def test_there_is_an_adapter_to_choose_at_every_moment_in_which_another_takes_its_place(stopped_run):
    moments, watching = [], True

    def watch(event, arguments):
        if watching:
            moments.append((event, os.path.exists(stopped_run.adapter / "adapter_config.json")))

    # Whatever the system is asked for; such a hook can't be taken away again.
    sys.addaudithook(watch)
    try:
        seen = go_on(stopped_run)
    finally:
        watching = False
    assert (seen.status, card(stopped_run)["steps"]) == ("done", seen.total_steps)
    assert {event for event, there in moments if not there} == set()
    assert ("shutil.rmtree", True) in moments


@pytest.mark.parametrize("swaps", [True, False], ids=["where folders can be swapped", "where they can't"])
def test_a_save_killed_before_it_cleared_up_leaves_nothing_in_the_way_of_the_next(stopped_run, monkeypatch, swaps):
    from train import saving

    run = stopped_run
    if not swaps:
        monkeypatch.setattr(saving, "swapped", lambda *_: False)
    for left in ("adapter.old", "adapter.part"):
        shutil.copytree(run.adapter, run.folder / left)
    seen = go_on(run)
    assert (seen.status, card(run)["steps"]) == ("done", seen.total_steps)
    assert not {"adapter.old", "adapter.part"} & {path.name for path in run.folder.iterdir()}


# What goes wrong


def refused(tmp_path, spec):
    """The one sentence of a run that fails before its first step."""
    run, seen = train_here(tmp_path, spec)
    assert (seen.status, seen.steps, seen.resumable) == ("failed", [], False)
    assert not (run.folder / "reserve").exists()
    return seen.reason


def test_a_missing_data_set_is_told_by_its_name(tmp_path, short_spec):
    reason = refused(tmp_path, replace(short_spec, dataset=str(tmp_path / "nowhere.jsonl")))
    assert "nowhere.jsonl" in reason
    assert "the path of a file or folder" in reason


@pytest.mark.parametrize(
    ("targets", "missing"),
    [(("query", "value"), "query, value"), (("q_proj", "nope"), "nope"), (("lm_head",), "lm_head")],
)
def test_target_modules_that_are_not_there_are_told_with_those_that_are(tmp_path, short_spec, targets, missing):
    reason = refused(tmp_path, replace(short_spec, target_modules=targets))
    assert f"has no layers called {missing}" in reason
    assert "down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj" in reason


def test_a_base_model_that_cannot_be_reached_is_told_with_the_ways_out(tmp_path, short_spec, no_hub):
    reason = refused(tmp_path, replace(short_spec, base_model="medqa-tests/none"))
    assert "medqa-tests/none can't be reached on the Hub" in reason
    assert "choose medqa-nano" in reason


def test_questions_that_do_not_fit_are_told_with_the_length(tmp_path, short_spec):
    assert "fits into 64 tokens" in refused(tmp_path, replace(short_spec, max_length=64, rows=5))


def test_a_loss_that_explodes_ends_the_run_with_a_sentence_and_keeps_the_last_checkpoint(
    tmp_path, short_spec, monkeypatch
):
    from train import trainer

    whole, calls = trainer.label_loss, iter(range(100))
    monkeypatch.setattr(trainer, "label_loss", lambda m, i: whole(m, i) * (2 if next(calls) > 6 else 1))
    run, seen = train_here(tmp_path, replace(short_spec, learning_rate=0.5, epochs=2))
    assert seen.status == "failed"
    assert "The loss exploded: it rose by" in seen.reason
    assert "learning rate 0.5 is too high" in seen.reason
    assert "the last checkpoint is kept" in seen.reason
    assert run.checkpoints()
    assert seen.step < seen.total_steps


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_the_run_at_that_step(tmp_path, short_spec, monkeypatch, value):
    from train import trainer

    whole, calls = trainer.label_loss, iter(range(100))
    monkeypatch.setattr(trainer, "label_loss", lambda m, i: whole(m, i) * (value if next(calls) == 6 else 1))
    run, seen = train_here(tmp_path, short_spec)
    assert (seen.status, seen.step) == ("failed", 6)
    assert f"The loss became {value} at step 7" in seen.reason
    assert [path.name for path in run.checkpoints()][:1] == ["checkpoint-6"]


def out_of_memory_above(monkeypatch, largest):
    import torch

    from train import trainer

    whole = trainer.label_loss

    def limited(model, inputs):
        if inputs["input_ids"].shape[0] > largest:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return whole(model, inputs)

    monkeypatch.setattr(trainer, "label_loss", limited)


def test_out_of_memory_goes_on_with_smaller_micro_batches_and_the_same_steps(tmp_path, short_spec, monkeypatch):
    _, undisturbed = train_here(tmp_path, short_spec)
    out_of_memory_above(monkeypatch, largest=1)
    _, seen = train_here(tmp_path, replace(short_spec, name="short-2"))
    assert seen.status == "done"
    assert seen.prepared["micro_batch"] == 1
    notes = [event["message"] for event in seen.messages if event["event"] == "note"]
    assert [note.split(":")[0] for note in notes] == [
        "Out of memory with 4 examples at a time",
        "Out of memory with 2 examples at a time",
    ]
    assert losses(seen) == pytest.approx(losses(undisturbed), abs=1e-3)


def test_out_of_memory_with_a_single_example_says_what_to_lower(tmp_path, short_spec, monkeypatch):
    out_of_memory_above(monkeypatch, largest=0)
    reason = refused(tmp_path, short_spec)
    assert "out of memory even with one example at a time" in reason
    assert "Lower the maximum length (128)" in reason


def test_without_held_out_questions_it_trains_and_says_that_nothing_is_measured(tmp_path, short_spec, questions_file):
    from medqa.datasets import load

    kept = {question.stem for question in load(questions_file, "train").questions}
    rows = [row + "\n" for row in Path(questions_file).read_text().splitlines() if json.loads(row)["question"] in kept]
    (tmp_path / "few.jsonl").write_text("".join(rows[:8]))
    run, seen = train_here(tmp_path, replace(short_spec, dataset=str(tmp_path / "few.jsonl")))
    assert (seen.status, seen.evaluations) == ("done", [])
    assert any("Accuracy is not measured" in event.get("message", "") for event in seen.messages)
    assert adapters.read("few", run.adapter).held_out == {}


def test_a_run_of_one_step_learns_in_it(tmp_path, short_spec):
    run, seen = train_here(tmp_path, replace(short_spec, rows=short_spec.batch_size, warmup=0.03))
    assert (seen.status, seen.total_steps) == ("done", 1)
    assert seen.steps[0]["learning_rate"] == short_spec.learning_rate
    from safetensors.torch import load_file

    weights = load_file(run.adapter / adapters.WEIGHTS)
    assert all(tensor.abs().max() > 0 for name, tensor in weights.items() if "lora_B" in name)


def test_libraries_that_cannot_be_loaded_are_said_to_be_that(tmp_path, short_spec, monkeypatch):
    run = new_run(tmp_path, short_spec)
    (tmp_path / "broken" / "torch").mkdir(parents=True)
    (tmp_path / "broken" / "torch" / "__init__.py").write_text("raise ImportError('libamdhip64.so: no such file')")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "broken")}
    command = [sys.executable, "-m", "train", str(run.folder)]
    subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=60)
    seen = runs.progress_of(run)
    assert seen.status == "failed"
    assert "can't be loaded (ImportError: libamdhip64.so: no such file)" in seen.reason


@pytest.fixture
def small_disk(disk):
    return disk(megabytes=3)


def test_a_full_disk_is_told_and_the_run_goes_on_once_there_is_room(small_disk, short_spec):
    # A checkpoint takes about 1.6 MB: one fits, the second fills the disk.
    run, seen = train_here(small_disk, replace(short_spec, lora_rank=64, target_modules=(ALL_LINEAR,)))
    assert seen.status == "failed"
    assert seen.reason.startswith("The disk is full. Free some space, then resume")
    assert seen.resumable
    [kept] = run.checkpoints()
    subprocess.run(["mount", "-o", "remount,size=30m", small_disk], check=True)
    seen = go_on(run)
    assert seen.status == "done"
    assert kept.name == f"checkpoint-{seen.prepared['from_step']}"
    assert numbers(seen.steps) == list(range(1, seen.total_steps + 1))


def test_a_disk_too_full_for_a_step_is_told_too(small_disk, short_spec, monkeypatch):
    from train import trainer

    whole, calls = trainer.label_loss, iter(range(100))

    def filling(model, inputs):
        if next(calls) == 4:
            with pytest.raises(OSError), (small_disk / "filler").open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(1000))
        return whole(model, inputs)

    monkeypatch.setattr(trainer, "label_loss", filling)
    run, seen = train_here(small_disk, replace(short_spec, epochs=20))
    assert seen.status == "failed"
    assert seen.reason.startswith("The disk is full.")
    assert not run.checkpoints()
    cut, last = run.events_file.read_text().splitlines()[-2:]
    assert json.loads(last)["event"] == "failed"
    with pytest.raises(ValueError):
        json.loads(cut)
