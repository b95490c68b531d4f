"""Do you agree? A clinician's mark on an answer, kept with its receipt."""

from __future__ import annotations

from functools import partial

import gradio as gr

from medqa import disputes
from medqa.disputes import MOST_CHARACTERS, VERDICTS, Dispute
from medqa.errors import UserError
from medqa.question import LETTERS
from medqa.ui import views
from medqa.ui.answering import Asked, Engines
from medqa.ui.downloads import file_of
from medqa.ui.panels.panel import Reset
from medqa.ui.panels.receipt import receipt_of

NOT_SAID = "not said"
SAYS = "A mark is kept on this server with the question, the answer and its explanation. Write nothing about patients."


def panel(asked: gr.State, engines: Engines) -> Reset:
    """Builds nothing where the host wants no marks."""
    settings = engines.settings
    if not settings.disputes:
        return {}
    with gr.Accordion("Do you agree?", open=False, elem_id="dispute") as accordion:
        gr.HTML(views.note(SAYS), padding=False)
        verdict = gr.Radio([(label, name) for name, label in VERDICTS.items()], label="Your mark", elem_id="verdict")
        right = gr.Dropdown([NOT_SAID], value=NOT_SAID, label="The option you hold right", elem_id="held-right")
        words = gr.Textbox(
            label="In your own words (optional)", lines=2, max_lines=8, max_length=MOST_CHARACTERS, elem_id="words"
        )
        keep = gr.Button("Keep this mark", elem_id="keep-mark")
        said = gr.HTML(elem_id="mark-said", elem_classes="mq-message", padding=False)
        # On a public page what visitors wrote stays with the host, who has the command line.
        if not settings.public:
            export = gr.Button("Export all marks (JSONL)", size="sm", elem_id="export-marks")
            exported = gr.DownloadButton("Exported marks", visible="hidden", elem_id="exported-marks")
    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    accordion.expand(choices, asked, right, queue=False, **quiet)
    keep.click(partial(kept, engines), [asked, verdict, right, words], [said, verdict, right, words], **quiet)
    if not settings.public:
        export.click(partial(export_file, engines), None, [said, exported], **quiet).success(
            None, js="() => document.querySelector('#exported-marks').click()"
        )
    return {accordion: gr.update(open=False), verdict: None, right: NOT_SAID, words: "", said: ""}


def choices(shown: Asked | None) -> dict:
    options = shown.answer.question.options if shown else ()
    listed = [(f"{letter}) {option}", letter) for letter, option in zip(LETTERS, options, strict=False)]
    return gr.update(choices=[NOT_SAID, *listed])


def kept(engines: Engines, shown: Asked | None, verdict: str | None, right: str, words: str | None) -> tuple:
    """What the page says, and the form: emptied once the mark is kept."""
    if shown is None:
        return views.error("There is no answer to mark. Ask a question first."), *[gr.skip()] * 3
    if verdict is None:
        return views.error("Choose a mark first."), *[gr.skip()] * 3
    held = None if right == NOT_SAID else LETTERS.index(right)
    try:
        made = receipt_of(shown, engines)
        disputes.keep(Dispute(made, verdict, held, (words or "").strip()), engines.settings.runs)
    except UserError as error:
        return views.error(str(error)), *[gr.skip()] * 3
    return views.note(f"Kept: {VERDICTS[verdict]}. Thank you."), None, NOT_SAID, ""


def export_file(engines: Engines) -> tuple:
    text = disputes.as_jsonl(engines.settings.runs)
    if not text:
        return views.note("Nobody has marked an answer yet."), gr.skip()
    return "", file_of(text, "medqa-disputes", ".jsonl")
