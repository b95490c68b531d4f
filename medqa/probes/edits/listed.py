"""Things that stand in a list under one word: "has fever, chills, and a rash". Negates nothing."""

from __future__ import annotations

import re

from medqa.probes.edits.plain import DIGITS, DOES, LASTING, NEGATIVE
from medqa.probes.sharing import OWN_NAME
from medqa.probes.spans import ADJECTIVE

NO = "shows?|showed|reveals?|revealed|demonstrates?|demonstrated|reports?|reported|notes|noted|endorses|includes?"
HAVE = r"has had|have had|has|have|had"
PARTICIPLE = r"been|become|noticed|felt|lost|gained|taken|used|smoked|vomited|experienced|developed|received|travell?ed"
PLAIN = {
    "takes": "take", "smokes": "smoke", "drinks": "drink", "uses": "use", "appears": "appear", "feels": "feel",
    "looks": "look", "complains": "complain",
}  # fmt: skip
VERB = re.compile(rf"\b(?:{HAVE}|is|are|was|were|{'|'.join(PLAIN)}|{NO})\b", re.I)
GOVERNS = re.compile(rf"\b(?:with|{HAVE}|{NO}) ", re.I)
# "consistent with", "lives with": what follows is no finding of the patient.
OTHER_WITH = re.compile(
    r"\b(?:consistent|treat(?:ed|ment)|therapy|diagnosed|associated|compared|comes|came|brought|lives|along|together|"
    r"start(?:ed|s)|manag(?:ed|ement)|intercourse|active|contact|up|improves?|worse\w*|relieved|familiar) $",
    re.I,
)
PERSON = re.compile(r"\b(?:man|woman|boy|girl|male|female|patient|infant|newborn|child|present(?:s|ed)) $", re.I)
# Where a list of findings ends although the sentence goes on; the rest belongs to no finding of the list.
LIST_ENDS = re.compile(rf"(?=[.;:]|$|{LASTING.pattern}|,? (?:comes|presents|is|are|was|were) )", re.I)
# "with cough, and blood pressure is 90": the last thing belongs to what comes next.
_GOES_ON = re.compile(r",? (?:is|are|was|were|has|had|shows?|showed|reveals?|revealed|suggests?|demonstrates?)\b", re.I)

# What is no thing

# "Has received erythromycin and benzoyl peroxide" has no thing "received erythromycin"; "blurred vision" is one.
_LIKE_ADJECTIVES = (
    r"(?:in|de)creased|elevated|raised|reduced|diminished|blurred|slurred|enlarged|distended|dilated|widened|impaired"
    r"|generalized|localized|scattered|isolated|marked|prolonged|delayed|limited|restricted|disorganized|unexplained"
    r"|repeated|webbed|rolled|swollen"
)
_DONE_THING = re.compile(
    rf"(?:(?!(?:{_LIKE_ADJECTIVES})\b)\w{{3,}}ed|{PARTICIPLE}|gotten|gone|seen|done|had|begun|eaten|drunk|slept|come"
    r"|run|(?!(?:early|family|scaly|daily|weekly|monthly|bodily|curly|wooly)\b)\w+ly|then|not|also|again|upon|never"
    r"|can(?:not)?|could|will|would|does|do|did|seems?|continues?|feels?|looks?|more|less)\b(?!-)",
    re.I,
)
_NEVER_A_THING = re.compile(
    rf"(?:{DOES}|having|being|feeling|taking|using|his|her|their|its|the|this|that|to|up|he|she|they|it|ECG"
    r"|\w+ing (?:him|her)self)\b",
    re.I,
)
# "Further workup confirms a deficiency": no thing stands alone as an item of a list.
_OF_ITS_OWN = re.compile(
    r"\bbut\b|\b(?:confirm|require|suggest|indicate|cause|result|continue|seem|improve|resolve)(?:s|ed)\b", re.I
)

# What may belong to more than one thing

_PLACED = re.compile(
    r"\b(?:of|in|on|at|to|from|by|with|over|across|along|below|above|under|near|around|located|as|that|which|who"
    r"|when|for|during|after|before|since|until|than|into|within|through|throughout|against|between|surrounding"
    r"|involving|like|including)\b|[()]|\b(?:difficulty|trouble|problems|pain) \w+ing\b(?=.*\b\w+ing\b)"
)
# "axillary and cervical lymph nodes": half of one thing.
_HALF = re.compile(
    r"(?:al|ar|ary|ed|ous|ic|oid|ive|able|ible)$"
    rf"|^(?:an? )?(?:{ADJECTIVE}|full|high|low|faint|weak|rapid|shallow|uterine)$"
    r"|\b(?:left|right|upper|lower|inner|outer|proximal|distal|anterior|posterior|superior|inferior|fasting)$"
    r"|^(?:an? )?(?:(?:left|right|upper|lower) )?(?:ankle|knee|hip|wrist|elbow|shoulder|hand|foot|arm|leg|lip|tongue"
    r"|joint|body|chest|back|neck|bone|lung|liver|brain|eye|ear|nose|throat|muscle|breast|bowel|bladder|urine"
    r"|blood)$",
    re.I,
)
# "Hyperpigmented skin and nails": a part of the body is no finding.
_BODY_PART = re.compile(
    r"(?:an? |the )?(?:(?:oral|buccal|nasal) )?"
    r"(?:skin|nails?|hair|eyes?|ears?|nose|mouth|lips?|tongue|gums|teeth|face|neck|head|hands?|feet|legs?|arms?"
    r"|ankles?|knees?|hips?|joints?|muscles?|extremities|limbs?|spine|back|chest|heart|lungs?|liver|spleen|kidneys?"
    r"|stomach|bowels?|abdomen|bladder|uterus|cervix|vagina|ovaries|testes|penis|breasts?|tonsils|pharynx|oropharynx"
    r"|larynx|conjunctivae?|pupils|nodes|pulses|reflexes|stools?|urine|mucosa|submucosa|rate|rhythm|tone|affect|mood"
    r"|gait)",
    re.I,
)
# "enlarged liver and spleen": both are, unless the second has a name or an adjective of its own.
_SHARED = re.compile(
    rf"(?:an? )?(?:\w+ly )?(?:{_LIKE_ADJECTIVES}"
    r"|(?:(?:ab)?norm|equ)al|regular|steady|intact|clear|left|right|upper|lower|bilateral|high|low|poor|small"
    r"|large|palpable|tender|pale|dry|thick|thin|soft|firm|hard|atrophic|positive|severe|mild|recurrent|progressive"
    r"|chronic|acute|excessive|intermittent) \w",
    re.I,
)
_DESCRIBED = re.compile(
    rf"(?:an? )?(?:\w+ly )?(?:{ADJECTIVE}|{_LIKE_ADJECTIVES}|\w+-\w+|(?:ab)?normal|slight|massive|high|low|poor|good"
    r"|widely|\w+(?:al|ar|ary|ic|oid|ent|ant|ing|ed|y)) \w",
    re.I,
)


def joined(rest: str) -> str:
    return re.sub(r"\band\b", "or", rest)


def denied(things: str) -> str:
    """ "a fever, chills, and a rash" → "fever, chills, or rash", to stand after no or without."""
    things = re.sub(r"^(?:an?|some|any) ", "", things)
    return re.sub(r"(, |\bor )(?:an?|some|any) ", r"\1", joined(things))


def is_done(governor: str, text: str) -> bool:
    """ "Has received": done, not had."""
    return bool(re.fullmatch(HAVE, governor.strip(), re.I) and _DONE_THING.match(text.strip()))


def are_things(governor: str, text: str) -> bool:
    return not any(
        is_done(governor, part) or _NEVER_A_THING.match(part) or _OF_ITS_OWN.search(part) for part in _parts(text)
    )


def things(text: str, governor: str) -> list[str] | None:
    """The things the text begins with, after their governor; None when a word may belong to more than one of them, or
    one is no thing."""
    end = LIST_ENDS.search(text).start()
    listed = text[:end]
    parts = _parts(listed)
    if _PLACED.search(listed) or VERB.search(listed) or _GOES_ON.match(text[end:]):
        return None
    # Drugs of a list share no word: "inhaled albuterol and montelukast".
    shared = not governor.startswith("include") and not all(map(_stands_alone, parts[1:], parts[:-1]))
    if shared or any(map(_HALF.search, parts[:-1])):
        return None
    if any(map(_BODY_PART.fullmatch, parts)) or not are_things(governor, listed) or any(map(NEGATIVE.search, parts)):
        return None
    # Without "and" the commas part the words of one thing: "gram-negative, flagellated bacilli".
    whole = " and " in listed or len(parts) == 1
    return parts if all(parts) and whole and not DIGITS.search(listed) else None


def _parts(text: str) -> list[str]:
    return [part.strip() for part in re.split(r",? and |, ", text)]


def _stands_alone(part: str, before: str) -> bool:
    """ "An enlarged liver and a rash", but "enlarged liver and spleen"."""
    return not _SHARED.match(before) or bool(re.match(r"an? ", part) or _DESCRIBED.match(part) or OWN_NAME.match(part))


def in_words(named: list[str]) -> str:
    if len(named) < 3:
        return " and ".join(named)
    return f"{', '.join(named[:-1])}, and {named[-1]}"
