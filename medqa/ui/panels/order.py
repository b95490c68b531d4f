"""Would it hold if the options moved?"""

from __future__ import annotations

import gradio as gr

from medqa.probes import Tell
from medqa.probes.order import order
from medqa.ui.answering import Asked, Engines
from medqa.ui.panels.panel import Reset, probe_panel
from medqa.ui.probe_views.order import view

TITLE = "Would it hold if the options moved?"


def panel(asked: gr.State, engines: Engines) -> Reset:
    def work(shown: Asked, tell: Tell, many: bool) -> str:
        engine, answer = engines.of(shown.answer.base), shown.answer
        result = order(engine, answer.question, shown.folder, tell=tell, many=many, answer=answer)
        shown.probes[TITLE] = result.sentences
        return view(result)

    return probe_panel(
        TITLE, asked, work, "probe-order", lambda: [gr.Checkbox(label="Try up to 24 orders", value=False)]
    )
