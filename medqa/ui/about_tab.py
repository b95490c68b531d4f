"""The About tab: what the embedded model and the handbook are, where they come from, what they can't do."""

from __future__ import annotations

import gradio as gr

from medqa.settings import ASSETS, EMBEDDED
from medqa.ui import views

ABOUT_THE_APP = f"""
MedQA fine-tunes a small language model on exam questions while you watch, and lets you see what it then answers and
how it explains. **{views.NOT_ADVICE}**

Other base models (such as Qwen3-1.7B) and data sets (MedMCQA, MedQA-USMLE) can be chosen on the Fine-tune tab. Every
answer names the model and the adapter that gave it, and how often that adapter was right on held-out questions. What
follows is the model card of the embedded model.
"""


def about_tab() -> None:
    gr.Markdown(ABOUT_THE_APP)
    gr.Markdown(model_card(), elem_id="about")


def model_card() -> str:
    """The embedded model's own card, without the front matter that the Hub reads."""
    text = (ASSETS / EMBEDDED / "README.md").read_text(encoding="utf-8")
    return text.split("---\n", 2)[2].strip()
