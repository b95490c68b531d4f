"""A run as one JSON document, or as a TensorBoard log. Reads the run's folder and changes nothing there."""

from __future__ import annotations

import json
from pathlib import Path

from medqa import runs, spec
from medqa.errors import UserError
from medqa.runs import EventReader, Progress, Run


class ExportError(UserError):
    """A run that can't be exported as asked; the message says why and what to do."""


def record(run: Run) -> dict:
    """Its spec, every event, the card of its adapter (None where there is none) and its status. Raises RunError."""
    # One reading for both, or a run that goes on would have events its status knows nothing of.
    alive, events = run.alive, EventReader(run).read()
    seen = runs.progress(events, alive, bool(run.checkpoints()))
    return {
        "name": run.name,
        "spec": run.spec.to_json(),
        "status": {
            "status": seen.status,
            "reason": seen.reason,
            "step": seen.step,
            "total_steps": seen.total_steps,
            "best_step": seen.best["step"] if seen.best else None,
            "resumable": seen.resumable,
            "scores": seen.scores,
        },
        "events": events,
        "adapter": _card(run),
    }


def _card(run: Run) -> dict | None:
    try:
        return json.loads((run.adapter / "medqa.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def without_folders(record: dict) -> dict:
    """For visitors of a public page: base model and data set by their last path part, wherever they are named."""
    return json.loads(spec.without_folders(as_json(record), spec.RunSpec.from_json(record["spec"]), _inside))


def _inside(text: str) -> str:
    """As it stands within a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def as_json(record: dict) -> str:
    return json.dumps(record, ensure_ascii=False, indent=1) + "\n"


def write_json(record: dict, file: Path) -> None:
    """Raises ExportError."""
    try:
        file.write_text(as_json(record), encoding="utf-8")
    except OSError as error:
        raise ExportError(f"{file} can't be written: {error.strerror}.") from error


def write_tensorboard(run: Run, folder: Path) -> Path:
    """A log of its own under `folder`, so that several runs can be compared. Raises ExportError."""
    log = folder / run.name
    if log.exists():
        raise ExportError(f"{log} is there already: a second log in it would draw every point twice. Remove it first.")
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ExportError(
            "A TensorBoard log needs the package tensorboard, which is not installed: pip install tensorboard"
        ) from error
    with SummaryWriter(str(log)) as writer:
        writer.add_text("spec", f"```\n{json.dumps(run.spec.to_json(), indent=1)}\n```")
        for tag, value, event in _scalars(runs.progress_of(run)):
            writer.add_scalar(tag, value, event["step"], event["time"])
    return log


def _scalars(seen: Progress) -> list[tuple[str, float, dict]]:
    """Tag, value and the event it comes from. Steps that a resumed run has repeated count once."""
    names = {
        "loss/training": "loss",
        "training/gradient_norm": "gradient_norm",
        "training/learning_rate": "learning_rate",
        "training/tokens_per_second": "tokens_per_second",
        "training/memory_bytes": "memory",
    }
    found = [(tag, e[field], e) for e in seen.steps for tag, field in names.items() if e.get(field) is not None]
    for event in seen.evaluations:
        if event["total"]:
            found.append(("loss/held_out", event["loss"], event))
            found.append(("held_out/accuracy", event["correct"] / event["total"], event))
    return found
