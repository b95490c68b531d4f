"""How far the head of a positive list reaches: "swelling of the knees, wrists, and ankles" is one finding.

Takes texts and counts them; knows nothing of stems. Where it can't be told, the items stay together: a coarser finding
is true, half of one may not be.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from medqa.probes.denials import DENIES, SHARED
from medqa.probes.spans import VERB

# "diabetes, for which she takes metformin, insulin, and aspirin"
_GOES_ON = re.compile(rf"{SHARED.pattern}|\b(?:which|whom|including|such as)\b", re.I)

_COUNT = r"(?:an?|one|two|three|four|five|six|seven|eight|nine|ten|several|(?:a )?few|many|half)"
_TIME = r"(?:second|minute|hour|day|night|week|weekend|month|year|decade|morning|evening|afternoon)s?\b"
_HOW_FAR = (
    r"(?:the|this|his|her|about|over|up to|at least|approximately|more than|less than|only|past|last|previous|prior"
    r"|first|next) "
)
# "for 3 days", "of 140 mEq/L", "shortness of breath": nothing of theirs goes on behind the comma.
_ITS_OWN = re.compile(
    r"\([^()]*\)|\b(?:shortness of breath|loss of (?:consciousness|appetite|interest|balance|libido)|range of motion"
    r"|levels? of consciousness|point of maximal impulse|(?:in|out) of \w+|in addition|in nature|in color|of note"
    r"|(?:man|woman|boy|girl|male|female|patient|infant|newborn|child|gentleman|lady) (?:with|in)"
    r"|(?:complain\w*|onset) of|(?:presents?|presented|presenting|suffers?|suffering) (?:with|from|for)"
    r"|to (?:(?:the|his|her|an?) )?(?:[\w’']+ )?(?:emergency (?:department|room)|physician|clinic|office|hospital)"
    r"|(?:on|with|during) (?:\w+ )?(?:exertion|exercise|palpation|percussion|auscultation|inspection|urination"
    r"|defecation|swallowing|walking|movement|inspiration|expiration|examination|admission|arrival|presentation)"
    r"|to (?:(?:light|deep|the) )?(?:palpation|percussion|auscultation|touch|light)"
    r"|at (?:rest|night|times|home|birth|work|school|baseline)|for age|of (?:age|gestation|life|duration)"
    r"|in (?:both|all) (?:\w+ )?(?:eyes|ears|lungs|lung fields|extremities)|in (?:(?:the|his|her) )?(?:stools?|urine)"
    rf"|(?:of|in|to|over|at|for|from|with|by|during|around|about|on) (?:{_HOW_FAR})*"
    rf"(?:\d|{_COUNT} (?:[\w-]+ )?{_TIME}|{_TIME}))",
    re.I,
)
# Something a patient has, by a name that says so: what is in the knee is pain, but no fever.
_NAMES = (
    r"(?:\w*(?:algia|itis|a?emia|uria|pno?ea|rrho?ea|osis|o?edema|plegia|paresis|esthesia|phagia|phasia|dynia|cardia"
    r"|penia|ptysis|emesis|rrhage|rrhages|megaly|ectas[ie]s|cytosis|neuropathy|lymphadenopathy|tension|ache|aches|sweats|turia|arthria)"
    r"|pains?|nausea|vomiting|fevers?|chills|cough|fatigue|malaise|lethargy|weakness|numbness|tingling|paresthesias"
    r"|swelling|tenderness|rash|rashes|erythema|warmth|redness|pruritus|itching|jaundice|icterus|pallor|dizziness"
    r"|lightheadedness|vertigo|syncope|palpitations|dyspnea|wheez(?:es|ing)|crackles|rales|rhonchi|stridor|murmurs?"
    r"|clubbing|guarding|rigidity|distention|distension|bloating|cramp(?:s|ing)|constipation|diaphoresis|sweating"
    r"|confusion|agitation|irritability|insomnia|tremors?|seizures?|spasms?|ataxia|nystagmus|ptosis|diplopia|photophobia"
    r"|hoarseness|congestion|discharge|bleeding|bruis(?:es|ing)|petechiae|purpura|ecchymos[ei]s|ulcers?|ulcerations?"
    r"|lesions?|mass(?:es)?|lumps?|nodules?|papules?|plaques?|vesicles|pustules|blisters|macules|patches|scars?|wounds?"
    r"|lacerations?|fractures?|effusions?|infiltrates?|opacit(?:y|ies)|consolidations?|stiffness|discomfort"
    r"|palsy|palsies|(?:weight|hair|hearing|vision|visual|field|memory|bone) (?:loss|gain)|sore throat|striae|acne"
    r"|loss of (?:appetite|consciousness)|shortness of breath|difficulty \w+ing|hirsutism|anorexia|exophthalmos)"
)
OWN_NAME = re.compile(rf"(?:[\w’'/-]+ ){{0,4}}?{_NAMES}(?![\w-])(?! \w+(?<!ing)$)", re.I)
_FINDING_BEFORE = re.compile(rf"(?:{_NAMES}|abdomen|skin|liver|spleen|knee|joint|profile)\s+$", re.I)
_MEASURED = re.compile(
    r"(?:[\w,’'()+/-]+ ){0,6}?(?:(?:of|is|was|at|to)\s+)?(?<![\w.-])\d[\d,.]*(?:[/–-]\d+)?\s?"
    r"(?:%|°|mm ?Hg|/|mL\b|cm H2O|[mμµ]?mol|m?Eq|[mnpμµ]?g/|breaths|beats|bpm|fL|U/|IU|mm/h)"
)
_SOMEONE_DOES = re.compile(
    r"(?:the|this|an?|his|her) (?:[\w-]+ ){0,3}?(?:patient|man|woman|boy|girl|infant|child|mother|father|parents) "
    r"\w+(?:s|ed)\b",
    re.I,
)
_CHANGED = re.compile(r"(?:increased|decreased|elevated|reduced|absent|diminished|low|high|enlarged)\b", re.I)
# "axillary, cervical, and inguinal lymphadenopathy"
_HALF = re.compile(r"\b(?:\w+(?:al|ar|ary|ous|ic|ed)|tender|firm|soft|painful)$", re.I)
_RELATIVE = re.compile(r"\b(?:that|which|who|whom|whose)\b", re.I)
_A = re.compile(r"(?:and |or )?an?\s", re.I)
# Nothing before the verb is said of the list: "the patient in room 2 has fever". Another is "pain that is worse".
_VERB = re.compile(
    rf"\b(?:{VERB}|develop(?:s|ed)|experience[sd]|notice[sd]|suffer(?:s|ed)|sustain(?:s|ed))\b(?!-)",
    re.I,
)


def holds(items: Sequence[str], glues: Sequence[str]) -> list[int]:
    """How many of the items each finding takes, in order. `glues`: what stands before each item."""
    counts: list[int] = []
    while (start := sum(counts)) < len(items):
        head, end = _head(items[start]), start + 1
        while head and end < len(items) and not _alone(head, items[end - 1], glues[end], items[end]):
            end += 1
        counts.append(end - start)
    return counts


def _head(text: str) -> re.Match | None:
    """The preposition behind which a list may go on. What is denied reaches by rules of its own (denials.py)."""
    if DENIES.search(text):
        return None
    relative = _RELATIVE.search(text)
    main = relative.start() if relative else len(text)
    verb = max((found.start() for found in _VERB.finditer(text, 0, main)), default=0)
    plain = _ITS_OWN.sub(lambda found: "·" * len(found[0]), text)
    return next((found for found in _GOES_ON.finditer(plain, verb) if found.start() > 0), None)


def _alone(head: re.Match, last: str, glue: str, item: str) -> bool:
    """Whether this item surely is not the head's. "A history of" reaches over whatever a patient can have."""
    if re.search(r";|\bbut\b", glue) or any(shape.match(item) for shape in (DENIES, _MEASURED, _SOMEONE_DOES)):
        return True
    before, after = head.string[: head.start()], head.string[head.end() :].lstrip()
    if _HALF.search(last) or not _FINDING_BEFORE.search(before):
        return False
    own = OWN_NAME.match(item) or _CHANGED.match(item)
    # "pain in a hip, a knee"
    return bool(own or (_A.match(item) and not _A.match(after)))
