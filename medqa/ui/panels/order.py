"""Would it hold if the options moved?"""

from __future__ import annotations

import gradio as gr

from medqa.probes import Tell
from medqa.probes.order import order
from medqa.ui.answering import Asked, Engines
from medqa.ui.panels.panel import Reset, probe_panel
from medqa.ui.probe_views.order import view


def panel(asked: gr.State, engines: Engines) -> Reset:
    def work(shown: Asked, tell: Tell, many: bool) -> str:
        engine = engines.of(shown.answer.base)
        return view(order(engine, shown.answer.question, shown.folder, tell=tell, many=many))

    return probe_panel(
        "Would it hold if the options moved?", asked, work, "probe-order",
        lambda: [gr.Checkbox(label="Try up to 24 orders", value=False)],
    )  # fmt: skip
