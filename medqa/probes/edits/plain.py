"""Which findings have no plain negative, and why; puts nothing in the negative."""

from __future__ import annotations

import re

from medqa.probes.edits import CannotEdit
from medqa.probes.spans import Span

TIME = r"(?:hour|day|week|month|year)s?"
HOW_LONG = rf"(?:\d+|an?|one|two|three|four|five|six|several|few)(?:[ -](?:to|-)[ -]?\d+)?[ -]{TIME}"
LASTING = re.compile(rf",? (?:for|over|during|in) (?:the )?(?:past |last |previous )?{HOW_LONG}\b(?! of)", re.I)
HISTORY = re.compile(rf"\b(?:an? )?{HOW_LONG}['’]? (?=history of)", re.I)
# Words that deny by their first letters: "not uncomplicated" says nothing plainly.
_UN = (
    r"non-?\w+|un-?(?!i|der|comfortable|easy|til\b|less\b|cle\b|cal\b|cinate|dul|guent|do\b)\w{3,}|in(?:significant"
    r"|adequate|consistent|complete|effective|appropriate|attentive|coherent|sufficient|conclusive|active|visible"
    r"|audible|distinct|accessible|frequent|ability)(?:ly)?|im(?:palpable|mobile|perforate|mature|possible)"
    r"|ir(?:relevant|regular|reversible)(?:ly)?|afebrile|asymptomatic|anicteric|acyanotic|atraumatic|apyrexial"
    r"|(?:pain|odou?r|colou?r|motion|pulse|life)less"
)
# Of these "no" makes a finding: "no unintentional weight loss", "no irregular bleeding".
_UN_THING = r"un(?:intentional|intended|protected|explained|usual|stable|steady|controlled|even)|irregular|inability"
NEGATIVE = re.compile(
    r"\b(?:no|not|\w+n['’]t|cannot|without|den(?:y|ies|ied)|never|neither|nor|none|nothing|negative|absent"
    rf"|(?!{_UN_THING})(?:{_UN}))\b",
    re.I,
)
_TWICE = re.compile(rf"\bnot\b[^.;]*?\b(?:{_UN})\b|\b(?:no|without) inability\b", re.I)
# "No little pain" and "rarely does not drink" deny nothing.
HARDLY = re.compile(
    r"\b(?:hardly|scarcely|barely|rare(?:ly)?|seldom|infrequent(?:ly)?|little|few(?:er)?|less|least|minimal(?:ly)?"
    r"|almost|nearly|lack\w*|fail(?:s|ed|ing)?|refus(?:e[sd]?|ing)|declin(?:e[sd]?|ing)|avoid\w*|absence|devoid"
    r"|free (?:of|from)|rul(?:es?|ed) out)\b",
    re.I,
)
# "He often does not drink" is not the opposite of "he often drinks".
HOW_OFTEN = re.compile(
    r"\b(?:always|often|usually|frequently|sometimes|occasional(?:ly)?|regularly|generally|typically|mostly|constantly"
    r"|otherwise)\b",
    re.I,
)
# Nor "no several bruises" that of "several".
HOW_MANY = re.compile(r"\b(?:much|many|most|several|multiple|numerous|various)\b", re.I)
# "Not heard in both lungs": in one, or in none?
_BOTH = re.compile(r"\b(?:both|bilateral(?:ly)?|throughout|all|every|each)\b", re.I)
DIGITS = re.compile(r"(?<!type )(?<![A-Za-z])\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|few)\b", re.I)
# "No normal retina": what is well is said to be otherwise by a finding, not by "no".
_WELL = re.compile(
    r"\b(?:no|without) (?:[^.;]*?(?:, |\bor ))?(?:\w+ly )?"
    r"(?:normal\w*|regular\w*|clear|intact|equal|full|symmetric\w*|healthy|well\b|good|adequate|appropriate|stable|soft"
    r"|supple|moist|pink|reactive|round|unremarkable|alert|preserved|strong|active|viable|patent|warm|average|within)\b",
    re.I,
)
# No things to have or not: "reports having", "eats", "his eyes".
DOES = (
    r"eats|exercises|drinks|plays|requires|moves|lives|works|walks|sleeps|cries|speaks|attends|enjoys|wears|travels"
    r"|owns|follows|sits|stands|goes|gets|makes|says|states|denies|responds|opens|withdraws|obeys|spends|watches"
    r"|runs|swims|practices|maintains|consumes|injects|abuses|receives|wakes|returns|gives|keeps|becomes|remains"
    r"|helps|cooks|reads|studies|consists|contains|extends|radiates|spreads|worsens|improves|resolves|bleeds|hurts"
    r"|itches|participates|takes|smokes|uses|died|lives|snores|stares|seems|visits|tries|wants|believes|thinks|knows"
    r"|prefers|likes|needs|volunteers|describes|performs|teaches|claims"
)
_NO_THING = re.compile(
    rf"\b(?:no|without|or) (?:{DOES}|having|being|feeling|taking|using|getting|becoming|trying|going|doing|up|that|to"
    r"|recently|also|now|his|her|their|its|the|this|these|those|he|she|it|they|another|other|such|more|less|what"
    r"|whether|how|for|of|with)\b",
    re.I,
)
_DEGREE = re.compile(
    r"\b(no|not|without|not (?:appear|feel|look)) (?:very|quite|(?:mild|slight|moderate|marked|minor"
    r"|some)(?:ly)?) (?=[a-z])",
    re.I,
)


def refuse_half_a_negative(stem: str, at: Span, clause_at: Span) -> None:
    """Some of these words stand beside the finding, and what is put in the negative would come to stand under them."""
    found = stem[slice(*at)]
    if NEGATIVE.search(found):
        raise CannotEdit(f"“{found}” is in the negative already. Change it in the text.")
    clause = LASTING.sub("", stem[slice(*clause_at)])
    beside = HARDLY.search(clause) or HOW_OFTEN.search(clause) or NEGATIVE.search(stem, clause_at[0], at[0])
    _refuse(found, beside or HOW_MANY.search(HISTORY.sub("", LASTING.sub("", found))))


def refuse_both(found: str, said: str) -> None:
    _refuse(found, _BOTH.search(said))


def refuse_absurd(found: str, negative: str) -> None:
    """What only the negative as written shows."""
    _refuse(found, _WELL.search(negative) or _TWICE.search(negative) or _NO_THING.search(negative))


def _refuse(found: str, unclear: re.Match | None) -> None:
    if unclear:
        raise CannotEdit(f"With “{unclear[0]}” the negative of “{found}” would not be plain. Change it in the text.")


def without_degree(negative: str) -> str:
    """ "No mild pain" would leave a severe one."""
    return _DEGREE.sub(r"\1 ", negative)
