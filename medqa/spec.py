"""What to fine-tune and how: the settings of a run, checked, and the presets. Loads neither torch nor data."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from medqa.errors import UserError

SCHEDULES = ("cosine", "linear", "constant_with_warmup")
PRECISIONS = ("auto", "bfloat16", "float32")
DISPUTED_ROWS = ("keep", "leave out")
BASE_WEIGHTS = ("auto", "whole", "shared")
ALL_LINEAR = "all-linear"
# Lies in the folder of runs, beside theirs (disputes.py).
MARKS_FILE = "disputes.jsonl"


class SpecError(UserError):
    """Settings that can't be run. `faults` maps a field's name to the sentence shown beside it."""

    def __init__(self, faults: dict[str, str]) -> None:
        super().__init__(" ".join(faults.values()))
        self.faults = faults


def _field(default: object, label: str, help: str) -> object:
    return field(default=default, metadata={"label": label, "help": help})


@dataclass(frozen=True)
class RunSpec:
    """The settings of one fine-tuning run; the form, `spec.json` and the trainer all use this one."""

    name: str = _field("", "Run name", "Names the run's folder and the adapter. Small letters, digits, hyphens.")
    base_model: str = _field("medqa-nano", "Base model", "The embedded model, a local folder, or a Hub id.")
    dataset: str = _field(
        "handbook", "Data set", "What to train on; held-out questions of the same data set measure it."
    )
    rows: int | None = _field(None, "Rows", "How many training questions, drawn by the seed. Empty: all of them.")
    epochs: float = _field(1.0, "Epochs", "How often each question is seen.")
    batch_size: int = _field(16, "Effective batch", "Questions per optimiser step (effective batch).")
    learning_rate: float = _field(2e-4, "Learning rate", "The highest step size, reached after the warm-up.")
    schedule: str = _field("cosine", "Schedule", "How the learning rate falls after the warm-up.")
    warmup: float = _field(0.03, "Warm-up", "Share of the steps over which the learning rate rises.")
    lora_rank: int = _field(8, "LoRA rank", "Rank of the two matrices LoRA adds to each target module.")
    lora_alpha: int = _field(16, "LoRA alpha", "LoRA's update is multiplied by alpha / rank.")
    lora_dropout: float = _field(0.0, "LoRA dropout", "Share of LoRA's inputs dropped in training. 0 is fastest.")
    target_modules: tuple[str, ...] = _field(
        ("q_proj", "v_proj"), "Target modules", "The layers that get LoRA matrices, or all-linear."
    )
    max_length: int = _field(
        1024, "Maximum length", "Tokens per example. A longer one loses the end of its explanation."
    )
    seed: int = _field(0, "Seed", "Decides the rows drawn, their order and LoRA's start.")
    precision: str = _field("auto", "Precision", "Number format of the base weights; auto takes the device's best.")
    evaluation_questions: int = _field(
        100,
        "Held-out questions",
        "Held-out questions scored during and after training, and once with the base model alone.",
    )
    evaluations: int = _field(5, "Evaluations", "How often they are scored during training.")
    cop_base: int | None = _field(
        None,
        "Key numbers start at",
        "Whether the key numbers of an uploaded file start at 0 or 1. Empty: from the data.",
    )
    disputed_rows: str = _field(
        "keep", "Disputed rows", "Training questions whose key was marked wrong: kept, or left out. Held-out ones stay."
    )

    devices: int = _field(1, "Devices", "How many GPUs share the work; the effective batch stays what it is.")
    base_weights: str = _field(
        "auto",
        "Base weights",
        "Whole on each device, or shared out among several; auto shares what fills over half of one's memory.",
    )

    def __post_init__(self) -> None:
        if isinstance(self.target_modules, list):
            object.__setattr__(self, "target_modules", tuple(self.target_modules))

    def to_json(self) -> dict:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict) -> RunSpec:
        """Unknown fields, from a newer version, are ignored; missing ones, from an older, take their default."""
        known = {f.name for f in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})

    def steps(self, rows: int) -> int:
        """Optimiser steps for this many training examples."""
        per_epoch = -(-rows // self.batch_size)
        return max(1, round(per_epoch * self.epochs))


def told(name: str, what: str) -> str:
    """A field's "label" or its line of "help"."""
    return next(f.metadata[what] for f in fields(RunSpec) if f.name == name)


# field: (lowest, highest, unit shown in the message)
RANGES = {
    "rows": (1, 10_000_000, "questions"),
    "epochs": (0.01, 100, "epochs"),
    "batch_size": (1, 1024, "questions"),
    "learning_rate": (1e-7, 1.0, ""),
    "warmup": (0.0, 0.5, "of the steps"),
    "lora_rank": (1, 512, ""),
    "lora_alpha": (1, 2048, ""),
    "lora_dropout": (0.0, 0.9, ""),
    "max_length": (64, 32_768, "tokens"),
    "seed": (0, 2**31 - 1, ""),
    "evaluation_questions": (1, 5000, "questions"),
    "evaluations": (1, 50, "times"),
    "devices": (1, 1024, ""),
}
CHOICES = {
    "schedule": SCHEDULES,
    "precision": PRECISIONS,
    "cop_base": (None, 0, 1),
    "disputed_rows": DISPUTED_ROWS,
    "base_weights": BASE_WEIGHTS,
}


def checked(spec: RunSpec) -> RunSpec:
    """The same spec when it can be run. Raises SpecError with a sentence for each field that is off."""
    faults = {}
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", spec.name):
        faults["name"] = (
            f"The name “{spec.name}” should be 1 to 64 small letters, digits, hyphens, dots or underscores."
        )
    elif spec.name == MARKS_FILE:
        faults["name"] = (
            f"The name “{MARKS_FILE}” is taken: the file of clinicians' marks, which lies beside the runs, has it. "
            "Choose another one."
        )
    for name, (low, high, unit) in RANGES.items():
        value = getattr(spec, name)
        if value is None and name == "rows":
            continue
        # Counted fields have whole bounds; half a question is no batch.
        kind = int if isinstance(low, int) else int | float
        if not isinstance(value, kind) or isinstance(value, bool) or not low <= value <= high:
            span = f"from {low:,} to {high:,} {unit}".strip()
            faults[name] = f"{told(name, 'label')} is {value!r}; it should be {span}."
    for name, allowed in CHOICES.items():
        if getattr(spec, name) not in allowed:
            faults[name] = (
                f"{name.capitalize()} is {getattr(spec, name)!r}; it should be one of {', '.join(map(str, allowed))}."
            )
    if not {"devices", "batch_size"} & set(faults) and spec.batch_size % spec.devices:
        fitting = ", ".join(str(n) for n in range(1, spec.batch_size + 1) if spec.batch_size % n == 0)
        faults["devices"] = (
            f"An effective batch of {spec.batch_size} can't be shared evenly by {spec.devices} devices. "
            f"Choose one of {fitting} devices, or an effective batch that {spec.devices} divides."
        )
    if spec.base_weights == "shared" and spec.devices == 1:
        faults["base_weights"] = (
            "One device has no other to share the base weights with. Choose 2 devices or more, or base_weights=auto."
        )
    if not spec.base_model.strip():
        faults["base_model"] = "No base model is chosen."
    if not spec.dataset.strip():
        faults["dataset"] = "No data set is chosen."
    if not spec.target_modules:
        faults["target_modules"] = "No target modules: name at least one layer, or all-linear."
    if faults:
        raise SpecError(faults)
    return spec


def without_folder(name: str) -> str:
    """A data set or base model as people are told of it: of a path the last part; a name or Hub id as it is."""
    is_hub_id = name.count("/") == 1 and not name.startswith(("/", ".", "~"))
    return name if is_hub_id else Path(name).name or name


def without_folders(text: str, spec: RunSpec, written: Callable[[str], str] = str) -> str:
    """A text that may name the spec's data set and base model, without their folders.

    `written`: how such a text writes a name.
    """
    # The longer first: the other may be a folder it lies in.
    for name in sorted((spec.dataset, spec.base_model), key=len, reverse=True):
        text = text.replace(written(name), written(without_folder(name)))
    return text


@dataclass(frozen=True)
class Preset:
    label: str
    summary: str
    spec: RunSpec


PRESETS = {
    "quick": Preset(
        "Quick demo",
        "The embedded medqa-nano on the handbook, no network: about a minute and a half on two CPU cores that compute "
        "bfloat16, three and a half to five on older ones.",
        RunSpec(
            epochs=3.2,
            learning_rate=3e-3,
            warmup=0.05,
            lora_rank=16,
            lora_alpha=32,
            target_modules=("q_proj", "v_proj", "gate_proj", "up_proj", "down_proj"),
            max_length=256,
            evaluations=3,
        ),
    ),
    "recipe": Preset(
        "Published recipe",
        "Qwen3-1.7B on 2,000 MedMCQA rows, 2 epochs, rank 8 on q_proj and v_proj: made for one MI300X.",
        RunSpec(
            base_model="Qwen/Qwen3-1.7B",
            dataset="medmcqa",
            rows=2000,
            epochs=2,
            lora_dropout=0.05,
            evaluation_questions=200,
        ),
    ),
    "full": Preset(
        "Full MedMCQA",
        "Qwen3-1.7B on all 182,822 MedMCQA rows, one epoch, all linear layers. Needs a GPU.",
        RunSpec(
            base_model="Qwen/Qwen3-1.7B",
            dataset="medmcqa",
            epochs=1,
            batch_size=64,
            lora_rank=16,
            lora_alpha=32,
            target_modules=(ALL_LINEAR,),
            evaluation_questions=500,
            evaluations=10,
        ),
    ),
}


def with_text_settings(spec: RunSpec, assignments: list[str]) -> RunSpec:
    """Apply `field=value` texts. Raises SpecError naming the field and the value."""
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        name = name.strip()
        known = {f.name: f for f in fields(RunSpec)}
        if not equals or name not in known:
            raise SpecError({name: f"“{assignment}” is not FIELD=VALUE with a field among: {', '.join(known)}."})
        try:
            spec = replace(spec, **{name: parsed(name, text.strip())})
        except ValueError as error:
            raise SpecError({name: f"{name} can't be “{text}”: a {known[name].type} is wanted."}) from error
    return spec


def parsed(name: str, text: str) -> object:
    """A field's value from text. Raises ValueError."""
    kind = next(f.type for f in fields(RunSpec) if f.name == name)
    if kind.startswith("tuple"):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if kind.endswith("| None") and text.lower() in ("", "none", "all"):
        return None
    if kind.startswith("int"):
        return int(text.replace(",", ""))
    return float(text) if kind == "float" else text
