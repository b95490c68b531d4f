"""The findings probe: the stem with each finding's influence on the score, and the bars with some switched off."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape

from medqa.probes.cutting import ASKED, Cut
from medqa.probes.findings import SLIGHT, Findings, by_size, signed
from medqa.question import LETTERS, Answer, percent_text
from medqa.ui.probe_views import said
from medqa.ui.views import bar, note

LISTED_AT_FIRST = 6


def view(result: Findings, off: Collection[int] = (), now: Answer | None = None) -> str:
    """`now`: the answer with the findings `off` switched off."""
    if not result.left_out:
        return f'<div class="mq-probe">{said(result.sentences)}</div>'
    chosen, runner_up = LETTERS[result.chosen], LETTERS[result.runner_up]
    text = marked_text(result.cut, result.influences, f"towards {chosen}", f"away from {chosen}", off)
    ranks = ranked(result.cut, result.influences, f"towards {chosen}", f"away from {chosen}", _without_each(result))
    heading = f"Influence on the score: log-odds of {chosen} against {runner_up}"
    return (
        f'<div class="mq-probe">{said(result.sentences[:3])}{text}{_bars(result.whole, off, now)}'
        f"<h4>{heading}</h4>{ranks}{said(result.sentences[3:])}</div>"
    )


def marked_text(cut: Cut, influences: Sequence[float], towards: str, away: str, off: Collection[int] = ()) -> str:
    """Each finding underlined: solid or dashed by direction, thick or thin by size, and numbered by rank."""
    ranks = {finding: rank for rank, finding in enumerate(by_size(influences), 1)}
    most = max(map(abs, influences))
    pieces = []
    for piece, number in cut.numbered():
        text = escape(piece.text)
        if number is None:
            text = f'<span class="asked">{text}</span>' if piece.kind == ASKED else text
        elif number in off:
            text = f'<del title="switched off">{text}</del>'
        elif number in ranks:
            moved = influences[number]
            way, style = (towards, "for") if moved > 0 else (away, "against")
            size = 1 + (abs(moved) > most / 3) + (abs(moved) > 2 * most / 3)
            title = escape(f"rank {ranks[number]}: {signed(moved)}, {way}", quote=True)
            rank = f'<sup aria-hidden="true">{ranks[number]}</sup><span class="mq-unseen"> ({title})</span>'
            text = f'<mark class="{style} size-{size}" title="{title}">{text}{rank}</mark>'
        pieces.append(text + escape(piece.after))
    key = (
        f'<p class="mq-note mq-finding-key"><mark class="for size-2">solid line</mark> pulls {escape(towards)}, '
        f'<mark class="against size-2">dashed line</mark> {escape(away)}; the thicker, the more. No line: hardly any '
        "influence. Small numbers are ranks; point at a finding for its own.</p>"
    )
    return f'<p class="mq-marked">{escape(cut.before)}{"".join(pieces)}</p>{key}'


def ranked(cut: Cut, influences: Sequence[float], towards: str, away: str, remarks: Sequence[str] | None = None) -> str:
    """The findings by the size of their influence; those that hardly have any are counted."""
    rows = []
    for i in by_size(influences):
        way = towards if influences[i] > 0 else away
        remark = f" {escape(remarks[i])}" if remarks and remarks[i] else ""
        number = f'<span class="number">{signed(influences[i])}</span>'
        rows.append(f"<li>{number} {escape(way)}: {escape(cut.findings[i])}{remark}</li>")
    first = f'<ol class="mq-ranks">{"".join(rows[:LISTED_AT_FIRST])}</ol>' if rows else ""
    more = len(rows) - LISTED_AT_FIRST
    if more > 0:
        later = f'<ol class="mq-ranks" start="{LISTED_AT_FIRST + 1}">{"".join(rows[LISTED_AT_FIRST:])}</ol>'
        first += f"<details><summary>{more} more</summary>{later}</details>"
    slight = len(influences) - len(rows)
    return first + (note(f"Hardly any influence (below {SLIGHT}): {slight} of {len(influences)}.") if slight else "")


def _without_each(result: Findings) -> list[str]:
    changed = set(result.deciding)
    return [
        f"(without it, {LETTERS[answer.index]} is chosen)" if i in changed else ""
        for i, answer in enumerate(result.left_out)
    ]


def _bars(whole: Answer, off: Collection[int], now: Answer | None) -> str:
    shown = now or whole
    rows = "".join(_row(whole, now, shown, i) for i in range(len(whole.question.options)))
    if now is None:
        return note("All findings on. Switch some off above to see the bars move.") + rows
    same = "still chosen" if now.index == whole.index else f"chosen instead of {LETTERS[whole.index]}"
    count = f"{len(off)} finding{'s' if len(off) > 1 else ''}"
    return f'<p role="status">Without {count}, {escape(whole.question.named(now.index))} is {same}.</p>{rows}'


def _row(whole: Answer, now: Answer | None, shown: Answer, i: int) -> str:
    share, before = shown.probabilities[i], whole.probabilities[i]
    label = escape(whole.question.named(i))
    text = f'<span class="text">{label}</span><span class="share">{percent_text(share)}</span>'
    under = f'{bar(before, "base")}<span class="base-share">as asked {percent_text(before)}</span>' if now else ""
    return f'<div class="mq-option {"chosen" if i == shown.index else ""}">{text}{bar(share)}{under}</div>'
