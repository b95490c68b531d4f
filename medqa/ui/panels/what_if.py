"""What if …? The question in a box to edit, quick edits, and both answers side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

import gradio as gr

from medqa.errors import UserError
from medqa.probes import Tell
from medqa.probes.edits import CannotEdit, Edited, age, drugs, negation, pregnancy, sex
from medqa.probes.what_if import WhatIf, edited_question, what_if
from medqa.ui import views
from medqa.ui.answering import Asked, Engines
from medqa.ui.panels.panel import Reset, run_on
from medqa.ui.probe_views.what_if import explanations, view
from medqa.ui.telling import told_error

TITLE = "What if …?"
# Text is sent to the page this often: each piece on its own would flood a slow connection.
SECONDS_BETWEEN_UPDATES = 0.1
# Longer than any vignette; reading a text for an edit takes time by its square.
EDITABLE_CHARACTERS = 6000
QUICK_EDITS: tuple[tuple[str, Callable[[str], Edited]], ...] = (
    ("10 years older", partial(age.aged, years=10)),
    ("10 years younger", partial(age.aged, years=-10)),
    ("Other sex", sex.other_sex),
    ("Add “pregnant”", pregnancy.pregnant),
    ("Brand → generic", drugs.to_generic),
    ("Generic → brand", drugs.to_brand),
)


def panel(asked: gr.State, engines: Engines) -> Reset:
    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    with gr.Accordion(TITLE, open=False, elem_id="probe-what-if") as accordion:
        stem = gr.Textbox(label="The question, to edit", lines=4, max_lines=16, elem_id="what-if-stem")
        with gr.Row():
            buttons = [gr.Button(name, size="sm", min_width=130) for name, _ in QUICK_EDITS]
        with gr.Row():
            finding = gr.Dropdown(
                [], label="Finding to put in the negative", allow_custom_value=True, scale=4, min_width=240,
                info="Choose one, or type its words as they stand in the question.", elem_id="what-if-finding",
            )  # fmt: skip
            negate = gr.Button("Negate it", size="sm", scale=1, min_width=110)
        done = gr.HTML(elem_id="what-if-done", elem_classes="mq-message", padding=False)
        options = gr.Textbox(label="The options, one a line", lines=2, max_lines=8, elem_id="what-if-options")
        with gr.Row():
            compare = gr.Button("Compare", variant="primary", elem_id="what-if-compare", min_width=140)
            explain = gr.Button("Compare and explain", elem_id="what-if-explain", min_width=140)
            again = gr.Button("Back to the question as asked", min_width=140)
        found = gr.HTML(elem_classes="mq-message", padding=False)
        written = gr.HTML(elem_classes="mq-message", padding=False)
        cancel = gr.Button("Cancel", size="sm", visible=False)

    def work(shown: Asked, tell: Tell, stem_text: str, option_lines: str) -> str:
        question = shown.answer.question
        edited = edited_question(question, stem_text, option_lines)
        return recorded(shown, what_if(engines.of(shown.answer.base), question, edited, shown.folder, tell=tell))

    def explained(shown: Asked | None, stem_text: str, option_lines: str) -> Iterator[tuple]:
        yield from explanation_pieces(engines, shown, stem_text, option_lines)

    accordion.expand(filled, [asked, stem, options], [stem, options, finding], **quiet)
    again.click(as_asked, asked, [stem, options, finding, done], **quiet)
    for button, (_, edit) in zip(buttons, QUICK_EDITS, strict=True):
        button.click(partial(edited_text, edit), stem, [stem, finding, done], **quiet)
    negate.click(negated_text, [stem, finding], [stem, finding, done], **quiet)
    stem.blur(offered, stem, finding, **quiet)
    comparing = run_on([compare.click], asked, work, found, cancel, [stem, options])
    explaining = explain.click(
        explained, [asked, stem, options], [found, written, cancel], show_progress="hidden", concurrency_limit=4,
        concurrency_id="probe", trigger_mode="always_last", api_visibility="private",
    )  # fmt: skip
    # An explanation of what was compared before must not stand under the new comparison.
    compare.click(lambda: "", None, written, cancels=[explaining], queue=False, **quiet)
    cancel.click(None, cancels=[explaining], api_visibility="private")
    accordion.collapse(None, cancels=[comparing, explaining], api_visibility="private")
    empty = {stem: "", options: "", done: "", found: "", written: ""}
    return {
        accordion: gr.update(open=False),
        cancel: gr.update(visible=False),
        finding: gr.update(choices=[], value=None),
    } | empty


def filled(shown: Asked | None, stem: str, options: str) -> tuple:
    """What stands in the boxes when the panel opens: what was typed before, else the question as asked."""
    if shown is None or stem.strip() or options.strip():
        return stem, options, offered(stem)
    return as_asked(shown)[:3]


def as_asked(shown: Asked | None) -> tuple:
    if shown is None:
        return gr.skip(), gr.skip(), gr.skip(), views.note("Ask a question first.")
    question = shown.answer.question
    return question.stem, "\n".join(question.options), offered(question.stem), ""


def offered(stem: str) -> dict:
    """The choice of findings; what is chosen or typed there stays."""
    return gr.update(choices=negation.findings(stem) if len(stem) <= EDITABLE_CHARACTERS else [])


def edited_text(edit: Callable[[str], Edited], stem: str) -> tuple:
    """(text, choice of findings, what was done); the text stays when it can't be edited."""
    try:
        if len(stem) > EDITABLE_CHARACTERS:
            raise CannotEdit(f"The text has {len(stem):,} characters, more than {EDITABLE_CHARACTERS:,}. Shorten it.")
        edited = edit(stem)
    except CannotEdit as reason:
        return gr.skip(), gr.skip(), views.error(str(reason))
    said = f"{edited.changed} Read the text through before you compare."
    return edited.stem, offered(edited.stem) | {"value": None}, views.note(said)


def negated_text(stem: str, finding: str | None) -> tuple:
    return edited_text(lambda text: negation.negated(text, finding or ""), stem)


def recorded(shown: Asked, result: WhatIf) -> str:
    """What to show of a comparison; the answer's receipt tells the latest one."""
    if result.edited:
        shown.probes[TITLE] = result.sentences
    return view(result)


def explanation_pieces(engines: Engines, shown: Asked | None, stem: str, options: str) -> Iterator[tuple]:
    """(comparison, explanations, Cancel button) as they grow."""
    if shown is None:
        yield views.note("Ask a question first."), "", gr.skip()
        return
    yield views.note("Scoring …"), "", gr.update(visible=True)
    try:
        shown.check_adapter()
        question = shown.answer.question
        engine = engines.of(shown.answer.base)
        result = what_if(engine, question, edited_question(question, stem, options), shown.folder)
        yield recorded(shown, result), "", gr.skip()
        sent = time.monotonic()
        for explanation in engine.explain(result.after, shown.folder) if result.edited else ():
            if explanation.ended or explanation.cut or time.monotonic() - sent > SECONDS_BETWEEN_UPDATES:
                sent = time.monotonic()
                yield gr.skip(), explanations(shown.explanation, explanation, result), gr.skip()
    except UserError as error:
        yield told_error(error, engines.settings), "", gr.skip()
    yield gr.skip(), gr.skip(), gr.update(visible=False)
