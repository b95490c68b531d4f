import io
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from medqa import launch, run_commands, runs
from medqa.commands import main
from medqa.runs import EventWriter, Run
from medqa.settings import ROOT
from medqa.spec import PRESETS, RunSpec, with_text_settings
from tests.train.in_process import go_on, new_run

pytestmark = pytest.mark.model

PASTED = """A patient of 27 years took heparin for 7 days. Which drug was it?
A) warfarin
B) heparin
C) aspirin
"""


@pytest.fixture(autouse=True)
def settings(monkeypatch, tiny_base, tmp_path):
    monkeypatch.setenv("MEDQA_DEVICE", "cpu")
    monkeypatch.setenv("MEDQA_BASE_MODEL", tiny_base)
    monkeypatch.setenv("MEDQA_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("MEDQA_MAX_EXPLANATION_TOKENS", "8")
    monkeypatch.delenv("HSA_OVERRIDE_GFX_VERSION", raising=False)


@pytest.fixture
def with_finished_run(monkeypatch, finished_run):
    monkeypatch.setenv("MEDQA_RUNS", str(finished_run.folder.parent))
    return finished_run.name


@pytest.fixture
def said(capsys):
    """said(*arguments): exit code, standard output and standard error of `python -m medqa`, in this process."""

    def call(*arguments):
        capsys.readouterr()
        code = main(list(arguments))
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


@pytest.fixture
def pasted(monkeypatch):
    def paste(text):
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))

    return paste


def test_bytes_that_are_no_text_are_refused_as_a_question(said, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"Which?\xff"), encoding="utf-8"))
    assert said("ask", "--adapter", "base") == (2, "", "medqa: What came on standard input is no UTF-8 text.\n")


@pytest.mark.parametrize("arguments", [["-m", "medqa", "adapters"], ["app.py"]])
def test_a_setting_that_makes_no_sense_is_said_without_a_traceback(arguments):
    environment = os.environ | {"MEDQA_PORT": "seven"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, env=environment
    )
    assert done.returncode
    assert done.stderr == "medqa: MEDQA_PORT is 'seven'; it should be a whole number.\n"


def test_the_doctor_reports_the_machine_from_a_plain_command_line():
    done = subprocess.run(
        [sys.executable, "-m", "medqa", "doctor", "--json"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, env={**os.environ, "HSA_OVERRIDE_GFX_VERSION": "9.4.2"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["device"] == "cpu"
    assert facts["dtype"] in ("bfloat16", "float32")
    assert {"hardware", "reason", "build", "memory_gb", "python", "versions", "runs", "base_model"} <= facts.keys()
    assert {"torch", "transformers", "peft", "gradio"} <= facts["versions"].keys()
    [warning] = facts["warnings"]
    assert "HSA_OVERRIDE_GFX_VERSION is set to '9.4.2'" in warning


def test_the_doctor_reads_as_text_too(said):
    code, out, _ = said("doctor")
    assert code == 0
    assert "device: cpu" in out
    assert "warnings: none" in out


def test_an_answer_as_json_has_a_share_for_each_letter(said, pasted, tiny_base):
    pasted(PASTED)
    code, out, _ = said("ask", "--json")
    answer = json.loads(out)
    assert code == 0
    assert list(answer["probabilities"]) == ["A", "B", "C"]
    assert sum(answer["probabilities"].values()) == pytest.approx(1)
    assert answer["letter"] == max(answer["probabilities"], key=answer["probabilities"].get)
    assert (answer["adapter"], answer["base"]) == (None, tiny_base)
    assert isinstance(answer["explanation"], str)
    assert (answer["key"], answer["correct"]) == (None, None)


def test_a_key_pasted_along_is_judged_and_not_shown_to_the_model(said, pasted):
    pasted(PASTED)
    _, without, _ = said("ask", "--json")
    pasted(PASTED + "Answer: B\n")
    _, with_key, _ = said("ask", "--json")
    without, with_key = json.loads(without), json.loads(with_key)
    assert with_key["key"] == "B"
    assert with_key["correct"] == (with_key["letter"] == "B")
    assert with_key["probabilities"] == pytest.approx(without["probabilities"])


def test_an_adapter_is_asked_by_its_runs_name(said, pasted, with_finished_run, tiny_base):
    pasted(PASTED)
    base = json.loads(said("ask", "--json")[1])
    pasted(PASTED)
    answer = json.loads(said("ask", "--json", "--adapter", with_finished_run)[1])
    assert (answer["adapter"], answer["base"]) == (with_finished_run, tiny_base)
    assert answer["probabilities"] != pytest.approx(base["probabilities"], abs=0.05)


def test_an_answer_as_text_shows_every_option_and_who_answered(said, pasted, with_finished_run):
    pasted(PASTED)
    code, out, _ = said("ask", "--adapter", with_finished_run)
    assert code == 0
    assert out[:2] in ("A)", "B)", "C)")
    for option in ("warfarin", "heparin", "aspirin"):
        assert option in out
    assert f"with {with_finished_run}. Not medical advice." in out


def test_a_base_that_does_not_fit_into_memory_is_told_in_one_line(said, pasted, monkeypatch, tiny_base):
    import torch
    from transformers import PreTrainedModel

    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(PreTrainedModel, "to", full)
    pasted(PASTED)
    code, _, err = said("ask")
    assert code == 2
    assert err.startswith(f"medqa: {tiny_base} and what it computes do not fit into the device's memory")
    assert err.count("\n") == 1


def test_below_the_chosen_certainty_no_option_is_named(said, pasted):
    pasted(PASTED + "Answer: B\n")
    shares = json.loads(said("ask", "--json", "--not-sure-below", "0")[1])["probabilities"]
    below = str(max(shares.values()) + 0.001)
    pasted(PASTED + "Answer: B\n")
    unsure = json.loads(said("ask", "--json", "--not-sure-below", below)[1])
    assert (unsure["sure"], unsure["letter"], unsure["correct"]) == (False, None, None)
    assert unsure["probabilities"] == pytest.approx(shares)
    pasted(PASTED)
    out = said("ask", "--not-sure-below", below)[1]
    assert out.startswith("Not sure\n")
    assert unsure["explanation"] not in out
    with pytest.raises(SystemExit):
        said("ask", "--not-sure-below", "60")


def test_an_answer_says_how_often_its_adapter_was_right_when_as_sure(said, pasted, monkeypatch, finished_run, tmp_path):
    shutil.copytree(finished_run.folder, tmp_path / "copied")
    monkeypatch.setenv("MEDQA_RUNS", str(tmp_path))
    pasted(PASTED)
    answer = json.loads(said("ask", "--json", "--adapter", "copied")[1])
    tops = " ".join([str(int(1000 * max(answer["probabilities"].values())))] * 6)
    file = tmp_path / "copied" / "adapter" / "medqa.json"
    certainty = {"validation": {"": {"right": tops, "wrong": ""}}}
    kept = {"certainty": certainty, "held_out_options": {"3": 6}}
    file.write_text(json.dumps(json.loads(file.read_text()) | kept))
    pasted(PASTED)
    assert "it was right 6 of 6 times (held-out questions of cases.jsonl;" in said("ask", "--adapter", "copied")[1]


def test_an_evaluation_as_json_counts_overall_and_by_subject(said, questions_file):
    code, out, _ = said("evaluate", "--dataset", questions_file, "--split", "train", "--json")
    report = json.loads(out)
    assert code == 0
    assert report["accuracy"] == report["correct"] / report["total"]
    low, high = report["interval_95"]
    assert 0 <= low <= report["accuracy"] <= high <= 1
    assert set(report["by_subject"]) == {"Pharmacology", "Medicine"}
    assert sum(subject["total"] for subject in report["by_subject"].values()) == report["total"]
    assert sum(subject["correct"] for subject in report["by_subject"].values()) == report["correct"]
    assert (report["dataset"], report["split"], report["adapter"]) == (questions_file, "train", None)


def test_an_evaluation_takes_the_held_out_questions_by_default(said, questions_file, with_finished_run):
    report = json.loads(said("evaluate", "--dataset", questions_file, "--adapter", with_finished_run, "--json")[1])
    assert report["split"] == "validation"
    assert 0 < report["total"] < 30
    assert report["adapter"] == with_finished_run


def test_the_evaluation_of_an_adapter_is_what_its_run_measured(said, questions_file, with_finished_run, finished_run):
    limit = json.loads((finished_run.adapter / "medqa.json").read_text())["scores"]["validation"]["after"]
    everything = json.loads(said("evaluate", "--dataset", questions_file, "--adapter", with_finished_run, "--json")[1])
    assert limit["correct"] <= everything["correct"]
    assert everything["total"] - everything["correct"] >= limit["total"] - limit["correct"]


def test_an_evaluation_can_be_limited(said, questions_file):
    report = json.loads(said("evaluate", "--dataset", questions_file, "--limit", "3", "--json")[1])
    assert report["total"] == 3


def test_an_evaluation_as_text_names_share_interval_and_chance(said):
    code, out, _ = said("evaluate", "--limit", "5")
    assert code == 0
    assert " % right: " in out
    assert "95 % interval" in out
    assert "chance" in out


def test_the_adapters_are_listed_with_their_cards(said, with_finished_run, tiny_base):
    [adapter] = json.loads(said("adapters", "--json")[1])
    assert (adapter["name"], adapter["base"], adapter["base_model"]) == (with_finished_run, tiny_base, tiny_base)
    assert {"scores", "spec", "rows_sha256", "folder"} <= adapter.keys()
    assert with_finished_run in said("adapters")[1]


def test_without_adapters_it_says_how_to_make_one(said):
    assert said("adapters", "--json")[:2] == (0, "[]\n")
    assert "python -m medqa train" in said("adapters")[1]


def test_an_exported_run_is_one_json_document(said, with_finished_run, tmp_path):
    code, out, _ = said("export", with_finished_run)
    exported = json.loads(out)
    assert (code, exported["name"], exported["status"]["status"]) == (0, with_finished_run, "done")
    assert exported["adapter"]["step"] == exported["status"]["best_step"]
    file = tmp_path / "run.json"
    code, out, _ = said("export", with_finished_run, "--out", str(file))
    assert (code, out) == (0, f"{with_finished_run}: {file}\n")
    assert json.loads(file.read_text()) == exported


def test_a_tensorboard_log_without_its_package_is_refused_with_the_packages_name(
    said, with_finished_run, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    code, out, error = said("export", with_finished_run, "--tensorboard", str(tmp_path / "logs"))
    assert (code, out) == (2, "")
    assert "pip install tensorboard" in error


def test_an_error_is_one_sentence_and_exit_code_two(said, pasted, with_finished_run):
    pasted("Is this a question?")
    cases = {
        ("ask",): "option",
        (
            "evaluate",
            "--adapter",
            "nobody-1",
        ): f"There is no adapter “nobody-1”. Adapters of finished runs: {with_finished_run}",
        ("evaluate", "--dataset", "/no/such.csv"): "There is no data set /no/such.csv",
        ("evaluate", "--split", "dev"): "handbook has no split dev",
        ("evaluate", "--limit", "0"): "0 examples asked for",
        ("train", "--set", "lora_rank=many"): "lora_rank can't be “many”",
        ("train", "--set", "lora_rank"): "is not FIELD=VALUE",
        ("train", "--set", "rank=8"): "is not FIELD=VALUE",
        ("train", "--name", "Quick 1"): "The name “Quick 1” should be",
        ("export", "nobody-1"): "There is no run “nobody-1”",
    }
    for arguments, sentence in cases.items():
        code, out, error = said(*arguments)
        assert (code, out) == (2, ""), arguments
        assert error.startswith("medqa: "), arguments
        assert sentence in error, arguments
        assert "Traceback" not in error, arguments


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("MEDQA_BASE_MODEL", "/no/such/model", "There is no base model “/no/such/model”"),
        ("MEDQA_DEVICE", "tpu", "MEDQA_DEVICE is 'tpu'"),
        ("MEDQA_PORT", "high", "MEDQA_PORT is 'high'; it should be a whole number"),
    ],
)
def test_a_setting_that_cannot_be_is_told_by_its_variable_and_value(
    said, pasted, monkeypatch, variable, value, sentence
):
    monkeypatch.setenv(variable, value)
    pasted(PASTED)
    code, _, error = said("ask")
    assert code == 2
    assert sentence in error


def test_a_question_over_the_limit_is_told_with_its_length(said, pasted, monkeypatch):
    monkeypatch.setenv("MEDQA_MAX_QUESTION_TOKENS", "50")
    pasted(PASTED)
    code, _, error = said("ask")
    assert code == 2
    assert "the limit is 50" in error


def test_an_unknown_command_or_preset_is_refused_with_those_there_are(said, capsys):
    for arguments in (["dance"], ["train", "--preset", "slow"], []):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
    assert "quick" in capsys.readouterr().err


def test_training_in_the_foreground_ends_with_the_scores(
    said, tiny_base, questions_file, on_one_cpu_thread, tmp_path, monkeypatch
):
    # Named from where one is, which is not where the training process works.
    monkeypatch.chdir(Path(questions_file).parent)
    base, dataset = os.path.relpath(tiny_base), Path(questions_file).name
    code, out, error = said(
        "train", "--name", "mine-1", "--set", f"base_model={base}", f"dataset={dataset}", "epochs=0.1",
        "evaluation_questions=3", "max_length=128", "lora_rank=2",
    )  # fmt: skip
    assert code == 0, error
    assert f"mine-1: done at step 1, adapter in {tmp_path / 'runs' / 'mine-1' / 'adapter'}" in out
    assert "validation: before " in out
    assert "/3, after " in out
    # The next line of a script may start the next run.
    assert not Run(tmp_path / "runs" / "mine-1").alive


@pytest.mark.parametrize(
    ("given", "base", "dataset"),
    [
        ([], "medqa-nano", "handbook"),
        (["base_model=owner/name", "dataset=medmcqa"], "owner/name", "medmcqa"),
        (["base_model=Qwen/here", "dataset=../nowhere.csv"], "{here}/Qwen/here", "{here}/../nowhere.csv"),
        (["base_model=./Qwen/here", "dataset=~/mine.csv"], "{here}/Qwen/here", "{home}/mine.csv"),
        (
            ["base_model=~nobody-x/at/home", "dataset=~nobody-x/mine.csv"],
            "~nobody-x/at/home",
            "{here}/~nobody-x/mine.csv",
        ),
    ],
)
def test_a_relative_path_is_kept_with_the_folder_it_starts_from_and_a_name_as_it_is(
    said, monkeypatch, tmp_path, given, base, dataset
):
    # Folders of these names are there, and the names are the built-in ones' all the same.
    for folder in ("Qwen/here", "medqa-nano", "handbook"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    kept = []

    def start(spec, folder):
        kept.append(spec)
        run = new_run(folder, spec)
        EventWriter(run)("stopped", step=1)
        return run

    monkeypatch.setattr(launch, "start", start)
    said("train", *(["--set", *given] if given else []))
    where = {"here": tmp_path, "home": tmp_path / "home"}
    assert [(spec.base_model, spec.dataset) for spec in kept] == [(base.format(**where), dataset.format(**where))]


@pytest.fixture
def stopped_run(tiny_spec, tmp_path):
    """A run of twelve steps, stopped after its first."""
    run = new_run(tmp_path / "runs", replace(tiny_spec, name="mine-1", epochs=1, evaluations=1))
    launch.stop(run)
    assert go_on(run).status == "stopped"
    return run


def test_a_stopped_run_is_gone_on_with_to_its_end_and_then_no_more(said, stopped_run, on_one_cpu_thread):
    code, out, error = said("resume", "mine-1")
    seen = runs.progress_of(stopped_run)
    assert code == 0, error
    assert (seen.status, seen.prepared["from_step"], seen.step) == ("done", 1, seen.total_steps)
    assert f"mine-1: done at step {seen.step}, adapter in {stopped_run.adapter}" in out
    assert said("resume", "mine-1")[0] == 2
    assert "mine-1 is done: there is nothing to go on with" in said("resume", "mine-1")[2]


def test_a_run_is_gone_on_with_on_as_many_devices_as_its_settings_say_or_on_as_many_as_are_named(
    said, stopped_run, monkeypatch
):
    asked = []

    def resume(run, devices):
        asked.append((run, devices))
        EventWriter(run)("stopped", step=1)

    monkeypatch.setattr(launch, "resume", resume)
    assert said("resume", "mine-1")[0] == said("resume", "mine-1", "--devices", "2")[0] == 3
    assert asked == [(stopped_run, None), (stopped_run, 2)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("mine-2",), "There is no run “mine-2” in"),
        (("mine-1", "--devices", "3"), "An effective batch of 4 can't be shared evenly by 3 devices"),
        (("mine-1", "--devices", "0"), "Devices is 0; it should be from 1 to"),
    ],
)
def test_what_cannot_be_gone_on_with_is_told_and_nothing_starts(said, stopped_run, arguments, sentence):
    events = stopped_run.events_file.read_bytes()
    code, out, error = said("resume", *arguments)
    assert (code, out) == (2, "")
    assert sentence in error
    assert stopped_run.events_file.read_bytes() == events


def test_a_run_that_measured_nothing_says_so_at_its_end(said, stopped_run, monkeypatch):
    monkeypatch.setattr(launch, "resume", lambda run, _: EventWriter(run)("done", step=3, scores={"validation": {}}))
    code, out, _ = said("resume", "mine-1")
    assert code == 0
    assert out.endswith("\n  validation: accuracy was not measured\n")


def interrupt(*_):
    raise KeyboardInterrupt


def test_a_run_left_with_a_second_interrupt_is_told_to_run_on_and_where_to_find_it(said, stopped_run, monkeypatch):
    running = replace(runs.progress_of(stopped_run), status="running")
    monkeypatch.setattr(runs, "progress_of", lambda *_: running)
    monkeypatch.setattr(launch, "resume", lambda run, _: run.stop_file.unlink())
    monkeypatch.setattr(run_commands, "time", SimpleNamespace(sleep=interrupt))
    code, _, error = said("resume", "mine-1")
    assert (code, stopped_run.stop_file.exists()) == (130, True)
    told = "medqa: mine-1 is left running and stops after its step."
    assert error.splitlines()[-1] == f"{told} See the page, or go on with it: python -m medqa resume mine-1"


@pytest.mark.parametrize(
    "arguments", [("ask",), ("probe", "order"), ("evaluate", "--limit", "2")], ids=lambda arguments: arguments[0]
)
def test_an_interrupted_command_says_so_in_one_line(said, pasted, monkeypatch, arguments):
    from medqa.engine import Engine

    monkeypatch.setattr(Engine, "score", interrupt)
    monkeypatch.setattr(Engine, "score_many", interrupt)
    pasted(PASTED)
    code, _, error = said(*arguments)
    assert code == 130
    assert error.endswith("medqa: interrupted\n")
    assert "Traceback" not in error


def test_a_run_without_a_checkpoint_is_not_gone_on_with(said, tiny_spec, tmp_path):
    new_run(tmp_path / "runs", tiny_spec)
    code, _, error = said("resume", tiny_spec.name)
    assert code == 2
    assert "has no checkpoint to go on from" in error


@pytest.mark.parametrize(
    ("last", "code", "sentence"),
    [
        ({"event": "failed", "reason": "The disk is full."}, 1, "medqa: The disk is full."),
        ({"event": "stopped", "step": 3}, 3, ""),
        ({"event": "started"}, 1, "ended without a word"),
    ],
    ids=["failed", "stopped", "killed"],
)
def test_a_training_that_does_not_finish_says_why_with_its_exit_code(said, monkeypatch, last, code, sentence):
    def start(spec, folder):
        run = Run(folder / spec.name)
        run.folder.mkdir(parents=True)
        EventWriter(run)(**last)
        return run

    monkeypatch.setattr(launch, "start", start)
    ended, _, error = said("train")
    assert ended == code
    assert sentence in error


def test_the_pace_shown_is_that_of_the_steps_and_not_of_what_loads_before_them(said, monkeypatch):
    def start(spec, folder):
        run = new_run(folder, spec)
        write = EventWriter(run)
        write("started", process=1)
        write("prepared", from_step=0, total_steps=40)
        for step in range(1, 21):
            # Five seconds until the first, and one in which something is measured.
            write("step", step=step, loss=2.0, seconds=5 + step / 14 + (step > 10))
        return run

    monkeypatch.setattr(launch, "start", start)
    _, _, error = said("train", "--name", "mine-1")
    assert "mine-1:  50%|" in error
    assert "| 20/40 [00:00, 14.0 steps/s, loss 2.000]" in error


def test_a_training_that_fails_says_where_the_adapter_is_that_it_has(said, monkeypatch, finished_run, tmp_path):
    def start(spec, folder):
        run = Run(shutil.copytree(finished_run.folder, folder / "mine-1"))
        EventWriter(run)("failed", reason="The loss exploded.")
        return run

    monkeypatch.setattr(launch, "start", start)
    code, _, error = said("train")
    folder = tmp_path / "runs" / "mine-1" / "adapter"
    assert code == 1
    assert error.endswith(
        f"medqa: The loss exploded.\nmedqa: its adapter is in {folder}; ask with it: "
        "python -m medqa ask --adapter mine-1\n"
    )


def test_what_the_help_says_of_presets_and_fields_can_be_given_as_it_stands(said, capsys):
    with pytest.raises(SystemExit):
        said("train", "--help")
    presets, _, listed = capsys.readouterr().out.partition("fields, with their defaults:")
    listed = [line.split()[0] for line in listed.splitlines() if line[:3].strip()]
    assert [text.partition("=")[0] for text in listed] == list(RunSpec().to_json())
    assert with_text_settings(RunSpec(name="other", rows=5, cop_base=1), listed) == RunSpec()
    for name, text in zip(*[iter(re.split(r"^  (\w+) ", presets, flags=re.M)[1:])] * 2, strict=True):
        own = [word for word in text.split() if "=" in word]
        assert with_text_settings(RunSpec(), own) == PRESETS[name].spec
