"""Own questions on the form: the file, what can be used of it, and the data set that it becomes."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from gradio.components import Component

from medqa import offered, uploads
from medqa.datasets.rows import DatasetError
from medqa.errors import UserError
from medqa.settings import Settings
from medqa.spec import PRESETS, parsed, told
from medqa.ui import views
from medqa.ui.telling import told_error

NOTHING_HELD_OUT = (
    "None of these questions falls into the fifth that is held out. A run on them trains, but how often it is right is "
    "not measured; a file with more questions has some held out."
)
# A data set may have hundreds of thousands of rows: one is in memory at a time.
READING = {"concurrency_id": "rows", "concurrency_limit": 1, "api_visibility": "private"}


def upload_box(preset: gr.Radio, inputs: dict[str, Component], settings: Settings) -> None:
    """What is told of the file is told no longer than the form's data set is that file."""
    with gr.Group():
        upload = gr.File(
            label="Own questions (CSV, JSON, JSONL)",
            file_types=[".csv", ".json", ".jsonl"],
            type="filepath",
            elem_id="upload",
            height=140,
        )
        told_of_it = gr.HTML(elem_id="uploaded", elem_classes="mq-message", padding=False)
    kept = gr.State(None)

    dataset, base = inputs["dataset"], inputs["cop_base"]
    found = [dataset, told_of_it, kept]
    at_once = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    reading = upload.upload(lambda path, base: keep_upload(path, base, settings), [upload, base], found, **READING)
    again = base.change(
        lambda *values: read_again(*values, settings),
        [upload, base, dataset, kept, told_of_it], found, trigger_mode="always_last", **READING,
    )  # fmt: skip
    upload.clear(
        lambda preset, chosen, kept: removed(preset, chosen, kept, settings),
        [preset, dataset, kept], found, cancels=[reading, again], **at_once,
    )  # fmt: skip
    dataset.change(
        lambda chosen, kept: gr.skip() if chosen == kept else "", [dataset, kept], told_of_it, **at_once
    )  # fmt: skip


def keep_upload(path: str, base: str, settings: Settings) -> tuple:
    """`base`: what the form says of how key numbers count. The page is told the kept file's name, never its folder."""
    own_name = Path(path).name
    try:
        kept = uploads.keep(Path(path), settings, _number_base(base), offered.most("rows", settings))
    except UserError as error:
        return gr.skip(), told_error(error, settings), gr.skip()
    unmeasured = "" if kept.held_out.questions else views.note(NOTHING_HELD_OUT)
    choices = gr.update(choices=[*offered.data_sets(settings), (own_name, kept.name)], value=kept.name)
    return choices, views.upload_summary(own_name, kept.train, kept.held_out) + unmeasured, kept.name


def read_again(path: str | None, base: str, chosen: str, kept: str | None, said: str, settings: Settings) -> tuple:
    """Its key numbers count differently now. Not when another data set has been chosen since, as a preset does."""
    if not path or not said or kept not in (None, chosen):
        return gr.skip(), gr.skip(), gr.skip()
    return keep_upload(path, base, settings)


def removed(preset_name: str, chosen: str, kept: str | None, settings: Settings) -> tuple:
    """Where the file was the form's data set, that is the preset's again."""
    offers = offered.data_sets(settings)
    if chosen == kept:
        return gr.update(choices=offers, value=PRESETS[preset_name].spec.dataset), "", None
    return gr.update(choices=offers), "", None


def _number_base(text: str) -> int | None:
    """Raises DatasetError."""
    try:
        return parsed("cop_base", str(text or "").strip())
    except ValueError as error:
        raise DatasetError(f"{told('cop_base', 'label')} is “{text}”; 0, 1 or nothing is wanted.") from error
