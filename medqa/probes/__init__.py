"""Probes: what an answer hangs on. Each file is a function from engine, question and adapter to a frozen result.

    order.py        does the choice survive when the options change places?

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
