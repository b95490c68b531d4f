"""Two answers to one question: both bars for each option, and both explanations."""

from __future__ import annotations

from html import escape

from medqa.probes.compare import Compare
from medqa.question import Answer, Explanation, percent_text
from medqa.ui.probe_views import said
from medqa.ui.views import bar, note

STYLES = ("", "base")


def view(result: Compare) -> str:
    rows = "".join(_option(result, i) for i in range(len(result.question.options)))
    texts = "".join(map(_explanation, result.names, result.answers, result.explanations))
    explained = note("Fluent text is no evidence: check it.") + f'<div class="mq-two">{texts}</div>' if texts else ""
    return f'<div class="mq-probe">{said(result.sentences)}{rows}{explained}</div>'


def _option(result: Compare, i: int) -> str:
    key = " ✓ key" if result.question.answer == i else ""
    sides = "".join(
        _side(name, answer, i, style) for name, answer, style in zip(result.names, result.answers, STYLES, strict=True)
    )
    text = f'<span class="text">{escape(result.question.named(i))}{key}</span>'
    return f'<div class="mq-option mq-sides">{text}{sides}</div>'


def _side(name: str, answer: Answer, i: int, style: str) -> str:
    share = answer.probabilities[i]
    who = f"<strong>{escape(name)}, its choice</strong>" if answer.index == i else escape(name)
    return f'<span class="side">{who}</span><span class="share">{percent_text(share)}</span>{bar(share, style)}'


def _explanation(name: str, answer: Answer, explanation: Explanation) -> str:
    text = escape(explanation.text) or "Nothing."
    cut = note("Cut at the length limit.") if explanation.cut else ""
    head = note(f"{name} explains {answer.question.named(answer.index)}:")
    return f'<section>{head}<div class="mq-explanation">{text}</div>{cut}</section>'
