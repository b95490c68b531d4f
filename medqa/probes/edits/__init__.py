"""Quick edits of a stem: text to text with what was changed, or CannotEdit with a sentence why not. Nothing is guessed.

patient.py     who the stem is about: age and sex as written
age.py         older or younger
stages.py      what goes with some ages only
sex.py         the other sex
bound.py       what goes with one sex only
pregnancy.py   add "pregnant"
negation.py    a finding in the negative
plain.py       which findings have no plain negative
listed.py      things in a list under one word
drugs.py       brand names to generic names and back
"""

from __future__ import annotations

from dataclasses import dataclass

from medqa.errors import UserError


class CannotEdit(UserError):
    """The message is one sentence for the person who asked."""


@dataclass(frozen=True)
class Edited:
    """`changed` says in words what is different."""

    stem: str
    changed: str
