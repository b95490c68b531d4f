"""The why-not probe: how far behind an option lies, which findings pull towards it, and its defence on demand."""

from __future__ import annotations

from html import escape

from medqa.probes.why_not import WhyNot
from medqa.question import LETTERS
from medqa.ui.probe_views import said
from medqa.ui.probe_views.findings import marked_text, ranked
from medqa.ui.views import note


def view(result: WhyNot) -> str:
    return f'<div class="mq-probe">{said(result.sentences)}{_pulls(result)}{_defence(result)}</div>'


def _pulls(result: WhyNot) -> str:
    if not result.pulls:
        return ""
    option, chosen = LETTERS[result.option], LETTERS[result.findings.chosen]
    cut, ways = result.findings.cut, (f"towards {option}", f"towards {chosen}")
    heading = f"<h4>Influence on the score: log-odds of {option} against {chosen}</h4>"
    return marked_text(cut, result.pulls, *ways) + heading + ranked(cut, result.pulls, *ways)


def _defence(result: WhyNot) -> str:
    if not result.defences:
        return ""
    defence, option = result.defences[result.option], result.question.named(result.option)
    label = (
        "Written on demand: the model was made to defend this option, which it did not choose. It is no answer, and "
        "fluent text is no evidence."
    )
    text = f'<div class="mq-explanation">{escape(defence.text)}</div>' if defence.text else note("It wrote nothing.")
    cut = note("The text was cut at the length limit.") if defence.cut else ""
    return f"<h4>{escape(f'If made to defend {option}')}</h4>{note(label)}{text}{cut}"
