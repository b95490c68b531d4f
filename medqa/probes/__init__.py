"""Probes: what an answer hangs on. Each file is a function from engine, question and adapter to a frozen result.

    order.py        does the choice survive when the options change places?
    findings.py     what does it hang on? Each finding left out in turn; cutting.py, spans.py, denials.py and sharing.py
                    find them
    why_not.py      why not another option? From the same scores, and the text that defends it
    what_if.py      does the answer change when the question does? Quick edits are in edits/
    compare.py      what did fine-tuning change? Base against adapter, or any two adapters
    explanation.py  does the explanation carry the answer?
    neighbours.py   where did it learn this? The nearest training rows; needs no engine

A result says what it found in `sentences`, limits included, and holds what a picture of it needs. All scores come from
`Engine.score_many`. `tell` hears how far a probe has come, as (done, of); it may raise Cancelled, which ends the probe.
"""

from __future__ import annotations

from collections.abc import Callable

Tell = Callable[[int, int], None]


class Cancelled(Exception):
    """Whoever asked has gone or pressed Cancel."""


def unheard(done: int, of: int) -> None:
    """For a caller that waits for the result."""
