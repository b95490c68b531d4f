import json
import sys

import pytest

from medqa import export
from medqa.export import ExportError
from medqa.runs import EventWriter, Run
from medqa.spec import RunSpec

CARD = {"base_model": "medqa-nano", "dataset": "/srv/visitors/cases.jsonl", "step": 2}


@pytest.fixture
def run(tmp_path):
    """Killed after step 3 and resumed from step 2: three steps, the last one told twice."""
    found = Run(tmp_path / "quick-1")
    found.adapter.mkdir(parents=True)
    found.write_spec(RunSpec(name="quick-1", dataset="/srv/visitors/cases.jsonl", base_model="/srv/models/nano"))
    (found.adapter / "medqa.json").write_text(json.dumps(CARD))
    write = EventWriter(found)
    write("prepared", from_step=0, total_steps=3)
    write("evaluated", step=0, seconds=0.5, correct=1, total=4, loss=2.0, kept=False)
    for step in (1, 2, 3):
        write("step", **figures(step, loss=2.0))
    write("prepared", from_step=2, total_steps=3)
    write("step", **figures(3, loss=1.0))
    write("evaluated", step=3, seconds=3.5, correct=3, total=4, loss=1.5, kept=True)
    write("note", message="Read “/srv/visitors/cases.jsonl” with /srv/models/nano.")
    write("done", step=3, seconds=4.0, scores={"validation": {}})
    return found


def figures(step, loss):
    rest = {"learning_rate": 2e-4, "gradient_norm": None, "tokens_per_second": 4100, "memory": 2**30}
    return {"step": step, "seconds": float(step), "loss": loss, **rest}


def test_a_record_has_the_spec_every_event_the_card_and_the_status_derived_from_them(run):
    record = export.record(run)
    assert RunSpec.from_json(record["spec"]) == run.spec
    assert [event["event"] for event in record["events"]].count("step") == 4
    assert record["events"][-1]["scores"] == {"validation": {}}
    assert record["adapter"] == CARD
    status = record["status"]
    assert (status["status"], status["step"], status["total_steps"], status["best_step"]) == ("done", 3, 3, 3)


def test_a_record_without_an_adapter_says_that_there_is_none(run):
    (run.adapter / "medqa.json").unlink()
    assert export.record(run)["adapter"] is None


def test_a_record_reads_back_from_its_json(run, tmp_path):
    record = export.record(run)
    export.write_json(record, tmp_path / "out.json")
    read = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert RunSpec.from_json(read.pop("spec")) == RunSpec.from_json(record.pop("spec"))
    assert read == record


def test_a_file_that_cannot_be_written_is_told_by_its_name(run, tmp_path):
    with pytest.raises(ExportError, match=r"nowhere/out.json can't be written: No such file or directory"):
        export.write_json(export.record(run), tmp_path / "nowhere" / "out.json")


def test_for_visitors_data_set_and_base_model_are_named_without_their_folders_everywhere(run):
    record = export.without_folders(export.record(run))
    assert (record["spec"]["dataset"], record["spec"]["base_model"]) == ("cases.jsonl", "nano")
    assert "/srv" not in json.dumps(record)
    assert record["adapter"]["dataset"] == "cases.jsonl"
    assert "Read “cases.jsonl” with nano." in [event.get("message") for event in record["events"]]


@pytest.mark.parametrize("folder", ["/srv/a\\b", '/srv/say "no"', "/srv/größe"], ids=["backslash", "quotes", "umlaut"])
def test_a_folder_of_unusual_letters_is_left_out_too(run, folder):
    run.write_spec(RunSpec(name="quick-1", dataset=f"{folder}/cases.jsonl"))
    assert export.without_folders(export.record(run))["spec"]["dataset"] == "cases.jsonl"


def test_for_visitors_a_hub_id_keeps_its_owner(run):
    run.write_spec(RunSpec(name="quick-1", base_model="Qwen/Qwen3-1.7B"))
    assert export.without_folders(export.record(run))["spec"]["base_model"] == "Qwen/Qwen3-1.7B"


@pytest.mark.parametrize("dataset", ["handbook", "."])
def test_names_without_a_folder_stay_as_they_are(run, dataset):
    run.write_spec(RunSpec(name="quick-1", dataset=dataset))
    record = export.record(run)
    assert export.as_json(export.without_folders(record)) == export.as_json(record)


# TensorBoard


@pytest.mark.model
def test_without_the_package_the_error_names_it(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    with pytest.raises(ExportError, match=r"needs the package tensorboard.*pip install tensorboard"):
        export.write_tensorboard(run, tmp_path / "logs")
    assert not (tmp_path / "logs").exists()


@pytest.mark.model
def test_a_log_has_every_figure_at_its_step_and_repeated_steps_once(run, tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard, which is optional, is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = export.write_tensorboard(run, tmp_path / "logs")
    assert log == tmp_path / "logs" / "quick-1"
    read = EventAccumulator(str(log))
    read.Reload()

    def points(tag):
        return [(point.step, point.value) for point in read.Scalars(tag)]

    assert points("loss/training") == [(1, 2.0), (2, 2.0), (3, 1.0)]
    assert points("loss/held_out") == [(0, 2.0), (3, 1.5)]
    assert points("held_out/accuracy") == [(0, 0.25), (3, 0.75)]
    assert points("training/learning_rate") == [(step, pytest.approx(2e-4)) for step in (1, 2, 3)]
    assert "training/gradient_norm" not in read.Tags()["scalars"]


def test_a_second_log_in_the_same_place_is_refused(run, tmp_path):
    (tmp_path / "logs" / "quick-1").mkdir(parents=True)
    with pytest.raises(ExportError, match="is there already"):
        export.write_tensorboard(run, tmp_path / "logs")
