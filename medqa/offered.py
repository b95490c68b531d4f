"""What the page lets people choose, and visitors of a public one less: no run of one is to block all others.

Knows no page.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from medqa import gpus, uploads
from medqa.datasets import HUB_IDS, NAMES, SHOWN_TO_ALL, handbook
from medqa.settings import EMBEDDED, Settings
from medqa.spec import ALL_LINEAR, PRESETS, RANGES, Preset, RunSpec, SpecError, told, without_folder

BASE_MODELS = (EMBEDDED, "Qwen/Qwen3-0.6B", "Qwen/Qwen3-1.7B", "Qwen/Qwen3-4B")
# For visitors of a public page: what the presets need, and some room to try things.
MOST = {
    "rows": 200_000,
    "epochs": 10,
    "batch_size": 64,
    "lora_rank": 64,
    "max_length": 1024,
    "evaluation_questions": 500,
    "evaluations": 10,
}
# The linear layers of Qwen's kind of model; of another kind, all of them.
LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", ALL_LINEAR)
# Each step is an event that every visitor's page draws.
MOST_STEPS = 10_000
# Of those for which Rows may be empty; the handbook's and an upload's are counted.
ROWS = {"medmcqa": 182_822, "medqa_usmle": 10_178, "medqa_usmle_5": 10_178}
# So many runs of visitors are kept, and so much of them: one of a billion parameters takes up to 2 GB, the embedded
# model's up to 40 MB, and takes seconds to make.
MOST_RUNS_OF_VISITORS = 100
MOST_BYTES_OF_VISITORS = 4 * 10**9
# Two cores train the embedded model on some 30 rows of MedMCQA a second: ten epochs of these take half an hour.
MOST_ROWS_ON_A_CPU = 5_000
LARGE_FOR_A_CPU = ": all visitors share a CPU, which a larger one would keep busy for hours"


def devices(settings: Settings) -> int:
    """How many there can be: the GPUs, or the one CPU."""
    return max(1, 0 if settings.device == "cpu" else gpus.count())


def base_models(settings: Settings) -> list[str]:
    fitting = (EMBEDDED,) if _shares_a_cpu(settings) else BASE_MODELS
    # The host's own choice is on the machine already: the Answer tab loads it.
    return list(dict.fromkeys([settings.base_model, *fitting]))


def located(base_model: str, settings: Settings) -> str:
    """The path of an offered base model that visitors know by its last part; any other name as it is."""
    offered = base_models(settings) if settings.public else []
    if base_model in offered:
        return base_model
    return next((path for path in offered if without_folder(path) == base_model), base_model)


def data_sets(settings: Settings) -> list[str]:
    return list(SHOWN_TO_ALL if settings.public else NAMES)


def presets(settings: Settings) -> dict[str, Preset]:
    return {name: preset for name, preset in PRESETS.items() if not _faults(preset.spec, settings)}


def most(field: str, settings: Settings) -> int | None:
    """The highest value a visitor may give a field; None where the field's own range is the only limit."""
    if not settings.public:
        return None
    return MOST_ROWS_ON_A_CPU if field == "rows" and _shares_a_cpu(settings) else MOST.get(field)


def check(spec: RunSpec, settings: Settings) -> None:
    """Raises SpecError with a sentence for each field that has what is not offered."""
    faults = _faults(spec, settings)
    if faults:
        raise SpecError(faults)


def _faults(spec: RunSpec, settings: Settings) -> dict[str, str]:
    faults = {}
    if spec.devices > devices(settings):
        faults["devices"] = f"{spec.devices} devices are asked for; there can be {devices(settings)} here."
    return faults | dict(_faults_of_visitors(spec, settings)) if settings.public else faults


def _faults_of_visitors(spec: RunSpec, settings: Settings) -> Iterator[tuple[str, str]]:
    if spec.base_model not in base_models(settings):
        yield "base_model", _not_offered(spec, settings)
    # Only what is there: the text of a path could name any folder of the host.
    known = spec.dataset in (*data_sets(settings), *map(str, uploads.kept(settings)))
    if not known:
        named = without_folder(spec.dataset)
        yield "dataset", f"The data set “{named}” is not offered here. Choose one from the list, or upload your own."
    # Any other name would come back in the run's failure, which all visitors read.
    odd = [name for name in spec.target_modules if name not in LAYERS]
    if odd:
        yield "target_modules", f"Target modules can be {', '.join(LAYERS)} on this public page."
    # What it leaves out, a preview lists: which questions others have disputed is for the host to see.
    if spec.disputed_rows != "keep":
        yield (
            "disputed_rows",
            "Rows that others have disputed are left out by whoever runs this MedQA alone. Keep them.",
        )
    for field in MOST:
        limit = most(field, settings)
        value = getattr(spec, field)
        if _has_more_rows(spec, settings) if value is None else value > limit:
            had = f"empty, which asks for all of {spec.dataset}" if value is None else f"{value:,}"
            allowed = f"at most {limit:,} {RANGES[field][2]}".strip()
            yield field, f"{told(field, 'label')} is {had}; on this public page it can be {allowed}."
    if not known:
        return
    steps = spec.steps(min(spec.rows or MOST["rows"], _rows(spec.dataset)))
    if steps > MOST_STEPS:
        yield (
            "batch_size",
            f"These settings make {steps:,} steps; on this public page there can be at most {MOST_STEPS:,}. Raise the "
            "effective batch, or lower the rows or the epochs.",
        )


def _rows(dataset: str) -> int:
    """How many rows to train on a data set has at most."""
    if dataset == "handbook":
        return _handbook_rows()
    return ROWS[dataset] if dataset in ROWS else uploads.most_rows(Path(dataset))


@lru_cache(maxsize=1)
def _handbook_rows() -> int:
    return len(handbook.questions("train"))


def _has_more_rows(spec: RunSpec, settings: Settings) -> bool:
    """Whether all rows of a data set are too many: the handbook's are few, an upload's were counted as it came."""
    return _shares_a_cpu(settings) and spec.dataset in HUB_IDS


def _shares_a_cpu(settings: Settings) -> bool:
    return settings.public and (settings.device == "cpu" or gpus.count() == 0)


def _not_offered(spec: RunSpec, settings: Settings) -> str:
    why = LARGE_FOR_A_CPU if _shares_a_cpu(settings) else ""
    choices = ", ".join(map(without_folder, base_models(settings)))
    return f"The base model “{without_folder(spec.base_model)}” is not offered here{why}. Choose {choices}."
