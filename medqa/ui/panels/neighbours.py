"""Where did it learn this?"""

from __future__ import annotations

import gradio as gr

from medqa.datasets import SHOWN_TO_ALL
from medqa.probes import Tell
from medqa.probes.neighbours import neighbours
from medqa.ui.answering import Asked, Engines
from medqa.ui.panels.panel import Reset, probe_panel
from medqa.ui.probe_views.neighbours import view
from medqa.ui.views import note

TITLE = "Where did it learn this?"


def panel(asked: gr.State, engines: Engines) -> Reset:
    def work(shown: Asked, tell: Tell) -> str:
        if engines.settings.public and shown.adapter and shown.adapter.dataset not in SHOWN_TO_ALL:
            return note("A public page does not show the training rows of somebody's own or disputed questions.")
        result = neighbours(shown.answer.question, shown.folder)
        shown.probes[TITLE] = result.sentences
        return view(result)

    return probe_panel(TITLE, asked, work, "probe-neighbours")
