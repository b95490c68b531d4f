"""Does the explanation carry it?"""

from __future__ import annotations

import gradio as gr

from medqa.probes import Tell
from medqa.probes.explanation import explanation
from medqa.ui.answering import Asked, Engines
from medqa.ui.panels.panel import Reset, probe_panel
from medqa.ui.probe_views.explanation import view

TITLE = "Does the explanation carry it?"


def panel(asked: gr.State, engines: Engines) -> Reset:
    def work(shown: Asked, tell: Tell) -> str:
        engine, answer = engines.of(shown.answer.base), shown.answer
        result = explanation(
            engine, answer.question, shown.folder, tell=tell, answer=answer, written=shown.explanation.text
        )
        shown.probes[TITLE] = result.sentences
        return view(result)

    return probe_panel(TITLE, asked, work, "probe-explanation")
