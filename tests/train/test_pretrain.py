import gzip
import json
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from train import pretrain
from train.pretrain import Pretraining, Stage

pytestmark = pytest.mark.model

TINY = Pretraining(
    vocabulary=400, hidden=128, layers=1, mlp=64, row=32, rows_per_step=2, warmup_steps=2,
    stages=(Stage(4 * 64, text=1.0), Stage(4 * 64, text=0.2, sentences=0.4, cards=0.2, practice=0.2)),
)  # fmt: skip


@pytest.fixture(scope="module")
def text_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    with gzip.open(folder / "open.jsonl.gz", "wt", encoding="utf-8") as file:
        for i in range(120):
            file.write(
                json.dumps({"id": f"page-{i}", "text": f"Page {i}. Iron carries oxygen in the blood. " * 4}) + "\n"
            )
    return folder


@pytest.fixture(scope="module")
def whole(text_folder, tmp_path_factory):
    work = tmp_path_factory.mktemp("whole")
    pretrain.pretrain(TINY, text_folder, work, minutes=5)
    return work


def test_it_leaves_a_model_that_loads_and_a_record_of_what_it_read(whole, text_folder):
    model = AutoModelForCausalLM.from_pretrained(whole / "model")
    tokenizer = AutoTokenizer.from_pretrained(whole / "model")
    assert model.dtype == torch.bfloat16
    assert tokenizer.chat_template and tokenizer.eos_token == "<|im_end|>"
    record = json.loads((whole / "model" / "pretraining.json").read_text(encoding="utf-8"))
    assert record["tokens"] == 8 * 64
    assert record["parameters"] == sum(p.numel() for p in model.parameters())
    assert {"open.jsonl.gz", "pharmacology.toml", "splits.toml"} <= set(record["sha256"])
    [held_out] = [event for event in record["log"] if "bits_per_byte" in event]
    assert held_out["text"] == "open" and 1 < held_out["bits_per_byte"] < 12


def test_stopped_and_resumed_it_ends_with_the_very_same_weights(whole, text_folder, tmp_path):
    pretrain.pretrain(TINY, text_folder, tmp_path, minutes=5, stop_after=5)
    assert not (tmp_path / "model").exists()
    pretrain.pretrain(TINY, text_folder, tmp_path, minutes=5)
    first, second = (AutoModelForCausalLM.from_pretrained(work / "model").state_dict() for work in (whole, tmp_path))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_learning_rate_rises_and_falls_to_nothing():
    plan = replace(TINY, warmup_steps=3)
    rates = [plan.rate_at(step) for step in range(plan.steps)]
    assert rates[0] < rates[1] < rates[2]
    assert rates[2:] == sorted(rates[2:], reverse=True) and rates[-1] > 0
    assert max(rates) <= plan.learning_rate


def test_the_shipped_plan_reads_each_kind_of_text_in_full_shares():
    for stage in Pretraining().stages:
        shares = [value for name, value in vars(stage).items() if name != "tokens"]
        assert sum(shares) == pytest.approx(1.0)
