"""Who a stem is about: the patient's age and sex as they are written. Whatever can be read in two ways is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from medqa.probes.edits import CannotEdit

SEX_OF = {
    "man": "male", "boy": "male", "male": "male", "gentleman": "male",
    "woman": "female", "girl": "female", "female": "female", "lady": "female",
}  # fmt: skip
PRONOUNS = {"male": ("he", "him", "his", "himself"), "female": ("she", "her", "hers", "herself")}
# Of a child; drugs and oxygen are delivered too.
DELIVERS = r"(?<!drug )(?<!oxygen )(?<!tissue )deliver(?:y|ies|ed|s|ing)"
NOUN = rf"(?:{'|'.join(SEX_OF)})"
UNIT = r"(?P<unit>year|yr|month|mo|week|wk|day|hour)s?\.?"
# An age that is part of a longer number, a range or a fraction (45-50, 3 1/2) is not read.
NUMBER = r"(?<![\d/.,–-])(?P<number>\d{1,3})"
AGES = [
    re.compile(rf"{NUMBER}[ -]?{UNIT}[ -]?old\b", re.I),
    re.compile(rf"{NUMBER} ?(?:y/?o\b|y\.o\.)", re.I),
    re.compile(rf"\bage(?:d|:|d:)?,? {NUMBER}\b(?![/.–-]?\d| (?:to|and|or) \d)(?: {UNIT}\b)?", re.I),
    re.compile(rf"{NUMBER} {UNIT} of age\b", re.I),
]
# "at age 12", "older than 50 years of age", "mean age: 22 years": not the patient's age today.
NOT_TODAY = {"at", "since", "by", "before", "after", "until", "from", "over", "under", "than", "around", "about", "of",
             "mean", "average", "median"}  # fmt: skip
BORN_TO = re.compile(r"\b(?:born|delivered)\b(?:[^.]|\.\d)*\b(?:to|by) an? (?:[\w-]+,? )*$", re.I)
# Between the age and the noun stand describing words; past one of these another person may be meant.
ENDS_INTRODUCTION = (
    r"(?:is|was|has|had|who|whose|comes|came|presents|presented|brought|brings|with|by|visits|and her|and his)"
)


@dataclass(frozen=True)
class Age:
    """One mention; `start` and `end` are those of its digits, `over` of the whole phrase."""

    number: int
    unit: str
    start: int
    end: int
    phrase: str
    begins: int
    over: int


@dataclass(frozen=True)
class Noun:
    word: str
    start: int
    end: int


def ages(stem: str) -> list[Age]:
    """All mentions of the patient's present age, which are of one value. Raises CannotEdit when there is none."""
    found = sorted((age for pattern in AGES for age in _mentions(pattern, stem)), key=lambda age: age.start)
    if not found:
        raise CannotEdit("No age was found that is written like “45-year-old” or “aged 45”. Change it in the text.")
    values = {(age.number, age.unit): age.phrase for age in found}
    if len(values) > 1:
        listed = " and ".join(f"“{phrase}”" for phrase in values.values())
        raise CannotEdit(f"Several ages are written, {listed}: whose to change is not clear. Change it in the text.")
    return found


def _mentions(pattern: re.Pattern, stem: str) -> list[Age]:
    found = []
    for match in pattern.finditer(stem):
        # The word before, not searched for from the text's start.
        before = re.search(r"(\w+)\W*$", stem[max(0, match.start() - 40) : match.start()])
        if before and before[1].casefold() in NOT_TODAY:
            continue
        # "A newborn is delivered to a 39-year-old woman": hers.
        if BORN_TO.search(stem, max(0, match.start() - 200), match.start()):
            continue
        unit = (match.groupdict().get("unit") or "year").casefold()
        unit = {"yr": "year", "mo": "month", "wk": "week"}.get(unit, unit)
        found.append(
            Age(int(match["number"]), unit, *match.span("number"), match[0], match.start(), match.end())
        )  # fmt: skip
    return found


# Asked for at each word of a text that may be it.
@lru_cache(maxsize=1)
def noun(stem: str) -> Noun | None:
    """The word that says the patient's sex when first named: the "man" of "A 45-year-old obese man"."""
    try:
        age = ages(stem)[0]
    except CannotEdit:
        first = re.match(rf"(?:(?!{ENDS_INTRODUCTION}\b)(?:[\w'’/,-]+|\([\w. -]+\),?) ){{1,6}}?({NOUN})\b", stem, re.I)
        return Noun(first[1], *first.span(1)) if first else None
    after = re.match(rf"[ ,]+(?:(?!{ENDS_INTRODUCTION}\b)[\w'’/-]+[ ,]+){{0,7}}?({NOUN})\b", stem[age.over :], re.I)
    if after:
        return Noun(after[1], age.over + after.start(1), age.over + after.end(1))
    before = re.search(rf"\b({NOUN})(?:,| who is| is)? ?$", stem[: age.begins], re.I)
    return Noun(before[1], *before.span(1)) if before else None


def sex(stem: str) -> str:
    """ "male" or "female", by the noun, else by the pronouns if all are of one sex."""
    named = noun(stem)
    if named:
        return SEX_OF[named.word.casefold()]
    titled = re.search(r"\b(Mr|Mrs|Ms|Miss)\.? [A-Z]", stem)
    if titled:
        return "male" if titled[1] == "Mr" else "female"
    if not _speaks_of_a_patient(stem):
        raise CannotEdit("No patient was found in the question. Change the text by hand.")
    used = [which for which, words in PRONOUNS.items() if re.search(rf"\b(?:{'|'.join(words)})\b", stem, re.I)]
    if len(used) == 1:
        return used[0]
    if used:
        raise CannotEdit("Both “he” and “she” occur and it is not clear which is the patient. Change it in the text.")
    raise CannotEdit("The question does not say whether the patient is a man or a woman.")


def sentences(stem: str) -> list[str]:
    """Cut after . ? or ! and a space; the pieces join to the stem."""
    return re.split(r"(?<=[.?!])(?<!\bMr\.)(?<!\bDr\.)(?<!Mrs\.)(?<!\bMs\.)(?<!\bvs\.)(?<!approx\.)(?=\s)", stem)


# A scientist, a surgeon and his intern are "he" and "she" too.
_PATIENT = (
    r"patient|child|kid|person|newborn|neonate|infant|baby|toddler|adult|adolescent|teenager|athlete|player|worker"
    r"|farmer|driver|soldier|jawan|politician|donor|victim|labou?rer|alcoholic|smoker"
)
_PROFESSIONAL = (
    r"\w*scientist|investigator|researcher|physician|doctor|surgeon|resident|intern|colleague|professor|\w+ologist"
    r"|pharmacist|dentist|student|nurse|clinician|practitioner|author|epidemiologist|\w*biologist|pediatrician"
    r"|psychiatrist|technician"
)
_FIRST_NAMED = re.compile(rf"\b(?:(?P<patient>{_PATIENT})|{_PROFESSIONAL})\b", re.I)


def _speaks_of_a_patient(stem: str) -> bool:
    try:
        return bool(ages(stem))
    except CannotEdit:
        first = _FIRST_NAMED.search(stem)
        return bool(first and first["patient"])


_SAYS = r"(?:he|she|who|says?|said|states?|reports?|notes|noticed|denies|thinks|brings|brought|comes|came|concerned)"


def said_of(relatives: str, before: str, near: int = 6) -> bool:
    """Whether what comes right after `before` is a relative's, named so many words before at most: "her mother died of"
    what follows, but not "her mother says that she has"."""
    return bool(
        re.search(rf"\b(?:{relatives})\b(?:[^\w.;]+(?!{_SAYS}\b)[\w'’/-]+){{0,{near}}}[^\w.;]*$", before[-200:], re.I)
    )
