"""The explanation probe: the answer's probability with each text read first, and the texts themselves."""

from __future__ import annotations

from html import escape

from medqa.probes.explanation import Carried, Reading
from medqa.question import LETTERS, percent_text
from medqa.ui.probe_views import said
from medqa.ui.views import bar, caution, note


def view(result: Carried) -> str:
    """Warnings keep their place among the sentences."""
    told = "".join(caution(s) if s in result.warnings else said([s]) for s in result.sentences)
    if not result.whole.text:
        return f'<div class="mq-probe">{told}</div>'
    letter, other = LETTERS[result.shown], result.question.named(result.other)
    readings = (
        ("Without an explanation", result.without),
        ("With the explanation", result.whole),
        ("With its first half", result.half),
        (f"With an explanation of {other}", result.defence),
    )
    rows = "".join(_row(result, name, reading) for name, reading in readings)
    head = note(f"The probability of {result.question.named(result.shown)}, the answer shown:")
    texts = "".join(_text(name, reading) for name, reading in readings[1:])
    read = f'<details class="mq-texts"><summary>The texts read before answering</summary>{texts}</details>'
    return f'<div class="mq-probe">{told}{head}<div role="group" aria-label="Option {letter}">{rows}</div>{read}</div>'


def _row(result: Carried, name: str, reading: Reading) -> str:
    share = reading.probabilities[result.shown]
    chosen = f"chooses {result.question.named(reading.choice)}"
    kept = reading.choice == result.shown
    if not kept:
        chosen += f", {percent_text(reading.probabilities[reading.choice])}: another option"
    text = f'<span class="text">{escape(name)}</span><span class="share">{percent_text(share)}</span>'
    under = f'<span class="base-share">{escape(chosen)}</span>'
    return f'<div class="mq-option {"chosen" if kept else ""}">{text}{bar(share)}{under}</div>'


def _text(name: str, reading: Reading) -> str:
    return f'{note(name + ":")}<div class="mq-explanation">{escape(reading.text) or "Nothing."}</div>'
