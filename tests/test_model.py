import json
import shutil
import time

import pytest
import torch
from transformers import PreTrainedModel

from medqa import model as models
from medqa.base_model import ModelError
from medqa.engine import Engine
from medqa.question import Question
from medqa.settings import EMBEDDED

pytestmark = pytest.mark.model

CASE = Question("Which one is a drug?", ("heparin", "marrow", "a lesion"))


def test_an_unreachable_hub_id_is_told_within_seconds_with_both_ways_out(no_hub):
    began = time.monotonic()
    with pytest.raises(ModelError) as refused:
        models.load_tokenizer("medqa-tests/no-such-model")
    assert time.monotonic() - began < 5
    said = str(refused.value)
    assert said.startswith("The base model medqa-tests/no-such-model can't be reached on the Hub")
    assert "path of a local folder" in said
    assert f"choose {EMBEDDED}, which needs no network" in said


def test_a_damaged_model_is_told_by_its_name(tmp_path, tiny_base, cpu):
    folder = shutil.copytree(tiny_base, tmp_path / "damaged")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match=f"The base model {folder} can't be loaded"):
        models.load_base(str(folder), cpu)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("HIP error: out of memory"),
        MemoryError(),
    ],
)
def test_a_base_that_does_not_fit_into_memory_is_told_with_the_way_out(tiny_base, cpu, monkeypatch, error):
    def full(*_):
        raise error

    monkeypatch.setattr(PreTrainedModel, "to", full)
    with pytest.raises(ModelError) as refused:
        models.load_base(tiny_base, cpu)
    said = str(refused.value)
    assert said.startswith(f"{tiny_base} and what it computes do not fit into the device's memory (2 cores).")
    assert said.endswith("Choose a smaller base model, or free the device.")


def test_another_fault_of_a_pass_keeps_its_own_name(loaded):
    with pytest.raises(RuntimeError, match="no such kernel"), loaded.using(None):
        raise RuntimeError("no such kernel")


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json"])
def test_a_model_with_an_unreadable_file_is_told_by_its_name(tmp_path, tiny_base, cpu, file):
    folder = shutil.copytree(tiny_base, tmp_path / "damaged")
    (folder / file).write_text("{")
    with pytest.raises(ModelError, match=str(folder)):
        models.load_tokenizer(str(folder))
        models.load_base(str(folder), cpu)


def test_a_tokenizer_without_chat_template_is_refused(tmp_path, tiny_base):
    folder = shutil.copytree(tiny_base, tmp_path / "plain")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match=r"has no chat template\. Choose a chat or instruct model"):
        models.load_tokenizer(str(folder))


def test_a_chat_template_that_refuses_the_instruction_is_told_as_the_model_loads(tmp_path, tiny_base):
    folder = shutil.copytree(tiny_base, tmp_path / "no-system")
    refusing = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    (folder / "chat_template.jinja").write_text(refusing)
    with pytest.raises(ModelError, match=r"no-system takes no question .*: System role not supported\. Choose another"):
        models.load_tokenizer(str(folder))


def test_a_tokenizer_without_padding_token_pads_with_its_end_token(tmp_path, tiny_base):
    folder = shutil.copytree(tiny_base, tmp_path / "unpadded")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    del config["pad_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    tokenizer = models.load_tokenizer(str(folder))
    assert tokenizer.pad_token == tokenizer.eos_token == "<|im_end|>"


def damaged(folder):
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def of_other_layers(folder):
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"target_modules": ["o_proj"]}))


def of_a_wider_model(folder):
    from safetensors.torch import load_file, save_file

    weights = folder / "adapter_model.safetensors"
    save_file({name: value.repeat(2, 1) for name, value in load_file(weights).items()}, weights)


def of_the_output_layer(folder):
    from safetensors.torch import load_file, save_file

    weights = folder / "adapter_model.safetensors"
    renamed = {name.replace("model.layers.0.self_attn.q_proj", "lm_head"): v for name, v in load_file(weights).items()}
    save_file(renamed, weights)


@pytest.mark.parametrize("fault", [damaged, of_other_layers, of_a_wider_model, of_the_output_layer])
@pytest.mark.parametrize("attached_before", [False, True], ids=["first", "after another"])
def test_an_adapter_that_does_not_fit_is_refused_and_leaves_the_answers_alone(
    loaded, make_adapter, tmp_path, fault, attached_before
):
    engine = Engine(loaded)
    base = engine.score(CASE).log_probabilities
    good = make_adapter(tmp_path / "good", seed=1)
    if attached_before:
        engine.score(CASE, good)
    bad = make_adapter(tmp_path / "bad", seed=2)
    fault(bad)
    for _ in range(2):
        with pytest.raises(ModelError, match="bad can't be used with"):
            engine.score(CASE, bad)
        assert engine.score(CASE).log_probabilities == pytest.approx(base, abs=1e-5)
    assert engine.score(CASE, good).log_probabilities != pytest.approx(base, abs=0.01)


def test_an_adapter_deleted_since_it_answered_is_told_as_gone(loaded, tmp_path):
    with pytest.raises(ModelError, match=r"is gone\. Choose another one"), loaded.using(tmp_path / "adapter"):
        pass
