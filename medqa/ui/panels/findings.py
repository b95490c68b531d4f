"""What did it hang on?"""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr

from medqa.probes import Tell, unheard
from medqa.probes.cutting import cut
from medqa.probes.findings import Findings, findings, without
from medqa.probes.scoring import answers
from medqa.ui.answering import Asked, Engines
from medqa.ui.panels.afresh import afresh_panel
from medqa.ui.panels.panel import Reset
from medqa.ui.panels.recent import Recent
from medqa.ui.probe_views.findings import view

TITLE = "What did it hang on?"
LABEL_CHARACTERS = 70
_scored: Recent[Findings] = Recent()


def panel(asked: gr.State, engines: Engines) -> Reset:
    def work(shown: Asked, tell: Tell, off: Sequence[int] = ()) -> str:
        result = scored(shown, engines, tell)
        shown.probes[TITLE] = result.sentences
        if not off:
            return view(result)
        engine = engines.of(shown.answer.base)
        [now] = answers(engine, [without(shown.answer.question, off)], shown.folder, unheard)
        return view(result, off, now)

    def controls() -> list[gr.CheckboxGroup]:
        with gr.Accordion("Switch findings off by hand", open=False, elem_id="findings-switches"):
            return [gr.CheckboxGroup(label="Leave out", elem_id="findings-off")]

    return afresh_panel(TITLE, asked, work, "probe-findings", controls, switches)


def scored(shown: Asked, engines: Engines, tell: Tell) -> Findings:
    """Once for each answer."""
    answer = shown.answer
    return _scored.of(
        answer, lambda: findings(engines.of(answer.base), answer.question, shown.folder, tell=tell, answer=answer)
    )


def switches(shown: Asked | None) -> list:
    texts = cut(shown.answer.question.stem).findings if shown else ()
    return [gr.update(choices=[(_label(text), i) for i, text in enumerate(texts)], value=[])]


def _label(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LABEL_CHARACTERS else f"{text[: LABEL_CHARACTERS - 2]} …"
