"""Why not another option?"""

from __future__ import annotations

import gradio as gr

from medqa.probes import Tell
from medqa.probes.why_not import defences, why_not
from medqa.question import Explanation
from medqa.ui.answering import Asked, Engines
from medqa.ui.panels.afresh import afresh_panel
from medqa.ui.panels.findings import scored
from medqa.ui.panels.panel import Reset
from medqa.ui.panels.recent import Recent
from medqa.ui.probe_views.why_not import view

TITLE = "Why not …?"
_defended: Recent[tuple[Explanation, ...]] = Recent()


def panel(asked: gr.State, engines: Engines) -> Reset:
    def work(shown: Asked, tell: Tell, option: int | None = None, defend: bool = False) -> str:
        engine, answer = engines.of(shown.answer.base), shown.answer
        result = scored(shown, engines, tell)
        defended = ()
        if defend:
            defended = _defended.of(
                answer, lambda: defences(engine, answer, shown.folder, tell=tell, own=shown.explanation)
            )
        against = why_not(engine, answer.question, shown.folder, option, scored=result, defended=defended)
        shown.probes[TITLE] = against.sentences
        return view(against)

    def controls() -> list:
        label = "Make the model defend each option, and show what it writes"
        return [
            gr.Radio(label="Another option", elem_id="why-not-option"),
            gr.Checkbox(label=label, elem_id="why-not-defend"),
        ]

    return afresh_panel(TITLE, asked, work, "probe-why-not", controls, others)


def others(shown: Asked | None) -> list:
    """The options that were not chosen, at first the runner-up; and no defences yet."""
    if shown is None:
        return [gr.skip(), gr.skip()]
    answer = shown.answer
    left = [i for i in range(len(answer.question.options)) if i != answer.index]
    runner_up = max(left, key=answer.log_probabilities.__getitem__)
    return [gr.update(choices=[(answer.question.named(i), i) for i in left], value=runner_up), False]
