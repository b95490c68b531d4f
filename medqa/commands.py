"""The command line: `python -m medqa train|ask|probe|evaluate|adapters|export|receipt|disputes|doctor`.

The same library as the page.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from medqa import adapters, export, launch, probe_command, receipt_commands, runs, scope, trust
from medqa.adapters import AdapterError
from medqa.command_line import adapter_named, engine_on, question_on_input
from medqa.datasets.rows import DatasetError
from medqa.export import ExportError
from medqa.hub import HubError
from medqa.question import LETTERS, QuestionError
from medqa.runs import EventReader, Progress, Run, RunError
from medqa.settings import Settings, from_environment
from medqa.spec import PRESETS, SpecError, with_text_settings

POLL_SECONDS = 0.3
# Errors that are one sentence for a person.
TOLD = (AdapterError, DatasetError, ExportError, HubError, QuestionError, RunError, SpecError, ValueError)
PACKAGES = ("torch", "transformers", "peft", "accelerate", "datasets", "gradio")


def main(arguments: list[str] | None = None) -> int:
    chosen = parser().parse_args(arguments)
    from medqa.model import ModelError

    try:
        return chosen.command(chosen, from_environment())
    except (*TOLD, ModelError) as error:
        print(f"medqa: {error}", file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m medqa", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    train = commands.add_parser("train", help="fine-tune in the foreground")
    train.add_argument("--preset", choices=PRESETS, default="quick")
    train.add_argument("--name", default="", help="of the run and its adapter; default: the next free one")
    train.add_argument("--set", action="extend", nargs="+", default=[], metavar="FIELD=VALUE", help="e.g. lora_rank=16")
    train.set_defaults(command=train_command)

    ask = commands.add_parser("ask", help="answer and explain the question on standard input")
    ask.add_argument("--adapter", default="base", help="a run's name, a Hub id, or base")
    ask.add_argument(
        "--not-sure-below", type=_share, default=0.0, metavar="SHARE", help="name no option less probable, e.g. 0.6"
    )
    ask.add_argument("--json", action="store_true")
    ask.set_defaults(command=ask_command)

    evaluate = commands.add_parser("evaluate", help="how often it is right on a data set")
    evaluate.add_argument("--adapter", default="base", help="a run's name, a Hub id, or base")
    evaluate.add_argument("--dataset", default="handbook", help="a name or the path of a file or folder")
    evaluate.add_argument("--split", help="default: the data set's held-out split")
    evaluate.add_argument("--limit", type=int)
    evaluate.add_argument(
        "--cop-base", type=int, choices=(0, 1), help="how numeric keys count, when the data can't tell"
    )
    evaluate.add_argument("--json", action="store_true")
    evaluate.set_defaults(command=evaluate_command)

    listing = commands.add_parser("adapters", help="the adapters of finished runs")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(command=adapters_command)

    exporting = commands.add_parser("export", help="a run as one JSON document, or as a TensorBoard log")
    exporting.add_argument("name", metavar="NAME", help="of the run")
    exporting.add_argument("--out", type=Path, metavar="FILE", help="default: standard output")
    exporting.add_argument("--tensorboard", type=Path, metavar="FOLDER", help="write a log there instead, or as well")
    exporting.set_defaults(command=export_command)

    probe_command.add_to(commands)
    receipt_commands.add_to(commands)

    doctor = commands.add_parser("doctor", help="device, number format, versions, warnings")
    doctor.add_argument("--json", action="store_true")
    doctor.set_defaults(command=doctor_command)
    return top


def train_command(chosen: argparse.Namespace, settings: Settings) -> int:
    """0: finished; 1: failed or interrupted; 3: stopped with Ctrl-C, the adapter saved."""
    spec = with_text_settings(replace(PRESETS[chosen.preset].spec, name=chosen.name), chosen.set)
    run = launch.start(launch.with_free_name(spec, chosen.preset, settings.runs), settings.runs)
    seen = _follow(run)
    if seen.status == "failed":
        print(f"medqa: {seen.reason}", file=sys.stderr)
    elif seen.status == "interrupted":
        print(f"medqa: the training process ended without a word; see {run.folder / 'process.log'}", file=sys.stderr)
    else:
        print(f"{run.name}: {seen.status} at step {seen.step}, adapter in {run.adapter}")
        for split, score in seen.scores.items():
            shares = [f"{when} {s['correct']}/{s['total']}" for when, s in score.items()]
            print(f"  {split}: {', '.join(shares)} right")
    return {"done": 0, "stopped": 3}.get(seen.status, 1)


def _follow(run: Run) -> Progress:
    """Show a progress bar until the run ends. Ctrl-C asks it to stop; a second one leaves it to itself."""
    from tqdm import tqdm

    reader = EventReader(run)
    asked = False
    with tqdm(unit="step", desc=run.name, dynamic_ncols=True) as bar:
        while True:
            try:
                seen = runs.progress_of(run, reader)
                bar.total = seen.total_steps or None
                bar.n = seen.step
                if seen.steps:
                    bar.set_postfix_str(f"loss {seen.steps[-1]['loss']:.3f}", refresh=False)
                bar.refresh()
                if seen.status != "running":
                    return seen
                time.sleep(POLL_SECONDS)
            except KeyboardInterrupt:
                if asked:
                    raise
                asked = True
                launch.stop(run)
                bar.write("Stopping after this step …")


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text} is no share; give one from 0 to 1, e.g. 0.6")
    return share


def ask_command(chosen: argparse.Namespace, settings: Settings) -> int:
    question = question_on_input()
    adapter, base, engine = _engine(chosen.adapter, settings)
    folder, name = (adapter.folder, adapter.name) if adapter else (None, None)
    answer = engine.score(question, folder, name)
    *_, explanation = engine.explain(answer, folder)
    doubts = scope.doubts(answer, adapter.dataset if adapter else None)
    record = trust.track_record(answer, adapter.card) if adapter else ""
    sure = trust.is_sure(answer, chosen.not_sure_below)
    if chosen.json:
        by_letter = {LETTERS[i]: share for i, share in enumerate(answer.probabilities)}
        letter, correct = (answer.letter, answer.correct) if sure else (None, None)
        print(json.dumps({"letter": letter, "probabilities": by_letter, "explanation": explanation.text,
                          "explanation_cut": explanation.cut, "adapter": name, "base": base, "key": question.key,
                          "correct": correct, "doubts": doubts, "sure": sure, "record": record}))  # fmt: skip
        return 0
    print(f"{answer.letter}) {question.options[answer.index]}\n" if sure else "Not sure\n")
    for doubt in doubts:
        print(f"Careful: {doubt}\n")
    for letter, option, share in zip(LETTERS, question.options, answer.probabilities, strict=False):
        print(f"  {letter}  {'█' * round(30 * share):30} {100 * share:5.1f} %  {option}")
    if record:
        print(f"\n{record}")
    if sure:
        print(f"\n{explanation.text}")
    print(f"\nBy {base}{f' with {name}' if name else ''}. Not medical advice.")
    return 0


def evaluate_command(chosen: argparse.Namespace, settings: Settings) -> int:
    from tqdm import tqdm

    from medqa import datasets
    from medqa.evaluate import report
    from medqa.question import Answer

    split = chosen.split or datasets.held_out_split(chosen.dataset)
    loaded = datasets.load(chosen.dataset, split, limit=chosen.limit, cop_base=chosen.cop_base)
    adapter, base, engine = _engine(chosen.adapter, settings)
    name = adapter.name if adapter else None
    scored = engine.score_many(loaded.questions, adapter.folder if adapter else None)
    bar = tqdm(scored, total=len(loaded.questions), unit="question", disable=chosen.json)
    made = report(Answer(loaded.questions[i], scores, base, name) for i, scores in bar)
    if chosen.json:
        about = {"dataset": chosen.dataset, "split": split, "adapter": name, "base": base}
        print(json.dumps(made.to_json() | about | {"left_out": loaded.skipped_by_reason}))
        return 0
    low, high = made.overall.interval_95
    print(f"{100 * made.overall.share:.1f} % right: {made.overall.correct} of {made.overall.total} "
          f"(95 % interval {100 * low:.1f} to {100 * high:.1f} %; chance {100 * made.chance:.0f} %)")  # fmt: skip
    for subject, accuracy in made.by_subject.items():
        print(f"  {subject:32} {accuracy.correct:5} of {accuracy.total}")
    for reason, count in loaded.skipped_by_reason.items():
        print(f"  left out, {reason}: {count}")
    return 0


def _engine(name: str, settings: Settings):
    adapter = adapter_named(name, settings)
    base = adapter.base if adapter else settings.base_model
    return adapter, base, engine_on(base, settings)


def adapters_command(chosen: argparse.Namespace, settings: Settings) -> int:
    found = adapters.found(settings.runs)
    if chosen.json:
        print(json.dumps([{"name": a.name, "base": a.base, "folder": str(a.folder), **a.card} for a in found]))
    else:
        print(
            "\n".join(a.label for a in found) or f"No adapters in {settings.runs} yet. Make one: python -m medqa train"
        )
    return 0


def export_command(chosen: argparse.Namespace, settings: Settings) -> int:
    run = runs.named(settings.runs, chosen.name)
    if chosen.out:
        export.write_json(export.record(run), chosen.out)
        print(f"{run.name}: {chosen.out}")
    if chosen.tensorboard:
        print(f"{run.name}: {export.write_tensorboard(run, chosen.tensorboard)}")
    if not chosen.out and not chosen.tensorboard:
        print(export.as_json(export.record(run)), end="")
    return 0


def doctor_command(chosen: argparse.Namespace, settings: Settings) -> int:
    import torch

    from medqa import device

    device_found = device.choose(settings.device)
    memory = device.memory(device_found)
    facts = {
        "device": device_found.kind,
        "hardware": device_found.hardware,
        "dtype": device_found.dtype_name,
        "reason": device_found.reason,
        "build": f"ROCm {torch.version.hip}"
        if torch.version.hip
        else f"CUDA {torch.version.cuda}"
        if torch.version.cuda
        else "CPU",
        "memory_gb": round(memory.total / 2**30, 1),
        "memory_used_gb": round(memory.used / 2**30, 1),
        "python": sys.version.split()[0],
        "versions": {name: _version(name) for name in PACKAGES},
        "runs": str(settings.runs),
        "base_model": settings.base_model,
        "warnings": device.warnings(),
    }
    if chosen.json:
        print(json.dumps(facts))
        return 0
    for name, value in facts.items():
        if name == "warnings":
            print("\n".join(f"warning: {text}" for text in value) or "warnings: none")
        else:
            text = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
            print(f"{name.replace('_', ' ')}: {text}")
    return 0


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
