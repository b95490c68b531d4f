"""The what-if probe: both texts with their word difference, and each option's bar before and after."""

from __future__ import annotations

from html import escape

from medqa.probes.what_if import Piece, WhatIf, difference, points
from medqa.question import LETTERS, Explanation, percent_text
from medqa.ui.probe_views import said
from medqa.ui.views import bar, note


def view(result: WhatIf) -> str:
    if not result.edited:
        return f'<div class="mq-probe">{said(result.sentences)}</div>'
    verdict, *rest = result.sentences
    sign = "⇄" if result.changed else "="
    before, after = result.before.question, result.after.question
    pieces = difference(before.stem, after.stem)
    rows = "".join(_row(result, i) for i in range(len(before.options)))
    return (
        f'<div class="mq-probe">'
        f'<p class="mq-whatif-verdict"><span aria-hidden="true">{sign}</span> {escape(verdict)}</p>'
        f'<div class="mq-pair">{_text("As asked", pieces, "added")}{_text("Edited", pieces, "removed")}</div>'
        f"{rows}{said(rest)}</div>"
    )


def explanations(before: Explanation, after: Explanation, result: WhatIf) -> str:
    """Side by side; the one of the edited question may still be growing."""
    growing = not (after.ended or after.cut)
    columns = "".join(
        f"<section><h5>{escape(f'{title}: {LETTERS[answer.index]}')}</h5>"
        f'<div class="mq-explanation">{escape(explanation.text)}</div>{_end(explanation)}</section>'
        for title, answer, explanation in (
            ("Explanation as asked", result.before, before),
            ("Explanation of the edited question", result.after, after),
        )
    )
    return f'<div class="mq-pair" aria-live="polite" aria-busy="{str(growing).lower()}">{columns}</div>' + note(
        "Each is written by the model after its own answer. Fluent text is no evidence: check it."
    )


def _end(explanation: Explanation) -> str:
    if explanation.cut:
        return note("Cut at the length limit.")
    return note("The model wrote no explanation.") if explanation.ended and not explanation.text else ""


def _text(title: str, pieces: tuple[Piece, ...], without: str) -> str:
    shown = "".join(_piece(piece) for piece in pieces if piece.kind != without)
    return f"<section><h5>{title}</h5><p>{shown}</p></section>"


def _piece(piece: Piece) -> str:
    text = escape(piece.text.rstrip())
    space = " " if text != escape(piece.text) else ""
    if piece.kind == "kept":
        return text + space
    tag = "del" if piece.kind == "removed" else "ins"
    heard, ends = (f'<span class="mq-unseen">{words}</span>' for words in (f"{piece.kind}: ", f", end of {piece.kind}"))
    return f"<{tag}>{heard}{text}{ends}</{tag}>{space}"


def _row(result: WhatIf, i: int) -> str:
    before, after = result.before, result.after
    pieces = difference(before.question.options[i], after.question.options[i])
    label = f"{LETTERS[i]}) " + "".join(map(_piece, pieces))
    chosen = "chosen" if i == after.index else ""
    lines = _line("as asked", before.probabilities[i], i == before.index, "base")
    lines += _line("edited", after.probabilities[i], i == after.index, "", result.moves[i])
    return f'<div class="mq-option mq-whatif {chosen}"><span class="text">{label}</span>{lines}</div>'


def _line(name: str, share: float, chosen: bool, style: str, move: float | None = None) -> str:
    mark = " · chosen" if chosen else ""
    moved = "" if move is None or abs(move) < 0.005 else f" ({'▲' if move > 0 else '▼'} {points(move)})"
    return f'<span class="base-share">{name} {percent_text(share)}{moved}{mark}</span>{bar(share, style)}'
