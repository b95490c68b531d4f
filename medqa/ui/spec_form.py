"""The form of a run's settings: its components from a RunSpec, and a RunSpec from what they hold."""

from __future__ import annotations

from dataclasses import fields, replace

import gradio as gr

from medqa import offered, uploads
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
    without_folder,
)
from medqa.ui import views

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
    common = {"label": told(field, "label"), "info": _info(field, settings)}
    common |= {"elem_id": f"field-{field}", "min_width": 220}
    value = form_value(field, spec)
    # A visitor of a public page picks from the list: a free text could name any folder of the host.
    free = not settings.public
    if field == "base_model":
        known = [
            (without_folder(name), name if free else without_folder(name)) for name in offered.base_models(settings)
        ]
        return gr.Dropdown(known, value=value, allow_custom_value=free, **common)
    if field == "dataset":
        return gr.Dropdown(offered.data_sets(settings), value=value, allow_custom_value=free, **common)
    if field == "schedule":
        return gr.Dropdown(list(SCHEDULES), value=value, **common)
    if field == "precision":
        return gr.Dropdown(list(PRECISIONS), value=value, **common)
    if field == "disputed_rows":
        return gr.Dropdown(list(DISPUTED_ROWS), value=value, visible=not settings.public, **common)
    # One device leaves nothing to choose.
    several = offered.devices(settings) > 1
    if field == "base_weights":
        return gr.Dropdown(list(BASE_WEIGHTS), value=value, visible=several, **common)
    return gr.Textbox(value=value, max_lines=1, visible=several or field != "devices", **common)


def _info(field: str, settings: Settings) -> str:
    if field == "base_model" and settings.public:
        return "One of those offered here."
    most = offered.most(field, settings)
    return told(field, "help") + (f" At most {most:,} here." if most else "")


def form_value(field: str, spec: RunSpec) -> str:
    value = getattr(spec, field)
    if isinstance(value, tuple):
        return ", ".join(value)
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def from_preset(name: str, settings: Settings) -> list:
    preset = PRESETS[name]
    return [views.note(preset.summary), *[form_value(field, preset.spec) for field in FORM]]


def allowed_spec(values: tuple, settings: Settings, name: str = "unnamed") -> RunSpec:
    """The form's values as a spec that can be run here. Raises SpecError naming the fields that are off."""
    spec = spec_of(values, name)
    base_model = offered.located(spec.base_model, settings)
    spec = replace(spec, base_model=base_model, dataset=uploads.located(spec.dataset, settings))
    offered.check(spec, settings)
    return spec


def spec_of(values: tuple, name: str = "unnamed") -> RunSpec:
    """Raises SpecError."""
    chosen, faults = {}, {}
    for field, text in zip(FORM, values, strict=True):
        try:
            chosen[field] = parsed(field, str(text or "").strip())
        except ValueError:
            faults[field] = f"{told(field, 'label')} is “{text}”; a number is wanted."
    if faults:
        raise SpecError(faults)
    return checked(RunSpec(name=name, **chosen))
