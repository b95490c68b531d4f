"""A probe's panel whose controls belong to one question: findings to switch off, options to ask about."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import gradio as gr
from gradio.blocks import Block

from medqa.ui.answering import Asked
from medqa.ui.panels.panel import Reset, Work, run_on


def afresh_panel(
    title: str,
    asked: gr.State,
    work: Work,
    elem_id: str,
    controls: Callable[[], Sequence[Block]],
    first: Callable[[Asked | None], Sequence[object]],
) -> Reset:
    """Like `probe_panel`, but each opening begins anew: `first(asked)` is an update for each control, and
    `work(asked, tell)` runs without their values until one is changed by hand.

    What the page holds for a closed panel may be of the question before, and then no choice of this one.
    """
    with gr.Accordion(title, open=False, elem_id=elem_id) as accordion:
        inputs = controls()
        found = gr.HTML(elem_classes="mq-message", padding=False)
        cancel = gr.Button("Cancel", size="sm", visible=False)

    def begun(shown: Asked | None) -> dict[Block, object]:
        return dict(zip(inputs, first(shown), strict=True))

    accordion.expand(begun, asked, inputs, show_progress="hidden", queue=False, api_visibility="private")
    opened = run_on([accordion.expand], asked, work, found, cancel, [])
    changed = run_on([control.input for control in inputs], asked, work, found, cancel, inputs)
    gr.on([control.input for control in inputs], None, cancels=opened, api_visibility="private")
    accordion.collapse(None, cancels=[opened, changed], api_visibility="private")
    return {accordion: gr.update(open=False), found: "", cancel: gr.update(visible=False)}
