"""`python -m medqa train|resume|adapters|export`: runs made, gone on with, listed and passed on."""

from __future__ import annotations

import argparse
import json
import os
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path

from medqa import adapters, export, launch, runs
from medqa.datasets import NAMES
from medqa.runs import EventReader, Progress, Run, RunError
from medqa.settings import EMBEDDED, Settings
from medqa.spec import CHOICES, PRESETS, RANGES, RunSpec, with_text_settings

POLL_SECONDS = 0.3
# A process that has written its last event has its libraries to close and a GPU to give back.
SECONDS_TO_LEAVE = 60.0
HELP_WIDTH = 79
# The pace is the run's own record: tqdm would count the seconds in which the libraries, the model and the data load.
BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"


def add_to(commands: argparse._SubParsersAction) -> None:
    train = commands.add_parser(
        "train",
        help="fine-tune in the foreground",
        description="Fine-tune in the foreground. Ctrl-C stops after the step and keeps the adapter.",
        epilog="\n".join(_presets_and_settings()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    train.add_argument("--preset", choices=PRESETS, default="quick", help="the settings to begin with; default: quick")
    train.add_argument("--name", default="", help="of the run and its adapter; default: the next free one")
    train.add_argument(
        "--set",
        action="extend",
        nargs="+",
        default=[],
        metavar="FIELD=VALUE",
        help='in place of the preset\'s, e.g. lora_rank=16 epochs=2 "disputed_rows=leave out"; all fields are below',
    )
    train.set_defaults(command=train_command)

    resuming = commands.add_parser("resume", help="go on with a run that was stopped, killed or failed")
    resuming.add_argument("name", metavar="NAME", help="of the run")
    resuming.add_argument("--devices", type=int, metavar="N", help="default: as many as its settings say")
    resuming.set_defaults(command=resume_command)

    listing = commands.add_parser("adapters", help="the adapters of finished runs")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(command=adapters_command)

    exporting = commands.add_parser("export", help="a run as one JSON document, or as a TensorBoard log")
    exporting.add_argument("name", metavar="NAME", help="of the run")
    exporting.add_argument("--out", type=Path, metavar="FILE", help="default: standard output")
    exporting.add_argument("--tensorboard", type=Path, metavar="FOLDER", help="write a log there instead, or as well")
    exporting.set_defaults(command=export_command)


def _presets_and_settings() -> Iterator[str]:
    """The lines under the options of `train --help`."""
    plain = RunSpec()
    yield "presets, and where they differ from the defaults below:"
    for name, preset in PRESETS.items():
        yield from _wrapped(f"{preset.label}. {preset.summary}", f"  {name:8}", 10)
        theirs = ((f.name, getattr(preset.spec, f.name)) for f in fields(RunSpec))
        own = (f"{field}={_as_text(value)}" for field, value in theirs if value != getattr(plain, field))
        yield from _wrapped(" ".join(own), " " * 10, 10)
    yield "\nfields, with their defaults:"
    for field in fields(RunSpec):
        begins = f"  {field.name}={_as_text(getattr(plain, field.name))}".ljust(28)
        yield from _wrapped(f"{field.metadata['help']} {_allowed(field.name)}".rstrip(), f"{begins} ", 29)


def _wrapped(text: str, begins: str, indent: int) -> list[str]:
    # No setting is cut at its hyphens.
    return textwrap.wrap(
        text, HELP_WIDTH, initial_indent=begins, subsequent_indent=" " * indent, break_on_hyphens=False
    )


def _allowed(field: str) -> str:
    if field in CHOICES:
        return f"One of: {', '.join(map(_as_text, CHOICES[field]))}."
    if field in RANGES:
        low, high, unit = RANGES[field]
        return f"From {_as_text(low)} to {_as_text(high)} {unit}".rstrip() + "."
    return ""


def _as_text(value: object) -> str:
    """As `--set` reads it."""
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return ",".join(value)
    return f"{value:g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def train_command(chosen: argparse.Namespace, settings: Settings) -> int:
    spec = _from_any_folder(with_text_settings(replace(PRESETS[chosen.preset].spec, name=chosen.name), chosen.set))
    return _to_its_end(launch.start(launch.with_free_name(spec, chosen.preset, settings.runs), settings.runs))


def _from_any_folder(spec: RunSpec) -> RunSpec:
    """Its relative paths as absolute ones: the training process works in MedQA's own folder."""
    dataset, base = (Path(os.path.expanduser(name)).absolute() for name in (spec.dataset, spec.base_model))
    if spec.dataset.strip() and spec.dataset not in NAMES:
        spec = replace(spec, dataset=str(dataset))
    # Anything else is a Hub id, or told to be no base model.
    if spec.base_model.strip() and spec.base_model != EMBEDDED and base.is_dir():
        spec = replace(spec, base_model=str(base))
    return spec


def resume_command(chosen: argparse.Namespace, settings: Settings) -> int:
    run = runs.named(settings.runs, chosen.name)
    if runs.progress_of(run).status == "done":
        raise RunError(f"The run {run.name} is done: there is nothing to go on with. Its adapter is in {run.adapter}.")
    launch.resume(run, chosen.devices)
    return _to_its_end(run)


def _to_its_end(run: Run) -> int:
    """0: finished; 1: failed or interrupted; 3: stopped with Ctrl-C, the adapter saved; 130: left running."""
    try:
        seen = _follow(run)
    except KeyboardInterrupt:
        way_on = f"See the page, or go on with it: python -m medqa resume {run.name}"
        print(f"medqa: {run.name} is left running and stops after its step. {way_on}", file=sys.stderr)
        return 130
    if seen.status == "failed":
        print(f"medqa: {seen.reason}", file=sys.stderr)
        if run.has_adapter:
            ask = f"python -m medqa ask --adapter {run.name}"
            print(f"medqa: its adapter is in {run.adapter}; ask with it: {ask}", file=sys.stderr)
    elif seen.status == "interrupted":
        print(f"medqa: the training process ended without a word; see {run.folder / 'process.log'}", file=sys.stderr)
    else:
        print(f"{run.name}: {seen.status} at step {seen.step}, adapter in {run.adapter}")
        for split, score in seen.scores.items():
            shares = [f"{when} {s['correct']}/{s['total']}" for when, s in score.items()]
            print(f"  {split}: {', '.join(shares)} right" if shares else f"  {split}: accuracy was not measured")
    return {"done": 0, "stopped": 3}.get(seen.status, 1)


def _follow(run: Run) -> Progress:
    """Show a progress bar until the run ends. Ctrl-C asks it to stop; a second one leaves it to itself."""
    from tqdm import tqdm

    reader = EventReader(run)
    asked = False
    with tqdm(desc=run.name, dynamic_ncols=True, bar_format=BAR) as bar:
        while True:
            try:
                seen = runs.progress_of(run, reader)
                bar.total = seen.total_steps or None
                bar.n = seen.step
                bar.set_postfix_str(", ".join(_figures(seen)), refresh=False)
                bar.refresh()
                if seen.status != "running":
                    _let_go(run)
                    return seen
                time.sleep(POLL_SECONDS)
            except KeyboardInterrupt:
                if asked:
                    raise
                asked = True
                launch.stop(run)
                bar.write("Stopping after this step …")


def _figures(seen: Progress) -> Iterator[str]:
    if seen.seconds_left is not None:
        yield f"{timedelta(seconds=round(seen.seconds_left))} left"
    if pace := seen.seconds_per_step:
        yield f"{pace:.1f} s/step" if pace > 1 else f"{1 / pace:.1f} steps/s"
    if seen.steps:
        yield f"loss {seen.steps[-1]['loss']:.3f}"


def _let_go(run: Run) -> None:
    """Wait for its process to leave the device, so that the next run can start at once."""
    until = time.monotonic() + SECONDS_TO_LEAVE
    while run.alive and time.monotonic() < until:
        time.sleep(POLL_SECONDS)


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
