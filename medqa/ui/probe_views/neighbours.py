"""The neighbours probe: the nearest training rows, folded to their first lines, with the words they share marked."""

from __future__ import annotations

from collections.abc import Set
from html import escape

from medqa.probes.neighbours import Neighbour, Neighbours
from medqa.question import Question, percent_text
from medqa.ui.probe_views import said
from medqa.ui.views import caution, note
from medqa.words import placed

# The rarest shared words are named; all of them are marked in the text.
MOST_NAMED = 8


def view(result: Neighbours) -> str:
    warning = caution(result.warning) if result.warning else ""
    others = [sentence for sentence in result.sentences if sentence != result.warning]
    if not result.found:
        return f'<div class="mq-probe">{said(others)}</div>'
    legend = note("Underlined: words a row shares with the question, without those that very many rows have.")
    items = "".join(f"<li>{_row(neighbour, neighbour in result.repeats)}</li>" for neighbour in result.found)
    return f'<div class="mq-probe">{warning}{said(others)}{legend}<ol class="mq-neighbours">{items}</ol></div>'


def _row(neighbour: Neighbour, repeat: bool) -> str:
    row, shared = neighbour.row, set(neighbour.shared)
    key = "no key" if row.answer is None else f"Key: {row.named(row.answer)}"
    mark = f"<strong>⚠ {'the same words' if neighbour.same == 1 else 'nearly this question'}</strong>" if repeat else ""
    stem = f'<span class="stem">{_marked(row.stem, shared)}</span>'
    first = f'<summary>{mark}{stem}<span class="key">{escape(key)}</span></summary>'
    return f"<details>{first}{_options(row, shared)}{_explanation(row)}{_measures(neighbour)}</details>"


def _options(row: Question, shared: Set[str]) -> str:
    return "".join(
        f'<p class="option">{_marked(row.named(i), shared)}{" ✓ key" if i == row.answer else ""}</p>'
        for i in range(len(row.options))
    )


def _explanation(row: Question) -> str:
    if not row.explanation:
        return note("This row came without an explanation.")
    label = note("Explanation in the training row, not by the model:")
    return f'{label}<div class="mq-explanation">{escape(row.explanation)}</div>'


def _measures(neighbour: Neighbour) -> str:
    row = neighbour.row
    named = ", ".join(neighbour.shared[:MOST_NAMED])
    more = len(neighbour.shared) - MOST_NAMED
    shared = f"Shared, rarest first: {named}{f' and {more} more' if more > 0 else ''}." if named else ""
    same = "all" if neighbour.same == 1 else percent_text(neighbour.same)
    measured = f"Score {neighbour.score:.1f} (BM25); {same} of the words of the two stand in both."
    origin = " · ".join(filter(None, (row.subject, row.source)))
    return note(" ".join(filter(None, (shared, measured, origin))))


def _marked(text: str, shared: Set[str]) -> str:
    pieces, done = [], 0
    for begin, end, word in placed(text):
        if word in shared:
            pieces += [escape(text[done:begin]), f"<mark>{escape(text[begin:end])}</mark>"]
            done = end
    return "".join(pieces) + escape(text[done:])
