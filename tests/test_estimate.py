import json
import shutil
from dataclasses import replace

import pytest

from medqa.base_model import ModelError
from medqa.datasets import DatasetError, load
from medqa.estimate import Pace, base_weights, estimate, memory_bytes, pace, preview, shape_of
from medqa.passes import LOGITS
from medqa.runs import EventWriter, Run
from medqa.spec import ALL_LINEAR, RunSpec

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def spec(tiny_base):
    return RunSpec(name="t", base_model=tiny_base, rows=100, epochs=2, batch_size=16, max_length=256)


def finished_run(folder, spec, badge, steps=12, tokens_per_second=500, name="measured-1"):
    run = Run(folder / name)
    run.folder.mkdir(parents=True)
    run.write_spec(replace(spec, name=name))
    write = EventWriter(run)
    write("started")
    write("prepared", from_step=0, total_steps=steps, device=badge)
    for step in range(1, steps + 1):
        # The first step is slow everywhere: it warms caches up.
        write("step", step=step, loss=1.0, seconds=step, tokens_per_second=tokens_per_second if step > 1 else 1)
    write("done", step=steps)
    return run


def test_the_preview_shows_three_examples_as_they_will_be_read(spec, cpu, tmp_path):
    shown = preview(spec, tmp_path, cpu).examples
    questions = load("handbook", "train", limit=100).questions[:3]
    assert len(shown) == 3
    for example, question in zip(shown, questions, strict=True):
        assert question.stem in example.prompt
        assert example.prompt.endswith("<|im_start|>assistant\n")
        answer = f"Answer: {question.key}) {question.options[question.answer]}"
        assert example.learned == f"{answer}\n\nExplanation: {question.explanation}<|im_end|>"
        assert 0 < example.masked < example.tokens


def test_the_steps_are_those_of_the_run(spec, cpu, tmp_path):
    made = preview(spec, tmp_path, cpu)
    assert made.estimate.examples == 100
    assert made.estimate.steps == spec.steps(100) == 14  # 7 an epoch: 6 of 16 and one of 4
    assert made.sampled == 100
    assert (made.cut, made.too_long) == (0, 0)


def test_what_is_cut_and_what_is_too_long_is_counted(spec, cpu, tmp_path):
    made = preview(replace(spec, max_length=80), tmp_path, cpu)
    assert made.cut > 0
    assert made.too_long > 0
    assert all(example.tokens <= 80 for example in made.examples)


def test_nothing_fitting_is_an_error_that_names_the_length(spec, cpu, tmp_path):
    with pytest.raises(DatasetError, match=r"None of 100 questions of handbook fits into 20 tokens\. Raise"):
        preview(replace(spec, max_length=20), tmp_path, cpu)


@pytest.mark.parametrize("targets", [("q_proj", "v_proj"), (ALL_LINEAR,), ("down_proj",)])
def test_the_parameter_counts_are_the_real_models(tiny_base, cpu, targets):
    from peft import LoraConfig, get_peft_model

    from medqa.model import load_base

    base = load_base(tiny_base, cpu)
    parameters = sum(p.numel() for p in base.parameters())
    wanted = ALL_LINEAR if targets == (ALL_LINEAR,) else list(targets)
    model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", r=8, target_modules=wanted))
    trainable, everything = model.get_nb_trainable_parameters()
    shape = shape_of(tiny_base, 8, targets)
    assert (shape.parameters, shape.trainable) == (parameters, trainable)
    assert everything == parameters + trainable
    assert (shape.layers, shape.hidden, shape.mlp, shape.vocabulary) == (2, 64, 128, 8192)


def test_gpt2s_layers_of_another_class_are_counted_as_they_are_trained(tmp_path):
    from peft import LoraConfig, get_peft_model
    from transformers import GPT2Config, GPT2LMHeadModel

    base = GPT2LMHeadModel(GPT2Config(n_embd=64, n_layer=2, n_head=4, vocab_size=300, n_positions=64))
    base.save_pretrained(tmp_path / "gpt2")
    model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", r=8, target_modules=["c_attn", "c_fc"]))
    trainable, _ = model.get_nb_trainable_parameters()
    assert shape_of(str(tmp_path / "gpt2"), 8, ("c_attn", "c_fc")).trainable == trainable > 0


def test_memory_grows_with_the_batch_the_length_and_the_number_format(spec, tiny_base, cpu):
    import torch

    shape, narrow = shape_of(tiny_base, 8, ("q_proj",)), replace(cpu, dtype=torch.bfloat16)
    small = memory_bytes(spec, 128, shape, narrow)
    assert small > shape.parameters * 2
    assert memory_bytes(replace(spec, batch_size=32), 128, shape, narrow) > small
    assert memory_bytes(spec, 256, shape, narrow) > small
    assert memory_bytes(spec, 128, shape, cpu) > small


def test_a_batch_that_goes_through_in_parts_takes_the_memory_of_one(spec, tiny_base, cpu):
    shape, gpu = shape_of(tiny_base, 8, ("q_proj",)), replace(cpu, torch_name="cuda")
    in_parts, larger = (replace(spec, batch_size=rows) for rows in (32, 64))
    assert memory_bytes(larger, 128, shape, cpu) == memory_bytes(in_parts, 128, shape, cpu)
    assert memory_bytes(larger, 128, shape, gpu) > memory_bytes(in_parts, 128, shape, gpu)
    # A row longer than a part goes through whole.
    assert memory_bytes(larger, 8192, shape, cpu) > memory_bytes(larger, 4096, shape, cpu)


def test_logits_take_no_more_memory_than_the_block_that_exists_at_a_time(spec, tiny_base, cpu):
    shape = shape_of(tiny_base, 8, ("q_proj",))
    wide, wider = (memory_bytes(spec, 128, replace(shape, vocabulary=words), cpu) for words in (100_000, 200_000))
    assert wide == wider
    without = memory_bytes(spec, 128, replace(shape, vocabulary=0), cpu)
    assert wide - without == 12 * LOGITS["cpu"]


def test_no_time_is_given_before_a_run_has_measured_it(spec, cpu, tmp_path):
    made = preview(spec, tmp_path, cpu).estimate
    assert (made.seconds, made.measured_by) == (None, None)


def test_the_time_is_that_of_a_run_with_this_base_on_this_device(spec, cpu, tmp_path):
    finished_run(tmp_path, spec, cpu.badge)
    made = preview(spec, tmp_path, cpu).estimate
    assert made.measured_by == "measured-1"
    assert made.seconds == pytest.approx(made.tokens / 500)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_precision_chosen_by_hand_is_timed_by_runs_of_that_precision(spec, cpu, tmp_path, precision):
    import torch

    other = replace(cpu, dtype=torch.bfloat16)
    finished_run(tmp_path, spec, cpu.badge, tokens_per_second=100, name="slow")
    finished_run(tmp_path, spec, other.badge, tokens_per_second=900, name="fast")
    for device in (cpu, other):
        made = preview(replace(spec, precision=precision), tmp_path, device).estimate
        assert made.measured_by == {"float32": "slow", "bfloat16": "fast"}[precision]


def test_other_bases_other_devices_and_short_runs_measure_nothing(spec, cpu, tmp_path):
    finished_run(tmp_path, spec, "CUDA · H200 · bfloat16", name="other-device")
    finished_run(tmp_path, spec, cpu.badge, steps=5, name="too-short")
    finished_run(tmp_path, replace(spec, base_model="medqa-nano"), cpu.badge, name="other-base")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "spec.json").write_text("{")
    assert pace(spec.base_model, cpu.badge, tmp_path) is None


def test_the_time_on_several_devices_is_that_of_a_run_on_as_many(spec, cpu, tmp_path):
    finished_run(tmp_path, spec, cpu.badge, name="alone")
    assert preview(replace(spec, devices=2), tmp_path, cpu).estimate.measured_by is None
    finished_run(tmp_path, spec, f"2 × {cpu.badge}", tokens_per_second=900, name="two")
    finished_run(tmp_path, spec, f"4 × {cpu.badge}", tokens_per_second=1600, name="four")
    made = preview(replace(spec, devices=2), tmp_path, cpu).estimate
    assert (made.measured_by, made.seconds, made.devices) == ("two", pytest.approx(made.tokens / 900), 2)
    assert preview(spec, tmp_path, cpu).estimate.measured_by == "alone"


def test_a_run_resumed_on_other_devices_has_the_pace_of_those_it_ended_on(spec, cpu, tmp_path):
    run = finished_run(tmp_path, spec, f"2 × {cpu.badge}", steps=30, tokens_per_second=900)
    shutil.copytree(run.folder, tmp_path / "soon")
    for resumed, steps in ((run, 12), (Run(tmp_path / "soon"), 5)):
        write = EventWriter(resumed)
        write("prepared", from_step=30, total_steps=30 + steps, device=cpu.badge)
        for step in range(31, 31 + steps):
            write("step", step=step, loss=1.0, seconds=step, tokens_per_second=500)
    assert pace(spec.base_model, cpu.badge, tmp_path) == Pace(500, "measured-1")
    assert pace(spec.base_model, f"2 × {cpu.badge}", tmp_path) is None


def test_each_of_several_devices_holds_the_model_and_its_share_of_the_batch(spec, tiny_base, cpu):
    shape = shape_of(tiny_base, 8, ("q_proj",))
    alone, shared = (memory_bytes(replace(spec, devices=n), 64, shape, cpu) for n in (1, 4))
    held = memory_bytes(spec, 0, shape, cpu)
    assert held > shape.parameters * 4
    assert shared - held == pytest.approx((alone - held) / 4, abs=1)


def test_of_shared_weights_a_device_holds_its_part_of_the_layers_and_two_layers_gathered(spec, tiny_base, cpu):
    shape = replace(shape_of(tiny_base, 8, ("q_proj",)), layers=20)
    assert shape.parameters - shape.in_layers == (8192 + 1) * 64  # embeddings and output layer in one, the last norm
    on_four = replace(spec, devices=4)
    whole, shared = (memory_bytes(on_four, 128, shape, cpu, shared) for shared in (False, True))
    assert whole - shared == pytest.approx(shape.in_layers * 4 * (1 - 1 / 4 - 2 / 20), abs=1)
    # Two layers gathered beside half of two: sharing saves nothing, and the estimate claims no such thing.
    two_layers = replace(shape, layers=2)
    assert memory_bytes(on_four, 128, two_layers, cpu, True) == memory_bytes(on_four, 128, two_layers, cpu)


@pytest.mark.parametrize(
    ("changes", "free", "shared", "reason"),
    [
        ({"devices": 1}, 1, False, "one device"),
        ({"base_weights": "shared"}, 10**12, True, "own setting"),
        ({"base_weights": "whole"}, 1, False, "own setting"),
        ({}, 40 * 2**30, False, "they take 20.0 GB, no more than 50% of the 40.0 GB free on a device"),
        ({}, 39 * 2**30, True, "they take 20.0 GB, more than 50% of the 39.0 GB free on a device"),
    ],
)
def test_several_devices_share_weights_that_fill_over_half_of_one_unless_told_otherwise(changes, free, shared, reason):
    chosen = base_weights(replace(RunSpec(devices=2), **changes), 10 * 2**30, "bfloat16", free)
    assert chosen.shared == shared
    assert reason in chosen.reason


def test_the_preview_makes_the_choice_that_the_run_will_make(spec, cpu, tmp_path, monkeypatch):
    two = replace(spec, devices=2)
    assert not preview(two, tmp_path, cpu).estimate.shared
    monkeypatch.setattr("medqa.device.free_memory", lambda device, processes: 1000 * processes)
    assert preview(two, tmp_path, cpu).estimate.shared
    assert not preview(spec, tmp_path, cpu).estimate.shared


@pytest.mark.parametrize(
    ("examples", "batch", "epochs", "steps", "tokens"),
    [(4, 16, 1, 1, 240), (17, 16, 1, 2, 1020), (17, 16, 2.5, 5, 3000), (100, 16, 0.1, 1, 960)],
)
def test_a_short_last_batch_counts_as_the_rows_it_has(spec, tiny_base, cpu, examples, batch, epochs, steps, tokens):
    shape, spec = shape_of(tiny_base, 8, ("q_proj",)), replace(spec, batch_size=batch, epochs=epochs)
    made = estimate(spec, [50, 70], examples, shape, cpu, None)
    assert (made.steps, made.tokens) == (steps, tokens)


def test_a_base_that_is_not_there_is_the_error_the_run_would_give(spec, cpu, tmp_path, no_hub):
    with pytest.raises(ModelError, match="medqa-tests/none can't be reached"):
        preview(replace(spec, base_model="medqa-tests/none"), tmp_path, cpu)


def test_a_base_with_a_damaged_config_is_told_by_its_name(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "no-such-type"}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match=str(tmp_path)):
        shape_of(str(tmp_path), 8, ("q_proj",))
