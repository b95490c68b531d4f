"""The option order probe: how often each option was chosen and what it got on average."""

from __future__ import annotations

from html import escape

from medqa.probes.order import Order
from medqa.question import LETTERS
from medqa.ui.probe_views import said
from medqa.ui.views import bar, percent_text


def view(result: Order) -> str:
    rows = "".join(_row(result, i) for i in range(len(result.question.options)))
    return f'<div class="mq-probe">{said(result.sentences)}{rows}</div>'


def _row(result: Order, i: int) -> str:
    share = result.averaged[i]
    chosen = "chosen" if i == result.steadier_choice else ""
    times = f"chosen in {result.choices.count(i)} of {len(result.orders)} orders"
    label = f"{LETTERS[i]}) {result.question.options[i]}"
    text = f'<span class="text">{escape(label)}</span><span class="share">{percent_text(share)}</span>'
    return f'<div class="mq-option {chosen}">{text}{bar(share)}<span class="base-share">{times}</span></div>'
