"""The row of probes under the answer card: hidden until there is an answer, closed and emptied for the next one."""

from __future__ import annotations

import gradio as gr

from medqa.ui.answering import Engines
from medqa.ui.panels import compare, dispute, explanation, findings, neighbours, order, receipt, what_if, why_not
from medqa.ui.panels.panel import Reset

PANELS = (
    order.panel,
    findings.panel,
    what_if.panel,
    why_not.panel,
    explanation.panel,
    neighbours.panel,
    compare.panel,
    receipt.panel,
    dispute.panel,
)


def probe_row(asked: gr.State, engines: Engines) -> tuple[gr.Column, Reset]:
    """Builds the row. Returns it, and what to put back before the next answer."""
    reset: Reset = {}
    with gr.Column(visible=False, elem_id="probes") as row:
        gr.Markdown("#### Test this answer")
        for panel in PANELS:
            reset |= panel(asked, engines)
    receipt.check_panel(engines)
    return row, {row: gr.update(visible=False)} | reset
