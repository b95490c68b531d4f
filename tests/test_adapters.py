import json
import os

import pytest

from medqa import adapters
from medqa.adapters import AdapterError

CONFIG = {"peft_type": "LORA", "base_model_name_or_path": "medqa-nano", "r": 8}
CARD = {
    "base_model": "medqa-nano",
    "dataset": "handbook",
    "scores": {
        "test": {"before": {"correct": 27, "total": 100}, "after": {"correct": 97, "total": 100}},
        "read": {"before": {"correct": 1, "total": 4}, "after": {"correct": 3, "total": 4}},
    },
}


def adapter_folder(folder, config=CONFIG, card=CARD, weights="adapter_model.safetensors"):
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    if card is not None:
        (folder / "medqa.json").write_text(card if isinstance(card, str) else json.dumps(card))
    (folder / weights).write_bytes(b"weights")
    return folder


def run_with_adapter(runs, name, age=0, **parts):
    adapter_folder(runs / name / "adapter", **parts)
    spec = runs / name / "spec.json"
    spec.write_text("{}")
    os.utime(spec, (1_000_000 - age, 1_000_000 - age))


def names(found):
    return [adapter.name for adapter in found]


def test_adapters_are_found_newest_run_first(tmp_path):
    for name, age in (("middle", 5), ("newest", 1), ("oldest", 9)):
        run_with_adapter(tmp_path, name, age)
    assert names(adapters.found(tmp_path)) == ["newest", "middle", "oldest"]


def test_there_are_no_adapters_where_there_is_no_folder(tmp_path):
    assert adapters.found(tmp_path / "nowhere") == []


def test_an_adapter_still_being_written_is_not_found(tmp_path):
    run_with_adapter(tmp_path, "quick-1")
    (tmp_path / "quick-1" / "adapter").rename(tmp_path / "quick-1" / "adapter.part")
    assert adapters.found(tmp_path) == []


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"config": {**CONFIG, "peft_type": "PREFIX_TUNING"}}, "is a PREFIX_TUNING adapter; only LORA"),
        ({"weights": "adapter_model.bin"}, "has no adapter_model.safetensors. Only safetensors are loaded"),
        ({"config": '{"peft_type": "LO'}, "adapter_config.json is missing or damaged"),
        ({"config": ""}, "adapter_config.json is missing or damaged"),
        ({"config": []}, "adapter_config.json is missing or damaged"),
        ({"config": {"peft_type": "LORA"}, "card": None}, "does not name its base model"),
    ],
    ids=["not LoRA", "bin", "cut config", "empty config", "config is a list", "no base"],
)
def test_a_folder_that_cannot_be_used_is_refused_by_name_and_left_out_of_the_list(tmp_path, parts, said):
    run_with_adapter(tmp_path, "good", age=1)
    run_with_adapter(tmp_path, "bad", **parts)
    with pytest.raises(AdapterError, match=r"^bad ") as refused:
        adapters.read("bad", tmp_path / "bad" / "adapter")
    assert said in str(refused.value)
    assert names(adapters.found(tmp_path)) == ["good"]


def test_a_folder_without_config_is_no_adapter(tmp_path):
    with pytest.raises(AdapterError, match="is no PEFT adapter"):
        adapters.read("empty", tmp_path)


@pytest.mark.parametrize("card", [None, "{", "[]"], ids=["missing", "damaged", "a list"])
def test_an_adapter_made_elsewhere_names_its_base_and_no_scores(tmp_path, card):
    adapter = adapters.read("theirs", adapter_folder(tmp_path / "theirs", card=card))
    assert (adapter.base, adapter.dataset, adapter.held_out) == ("medqa-nano", "not recorded", {})
    assert adapter.label == "theirs · medqa-nano · not recorded"


def test_the_card_knows_the_base_model_better_than_peft(tmp_path):
    config = {**CONFIG, "base_model_name_or_path": "/home/someone/models/nano"}
    assert adapters.read("a", adapter_folder(tmp_path / "a", config=config)).base == "medqa-nano"


def test_the_label_says_what_it_was_trained_on_and_what_that_changed(tmp_path):
    adapter = adapters.read("quick-2", adapter_folder(tmp_path / "a"))
    assert adapter.label == "quick-2 · medqa-nano · handbook · 27 % → 97 %"


def test_the_label_tells_of_a_folder_its_last_part_only(tmp_path):
    card = {"base_model": "/srv/models/nano", "dataset": "/app/runs/.uploads/1f.csv"}
    assert adapters.read("a", adapter_folder(tmp_path / "a", card=card)).label == "a · nano · 1f.csv"


def test_the_label_has_no_scores_when_only_one_was_measured(tmp_path):
    card = {**CARD, "scores": {"test": {"after": {"correct": 97, "total": 100}}}}
    assert adapters.read("a", adapter_folder(tmp_path / "a", card=card)).label == "a · medqa-nano · handbook"


def test_a_runs_adapter_is_had_by_the_runs_name(tmp_path):
    run_with_adapter(tmp_path, "quick-1")
    assert adapters.named("quick-1", tmp_path).folder == tmp_path / "quick-1" / "adapter"


@pytest.mark.parametrize("name", ["quick-9", "../quick-1", "/etc", ""])
def test_an_unknown_name_is_refused_with_those_there_are(tmp_path, name):
    run_with_adapter(tmp_path, "quick-1")
    with pytest.raises(AdapterError) as refused:
        adapters.named(name, tmp_path)
    assert f"“{name}”" in str(refused.value)
    assert "quick-1." in str(refused.value)


def test_an_unknown_name_is_refused_when_there_is_none_at_all(tmp_path):
    with pytest.raises(AdapterError, match="none yet"):
        adapters.named("quick-9", tmp_path)


def test_what_is_no_hub_id_is_not_asked_of_the_hub():
    with pytest.raises(AdapterError, match="owner/name"):
        adapters.from_hub("../secrets")
