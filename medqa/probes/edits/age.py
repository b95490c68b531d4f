"""The patient some years older or younger; boy and man, girl and woman follow."""

from __future__ import annotations

import re

from medqa.probes.edits import CannotEdit, Edited, patient
from medqa.probes.edits.patient import Age

YOUNGEST, OLDEST = 2, 100
ADULT = 18
ADULT_OF = {"boy": "man", "girl": "woman"}
CHILD_OF = {adult: child for child, adult in ADULT_OF.items()}
# Words that go with some ages only: (words, youngest, oldest). The first ones name another person as often as the
# patient, so they count only as "a 3-year-old child" or "the child".
CHILDREN = (
    ("newborn|neonate|infant|baby|toddler", 0, 3),
    ("child|schoolchild|preschooler", 1, 17),
    ("teenager|teenage|teen|adolescent", 10, 19),
)
STAGES = (
    (r"(?<!not )(?:pregnant|primigravida?|multigravida?)|weeks['’]? (?:of )?gestation", 12, 50),
    (r"(?:post|peri)-?menopausal|menopause", 40, OLDEST),
    (r"retired", 50, OLDEST),
    (r"middle-aged", 40, 65),
    (r"elderly", 60, OLDEST),
)
# What a child below this age does not do, or has not got.
ADULT_LIFE, ADULT_LIFE_BEGINS = (
    r"work(?:s|ed|ing) (?:as|in|at)|employ\w+|married|divorced|wife|husband|boyfriend|girlfriend|smok\w+|cigarettes?"
    r"|alcohol\w*|beers?|wine|sexual\w*|college|university|soldier|veteran|immigrated|parous|G\d ?P\d|gravida"
    r"|mother (?:of|arrives|comes|presents)|(?:his|her) (?:son|daughter|children|job|office)|menses|contracept\w+",
    15,
)
YEARS_BACK = re.compile(
    r"\b(\d{1,2})[ -]year(?:s ago|s['’]? duration| history|-history)|\b(?:for|past|last) (\d{1,2}) years\b"
    r"|\b(?:at|since) (?:the )?age (?:of )?(\d{1,2})\b"
)
RELATIVE = re.compile(
    r"\b(?:grand)?(?:mother|father|parents?)|brother|sister|uncle|aunt|siblings?|relatives?|wife|husband\b", re.I
)


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
    _refuse_contradictions(stem, now, new)
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


def _refuse_contradictions(stem: str, now: Age, new: int) -> None:
    for words, youngest, oldest in CHILDREN:
        if not youngest <= new <= oldest:
            introduced = re.match(rf"(?:[ ,]*[\w-]+){{0,3}}?[ ,]+(?P<stage>{words})\b", stem[now.over :], re.I)
            again = re.search(rf"\b(?:the|this) (?P<stage>{words})\b", stem, re.I)
            _refuse(introduced or again, new)
    for words, youngest, oldest in STAGES:
        if not youngest <= new <= oldest:
            _refuse(re.search(rf"\b(?:{words})\b", stem, re.I), new)
    if new < ADULT_LIFE_BEGINS <= now.number:
        _refuse(re.search(rf"\b(?:{ADULT_LIFE})\b", stem, re.I), new)
    for sentence in patient.sentences(stem):
        back = YEARS_BACK.search(sentence)
        if back and int(back[back.lastindex]) >= new and not RELATIVE.search(sentence):
            _refuse(back, new)


def _refuse(found: re.Match | None, new: int) -> None:
    if found:
        words = found.groupdict().get("stage") or found[0]
        raise CannotEdit(f"“{words}” would not fit an age of {new}. Change the text by hand.")
