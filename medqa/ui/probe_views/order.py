"""The option order probe: how often each option was chosen, what it got on average, and what its place gave it."""

from __future__ import annotations

from html import escape

from medqa.probes.order import Order
from medqa.question import LETTERS, percent_text
from medqa.ui.probe_views import said
from medqa.ui.views import bar


def view(result: Order) -> str:
    rows = "".join(_row(result, i) for i in range(len(result.question.options)))
    places = "" if result.preferred_place is None else _places(result)
    return f'<div class="mq-probe">{said(result.sentences)}{rows}{places}</div>'


def _row(result: Order, i: int) -> str:
    share = result.averaged[i]
    chosen = "chosen" if i == result.steadier_choice else ""
    times = f"chosen in {result.choices.count(i)} of {len(result.orders)} orders"
    text = (
        f'<span class="text">{escape(result.question.named(i))}</span><span class="share">{percent_text(share)}</span>'
    )
    return f'<div class="mq-option {chosen}">{text}{bar(share)}<span class="base-share">{times}</span></div>'


def _places(result: Order) -> str:
    """A column for each place that options moved to, the tallest one full; a dashed line at an even share."""
    shares = {place: result.by_position[place] for place in result.moved}
    told = ", ".join(f"{LETTERS[place]} {percent_text(share)}" for place, share in shares.items())
    columns = "".join(_column(result, place, max(shares.values())) for place in shares)
    return (
        f'<figure class="mq-places" role="img" aria-label="What each place got: {escape(told)}"><figcaption>'
        f"What each place in the list got, whatever stood there (dashed: an even share)</figcaption>{columns}</figure>"
    )


def _column(result: Order, place: int, full: float) -> str:
    share, even = result.by_position[place], result.even_share
    drawn = f'<span class="fill" style="height:{100 * share / full:.0f}%"></span>'
    line = f'<span class="even" style="bottom:{100 * even / full:.0f}%"></span>'
    style = "place preferred" if place == result.preferred_place else "place"
    label = f"{LETTERS[place]}<br>{percent_text(share)}"
    return f'<span class="{style}"><span class="box">{drawn}{line}</span>{label}</span>'
