"""What did fine-tuning change? The adapter beside the base model alone or another adapter."""

from __future__ import annotations

import gradio as gr

from medqa import adapters
from medqa.adapters import AdapterError
from medqa.probes import Tell
from medqa.probes.compare import compare, side
from medqa.settings import Settings
from medqa.spec import without_folder
from medqa.ui.answering import Asked, Engines
from medqa.ui.panels.panel import Reset, probe_panel
from medqa.ui.probe_views.compare import view

TITLE = "What did fine-tuning change?"
BASE_ALONE = ""


def panel(asked: gr.State, engines: Engines) -> Reset:
    settings = engines.settings

    def work(shown: Asked, tell: Tell, name: str | None, explanations: bool) -> str:
        name = kept_or_first(shown, settings, name)
        if name is None:
            raise AdapterError("There is no adapter to compare with yet. Make one on the Fine-tune tab.")
        other = None if name == BASE_ALONE else adapters.named(name, settings.runs)
        base = other.base if other else shown.answer.base
        sides = side(engines.of(shown.answer.base), shown.adapter), side(engines.of(base), other)
        result = compare(*sides, shown.answer.question, tell=tell, explanations=explanations)
        shown.probes[TITLE] = result.sentences
        return view(result)

    def refreshed(shown: Asked | None, name: str | None, explanations: bool) -> tuple:
        if shown is None:
            return gr.skip(), gr.skip()
        choices = others(shown, settings)
        return gr.update(choices=choices, value=kept_or_first(shown, settings, name)), gr.skip()

    def controls() -> list:
        return [
            gr.Dropdown([], label="Compare with", elem_id="compare-with"),
            gr.Checkbox(label="Show both explanations", value=False),
        ]

    return probe_panel(TITLE, asked, work, "probe-compare", controls, refreshed)


def others(shown: Asked, settings: Settings) -> list[tuple[str, str]]:
    """(label, value) pairs: the base model alone first, then adapters, newest first; never the one that answered."""
    mine = shown.adapter.name if shown.adapter else BASE_ALONE
    finished = [(adapter.label, adapter.name) for adapter in adapters.found(settings.runs)]
    every = [(f"{without_folder(shown.answer.base)} alone (no adapter)", BASE_ALONE), *finished]
    return [(label, name) for label, name in every if name != mine]


def kept_or_first(shown: Asked, settings: Settings, name: str | None) -> str | None:
    """What is chosen while it can be; None when there is nothing to choose."""
    names = [name for _, name in others(shown, settings)]
    return name if name in names else next(iter(names), None)
