"""Keep this answer: its receipt as JSON and as a page of its own. And, always there, the check of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import gradio as gr

from medqa.errors import UserError
from medqa.receipt import Receipt, made_by, read
from medqa.reproduce import adapter_here, base_here, reproduce
from medqa.ui import receipt_view, views
from medqa.ui.answering import Asked, Engines
from medqa.ui.downloads import file_of
from medqa.ui.panels.panel import Reset
from medqa.ui.telling import told_error

SAYS = (
    "A receipt holds the question, the probabilities, the explanation, the doubts that stand on the card, the probes "
    "you have run, and what answered: base model, adapter, versions and device. Whoever has the same adapter can "
    "answer it again."
)


def panel(asked: gr.State, engines: Engines) -> Reset:
    with gr.Accordion("Keep this answer", open=False, elem_id="keep") as accordion:
        gr.HTML(views.note(SAYS), padding=False)
        with gr.Row(equal_height=True):
            as_json = gr.Button("Save receipt (JSON)", size="sm", elem_id="save-json")
            as_html = gr.Button("Save receipt (HTML)", size="sm", elem_id="save-html")
        said = gr.HTML(elem_id="keep-said", elem_classes="mq-message", padding=False)
        saved = gr.DownloadButton("Saved receipt", visible="hidden", elem_id="saved-receipt")
    # Made when asked for: probes run meanwhile belong to it; a download button offers what it already has.
    for button, suffix in ((as_json, ".json"), (as_html, ".html")):
        button.click(
            partial(save, engines, suffix), asked, [said, saved], show_progress="hidden", api_visibility="private"
        ).success(None, js="() => document.querySelector('#saved-receipt').click()")
    return {accordion: gr.update(open=False), said: ""}


def check_panel(engines: Engines) -> None:
    """Of any answer's receipt, so it does not wait for an answer of this page."""
    with gr.Accordion("Check a receipt", open=False, elem_id="check"):
        upload = gr.File(label="A receipt saved as JSON", file_types=[".json"], type="filepath", height=120)
        found = gr.HTML(elem_id="checked", elem_classes="mq-message", padding=False)
    upload.upload(
        partial(check, engines), upload, found, show_progress="hidden", concurrency_limit=4, concurrency_id="probe",
        api_visibility="private",
    )  # fmt: skip
    upload.clear(lambda: "", None, found, queue=False, api_visibility="private")


def save(engines: Engines, suffix: str, shown: Asked | None) -> tuple:
    """What the page says, and the file."""
    if shown is None:
        return views.error("There is no answer to keep. Ask a question first."), gr.skip()
    try:
        made = receipt_of(shown, engines)
    except UserError as error:
        return told_error(error, engines.settings), gr.skip()
    write: Callable[[Receipt], str] = Receipt.as_text if suffix == ".json" else receipt_view.page
    return "", file_of(write(made), "medqa-receipt", suffix)


def receipt_of(shown: Asked, engines: Engines) -> Receipt:
    """Raises AdapterError when the adapter is no longer the one that gave the answer, and ModelError."""
    shown.check_adapter()
    made = made_by(engines.of(shown.answer.base), shown.adapter)
    date = shown.when.isoformat(timespec="seconds")
    answer = shown.answer
    return Receipt(
        answer.question, answer.log_probabilities, shown.explanation, made, date, dict(shown.probes), shown.said
    )


def check(engines: Engines, file: str) -> Iterator[str]:
    yield views.note("Answering again …")
    try:
        receipt = read(Path(file))
        adapter = adapter_here(receipt, engines.settings)
        engine = engines.of(base_here(receipt, adapter, engines.settings))
        yield receipt_view.checked(reproduce(receipt, engine, adapter))
    except UserError as error:
        yield told_error(error, engines.settings)
