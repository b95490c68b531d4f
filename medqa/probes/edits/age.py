"""The patient some years older or younger; boy and man, girl and woman follow."""

from __future__ import annotations

import re

from medqa.probes.edits import CannotEdit, Edited, patient, stages

YOUNGEST, OLDEST = 2, 100
ADULT = 18
ADULT_OF = {"boy": "man", "girl": "woman"}
CHILD_OF = {adult: child for child, adult in ADULT_OF.items()}


def aged(stem: str, years: int) -> Edited:
    """`years` later, or earlier when negative."""
    mentions = patient.ages(stem)
    now = mentions[0]
    if now.unit != "year":
        raise CannotEdit(
            f"The age is given in {now.unit}s (“{now.phrase}”); years more or less would make another patient of it. "
            "Change it in the text."
        )
    new = now.number + years
    if not YOUNGEST <= new <= OLDEST:
        step = f"{abs(years)} years {'older' if years > 0 else 'younger'}"
        raise CannotEdit(f"A patient of {now.number} can't be made {step}: ages go from {YOUNGEST} to {OLDEST}.")
    stages.refuse_contradictions(stem, now, new)
    edited = stem
    for age in reversed(mentions):
        rest = re.sub(r"^ year\b", " years", edited[age.end :]) if now.number == 1 else edited[age.end :]
        edited = _with_article(edited[: age.start], new) + rest
    edited, words = _of_that_age(edited, now.number, new)
    return Edited(edited, f"Age {now.number} → {new}{words}.")


def _with_article(before: str, number: int) -> str:
    """ "An 8-year-old", "A 45-year-old"."""
    article = "an" if str(number).startswith("8") or number in (11, 18) else "a"
    match = re.search(r"\b(an?) $", before, re.I)
    if match:
        before = before[: match.start()] + (article.capitalize() if match[1][0] == "A" else article) + " "
    return f"{before}{number}"


def _of_that_age(stem: str, old: int, new: int) -> tuple[str, str]:
    """The stem with the patient's "boy" as "man", or the other way round, and what to say of it."""
    if (old < ADULT) == (new < ADULT):
        return stem, ""
    named = patient.noun(stem)
    word = named.word.casefold() if named else ""
    other = (ADULT_OF if new >= ADULT else CHILD_OF).get(word)
    if other is None:
        return stem, ""
    stem = stem[: named.start] + other + stem[named.end :]
    stem = re.sub(rf"\b((?:the|this) (?:\w+ )?){word}\b", rf"\g<1>{other}", stem, flags=re.I)
    return stem, f", {word} → {other}"
