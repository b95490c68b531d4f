"""The form of a run's settings: its components from a RunSpec, and a RunSpec from what they hold."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import fields
from pathlib import Path

import gradio as gr

from medqa import datasets, gpus
from medqa.settings import Settings
from medqa.spec import (
    BASE_WEIGHTS,
    DISPUTED_ROWS,
    PRECISIONS,
    PRESETS,
    SCHEDULES,
    RunSpec,
    SpecError,
    checked,
    parsed,
    told,
)
from medqa.ui import views

BASE_MODELS = ("medqa-nano", "Qwen/Qwen3-0.6B", "Qwen/Qwen3-1.7B", "Qwen/Qwen3-4B")
FORM = tuple(field.name for field in fields(RunSpec) if field.name != "name")
PER_ROW = 3


def form(settings: Settings) -> dict[str, gr.components.Component]:
    spec = PRESETS["quick"].spec
    made: dict[str, gr.components.Component] = {}
    for start in range(0, len(FORM), PER_ROW):
        with gr.Row():
            for field in FORM[start : start + PER_ROW]:
                made[field] = _component(field, spec, settings)
    return made


def _component(field: str, spec: RunSpec, settings: Settings) -> gr.components.Component:
    common = {"label": told(field, "label"), "info": told(field, "help"), "elem_id": f"field-{field}", "min_width": 220}
    value = form_value(field, spec)
    # A visitor of a public page picks from the list: a free text could name any folder of the host.
    free = not settings.public
    if field == "base_model":
        known = list(dict.fromkeys([settings.base_model, *BASE_MODELS]))
        return gr.Dropdown(known, value=value, allow_custom_value=free, **common)
    if field == "dataset":
        return gr.Dropdown(_offered(settings), value=value, allow_custom_value=free, **common)
    if field == "schedule":
        return gr.Dropdown(list(SCHEDULES), value=value, **common)
    if field == "precision":
        return gr.Dropdown(list(PRECISIONS), value=value, **common)
    if field == "disputed_rows":
        return gr.Dropdown(list(DISPUTED_ROWS), value=value, **common)
    # One device leaves nothing to choose.
    several = _devices(settings) > 1
    if field == "base_weights":
        return gr.Dropdown(list(BASE_WEIGHTS), value=value, visible=several, **common)
    return gr.Textbox(value=value, max_lines=1, visible=several or field != "devices", **common)


def form_value(field: str, spec: RunSpec) -> str:
    value = getattr(spec, field)
    if isinstance(value, tuple):
        return ", ".join(value)
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def from_preset(name: str, settings: Settings) -> list:
    preset = PRESETS[name]
    return [views.note(preset.summary), *[form_value(field, preset.spec) for field in FORM]]


def spec_of(values: tuple, name: str = "unnamed") -> RunSpec:
    """The form's values as a spec. Raises SpecError naming the fields that are off."""
    chosen, faults = {}, {}
    for field, text in zip(FORM, values, strict=True):
        try:
            chosen[field] = parsed(field, str(text or "").strip())
        except ValueError:
            faults[field] = f"{told(field, 'label')} is “{text}”; a number is wanted."
    if faults:
        raise SpecError(faults)
    return checked(RunSpec(name=name, **chosen))


def check_allowed(spec: RunSpec, settings: Settings) -> None:
    """No more devices than there are; on a public page only listed base models and data sets, or an upload.

    Raises SpecError.
    """
    if spec.devices > _devices(settings):
        raise SpecError({"devices": f"{spec.devices} devices are asked for; there can be {_devices(settings)} here."})
    if not settings.public:
        return
    if spec.base_model not in (settings.base_model, *BASE_MODELS):
        raise SpecError(
            {"base_model": f"The base model “{spec.base_model}” is not offered here. Choose one from the list."}
        )
    if spec.dataset not in _offered(settings) and Path(spec.dataset).parent != _uploads(settings):
        raise SpecError({"dataset": f"The data set “{spec.dataset}” is not offered here. Choose one from the list."})


def keep_upload(path: str, settings: Settings) -> tuple:
    """Keep the file beside the runs, so that a run can be resumed after Gradio has emptied its temporary folder."""
    from medqa.datasets.rows import DatasetError

    source = Path(path)
    if source.stat().st_size > settings.max_upload_megabytes * 2**20:
        return gr.skip(), views.error(
            f"{source.name} is larger than {settings.max_upload_megabytes} MB. Upload fewer rows."
        )
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    folder = _uploads(settings)
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"{digest}{source.suffix.lower()}"
    shutil.copyfile(source, kept)
    try:
        train = datasets.load(str(kept), "train")
        held_out = datasets.load(str(kept), datasets.held_out_split(str(kept)))
    except DatasetError as error:
        return gr.skip(), views.error(str(error))
    choices = gr.update(choices=[*_offered(settings), str(kept)], value=str(kept))
    return choices, views.upload_summary(source.name, train, held_out)


def _devices(settings: Settings) -> int:
    """The GPUs, or the one CPU."""
    return max(1, 0 if settings.device == "cpu" else gpus.count())


def _offered(settings: Settings) -> list[str]:
    # What one visitor has disputed is not shown to the others: a preview would.
    return [name for name in datasets.NAMES if not (settings.public and name == "disputes")]


def _uploads(settings: Settings) -> Path:
    return settings.runs / ".uploads"
