"""Where a stem can be cut: its sentences, then their clauses and the items of their lists. Gives spans, no text."""

from __future__ import annotations

import re
from dataclasses import dataclass

# How much what stands between two pieces parts them.
WORD, COMMA, CONJUNCTION, CONTRAST, SEMICOLON, SENTENCE, LINE, PARAGRAPH = range(8)
Span = tuple[int, int]

# Sentences

# "He waited, e.g. for rain": never an end. "at 8 a.m.", "E. coli", "10 mg. daily": an end only before a capital.
_NEVER_ENDS = re.compile(r"\b(?:Dr|Drs|Mr|Mrs|Ms|Prof|St|vs|cf|ca|approx|Fig|e\.g|i\.e|viz)$", re.I)
_MAY_END = re.compile(
    r"(?:\b(?:[A-Za-z]\.)+[A-Za-z]|(?:^|[\s(])[A-Za-z]|\b(?:sp|spp|etc|al|[mk]?g|mc?g|m[lm]|dl|[ck]m|hrs?|mins?|secs?|wks?|yrs?|lbs?|"
    r"oz|ft|temp|resp|wt|ht|max|min|no))$",
    re.I,
)
_NUMBERED = re.compile(r"(?:^|\n)\s*\d{1,2}$")  # "1. Fever"
_END = re.compile(r"\s*(?P<mark>[.?!]+)(?P<close>[\"”’')\]]*)(?P<space>\s+|$)|\s*\n\s*")
_ENCLOSED = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|“[^”]*”|\"[^\"\n]*\"")
# A line break in the middle of a sentence: the next line goes on in small letters, or with a unit.
_WRAPPED = re.compile(r"[a-z]{2}|Hg")


@dataclass(frozen=True)
class Sentence:
    start: int
    end: int
    parts: int


def sentences(stem: str) -> list[Sentence]:
    """From the first character of one to its last; what lies between two is glue."""
    enclosed = [found.span() for found in _ENCLOSED.finditer(stem)]
    found_so_far, start = [], len(stem) - len(stem.lstrip())
    for found in _END.finditer(stem, start):
        # A mark inside quotation marks or brackets belongs to them, not to the glue.
        end = found.end("close") if found["close"] else found.start()
        if any(opens < end < closes for opens, closes in enclosed) or not _ends(stem, found):
            continue
        if end > start:
            breaks = found[0].count("\n")
            parts = PARAGRAPH if breaks > 1 else LINE if breaks else SENTENCE
            found_so_far.append(Sentence(start, end, parts))
        start = found.end()
    if start < len(stem):
        found_so_far.append(Sentence(start, len(stem.rstrip()), WORD))
    return found_so_far


def _ends(stem: str, found: re.Match) -> bool:
    before, following = stem[max(0, found.start() - 12) : found.start()], stem[found.end() : found.end() + 2]
    if found["mark"] is None:
        return not _WRAPPED.match(following) or before.endswith((":", ";"))
    if found["mark"] != "." or not following:
        return True
    if _NUMBERED.search(before if len(before) == 12 else f"\n{before}"):
        return False
    return not _NEVER_ENDS.search(before) and (following[0].isupper() or not _MAY_END.search(before))


# Clauses

AGE = re.compile(
    r"(?:An?\s+|The\s+)?(?:[a-z-]+\s+){0,2}?\d+(?:\.\d+)?(?:[-\s]+(?:year|month|week|day|hour)s?[-\s]+old|\s?y/?o)"
    r"(?:[ ,]+[\w’'/-]+){0,4}?[ ]+(?:(?:fe)?male|(?:wo)?man|boy|girl|infant|child|newborn|neonate|patient|lady|"
    r"gentleman|person|primigravida|multigravida|student|worker|G\d+P\d+)\b",
    re.I,
)
COMES = re.compile(r"(?:presents|presented|comes|came|complains|complained|(?:is|was) (?:brought|admitted|referred))\b")
_PRESENTS = re.compile(rf"(?<! and)(?<! but)(?<![,;])\s+(?={COMES.pattern})")
VERB = (
    r"(?:is|are|was|were|has|have|had|does|do|did|will|can|cannot|denie[sd]|reports?|reported|states?|stated|note[sd]|"
    r"says|said|takes?|took|drinks?|drank|smokes?|smoked|works?|worked|lives|appears?|appeared|shows?|showed|"
    r"reveals?|revealed|demonstrates?|measures?|feels?|complains?|complained|describes?|described|endorse[sd]|refuse[sd]|"
    r"presents?|presented|recalls?|admits?|begins|began|underwent|seems?|seemed|remains?|remained|claims|\w+n['’]t)"
)
_SUBJECT = rf"(?:(?!(?:that|which|who|when|but|{VERB})\b)[\w’'-]+\s+)"
# With these a clause begins, whatever verb follows.
BEGINS_CLAUSE = r"(?:he|she|they|it|there|you|although|though|because|since|while|when|if|despite|so|yet|however)\b"
_STATES = rf"{BEGINS_CLAUSE}|{_SUBJECT}{{0,6}}?{VERB}\b(?!-)|\w+(?:s|ed)\s+that\s+(?:he|she|they|it|the|his|her)\b"
# "… and has not improved", "pulse is 90/min": a statement of its own, not an item of a list.
STATES = re.compile(_STATES, re.I)
CLAUSE = re.compile(rf"(?:lasting|radiating|accompanied|followed|associated)\b|{_STATES}", re.I)
_GLUE = re.compile(
    r"\s*[;,]\s+(?:(?:and|or|but|nor|as well as)\s+)?"
    rf"|\s+(?:and|but)\s+(?=(?:he|she|they|it|there|no|{VERB})\s)"
)  # fmt: skip
_CONJOINED = re.compile(r"\b(?:and|or|nor|as well as)\s+$")
_CONTRASTED = re.compile(r"\bbut\s+$")
_LAST_TWO = re.compile(r"[\w’'-]+(?: [\w’'-]+)?(?P<glue> (?:and|or) )[\w’'-]+(?: [\w’'-]+){0,2}$")
_RELATIVE = re.compile(
    r"(?:(?:for|in|to|with|by|from|on|at|during|after|(?:\w+\s+)?of)\s+wh(?:ich|om)|which|who|whose|whom|including|"
    r"such as|especially|except|besides|other than|apart from|aside from)\b"
)
_ONE_ADJECTIVE = re.compile(r"(?:^|\s)(?:an?|the|his|her|their|some|this)\s+[\w-]+$", re.I)
ADJECTIVE = (
    r"(?:(?:\w+ly|very|well)\s+)*(?:\w+(?:ous|ical|inal|oral|ular|less|like|ish|able|ible"
    r"|(?<!contracept)(?<!laxat)ive)|[\w.]+-(?:\w+(?:ed|ing)|like|sided|grade|cm|mm|shaped)|new|old|mild|moderate"
    r"|severe|sharp|dull|diffuse|acute|chronic|sudden|slow|rapid|deep|soft|firm|hard|smooth|rough|(?:non-?)?tender"
    r"|red|pink|white|yellow|brown|black|blue|green|gr[ae]y|dark|pale|bright|clear|large|small|thick|thin|long|short"
    r"|flat|round|oval|warm|hot|cool|cold|dry|moist|loose|itchy|scaly|watery|bloody|bony|greasy|silvery|waxy|shiny"
    r"|cloudy|frothy|loud|harsh|coarse|fine|blowing|aching|burning|throbbing|stabbing|cramping|crampy|worsening"
    r"|radiating|squeezing|gnawing|tearing|crushing|shooting|pounding|cavitating|scaling|pulsatile|painful|swollen"
    r"|enlarged|dilated|blurred|slurred|raised|localized|generalized|(?:ir)?regular|single|multiple|numerous"
    r"|solitary|discrete|(?:im)?mobile|fixed|bilateral|unilateral|recurrent|intermittent|persistent|frequent"
    r"|prominent|constant|purulent|focal|systolic|diastolic|axillary|cervical|mediastinal|supraclavicular|hilar"
    r"|temporal|occipital|parietal|frontal|lateral|medial|proximal|distal|anterior|posterior|left|right|upper|lower"
    r"|motor|sensory|cranial|nasal|basal|episodic|pruritic|hemorrhagic|cystic)"
)
_ADJECTIVES = rf"{ADJECTIVE}(?:(?:,?\s+and|,)?\s+{ADJECTIVE})*"
# "has had diffuse", "a slightly tender": of something that is still to come.
_DESCRIBES = re.compile(
    r"\b(?:an?|the|his|her|their|some|this|these|any|no|with|of|for|without|there (?:is|are|was|were)|(?:has|have"
    r"|had)(?: had| also)?|show(?:s|ed)?|reveal(?:s|ed)?|demonstrate[sd]?|report(?:s|ed)?|develop(?:s|ed)"
    r"|experience[sd]?|notice[sd]|note[sd]|describe[sd])\s+"
    rf"{_ADJECTIVES}$",
    re.I,
)
_DESCRIBES_ALONE = re.compile(_ADJECTIVES, re.I)
_OTHER_THING = re.compile(
    rf"(?:an?|the|his|her|no|not|with|without|in|on|at|to|and|or|but|which|who|that)\b|{BEGINS_CLAUSE}", re.I
)
# A thing that adjectives may belong to: more than one word.
_THING = re.compile(
    rf"(?:{ADJECTIVE},?\s+(?:and\s+)?)*[\w’'-]+ (?!(?:and|or|but|to|in|of|on|for|by|with|at|from)\b)[\w’'-]+", re.I
)
_LONE = r"(?:however|therefore|moreover|furthermore|additionally|nevertheless|otherwise|instead|meanwhile|thus|also)"
_IS_LONE = re.compile(rf"(?:^|,\s+){_LONE}$", re.I)
_LONE_NEXT = re.compile(rf"{_LONE},\s+(?!{_STATES})", re.I)
# In characters; longer ones are hardly adjectives only.
_LONGEST_DESCRIPTION = 100
_ANY_VERB = re.compile(rf"\b(?:{VERB}|\w{{3,}}ed)\b(?!-)", re.I)
_INTRODUCES = re.compile(
    r"(?:on|in|at|upon|during|after|since|for|over|about|by|however|additionally|furthermore|moreover|otherwise|"
    r"today|now|recently|currently|then|subsequently|overall|finally)\b",
    re.I,
)
_INTRODUCTION_WORDS = 5
_YEAR = re.compile(r"(?:19|20)\d\d\b")


def clauses(stem: str, sentence: Sentence) -> list[Span]:
    """The (start, end) of each clause or list item; what lies between two is glue."""
    text, asks = stem[sentence.start : sentence.end], stem[sentence.end : sentence.end + 1] == "?"
    enclosed = [found.span() for found in _ENCLOSED.finditer(text)]
    age = AGE.match(text)
    glues = []
    if age and text[age.end() : age.end() + 1].isspace():
        glues.append((age.end(), len(text) - len(text[age.end() :].lstrip())))
        said_next = _PRESENTS.search(text, age.end() + 1)
        glues += [said_next.span()] if said_next else []
    start, relative = 0, False
    for found in _GLUE.finditer(text):
        start = max([start, *(end for _, end in glues if end <= found.start())])
        before, after = text[start : found.start()], text[found.end() :]
        if any(opens < found.start() < closes for opens, closes in enclosed):
            continue
        plain = found[0].strip() == ","
        if _describe(before, after, plain):
            continue
        if plain and not asks and _RELATIVE.match(after):
            relative = True
        elif not plain or not (relative or _belongs_together(before, after, start == 0, text)):
            glues.append(found.span())
            start, relative = found.end(), False
        else:
            relative = False
    glues = sorted(glues) + _last_two(text, glues)
    if not age:
        glues = _after_subject(text, glues)
    edges = [0, *(edge for glue in glues for edge in glue), len(text)]
    spans = zip(edges[::2], edges[1::2], strict=True)
    return [(sentence.start + a, sentence.start + b) for a, b in spans]


def _after_subject(text: str, glues: list[Span]) -> list[Span]:
    """One finding is "Blood count, urea and creatinine are normal": without its last item it would say nothing."""
    verb = _ANY_VERB.search(text)
    return [glue for glue in glues if not verb or glue[0] > verb.start()]


def _belongs_together(before: str, after: str, opens: bool, text: str) -> bool:
    """Whether a comma without "and" parts no two findings."""
    if opens and _INTRODUCES.match(before) and len(before.split()) <= _INTRODUCTION_WORDS:
        return True
    if _IS_LONE.search(before) or _LONE_NEXT.match(after) or re.fullmatch(r"\w+ly", before):
        return True
    # "blood pressure, 128/75 mmHg"
    if after[:1].isdigit() and not re.search(r"\d", before):
        return True
    lone = text.count(", ") == 1 and len(after.split()) == 2  # "long, slender fingers"
    described = (lone or _ONE_ADJECTIVE.search(before)) and not re.match(r"(?:no|with|without)\b", after)
    return bool(described or _YEAR.match(after))


def _describe(before: str, after: str, plain: bool) -> bool:
    """Whether only adjectives stand before the comma, and what they belong to after it."""
    after = after[:_LONGEST_DESCRIPTION]
    if _OTHER_THING.match(after):
        return False
    if _DESCRIBES.search(before[-_LONGEST_DESCRIPTION:]):
        if not plain:  # "axillary, mediastinal, and cervical nodes"
            return bool(re.match(rf"{ADJECTIVE} \w", after, re.I))
        # "burning, itching" are two things, "burning, substernal pain" is one.
        return not before.endswith("ing") or bool(_THING.match(after))
    short = plain and len(before) < _LONGEST_DESCRIPTION
    alone = short and _DESCRIBES_ALONE.fullmatch(before) and _THING.match(after)
    return bool(alone and not STATES.match(after))


def _last_two(text: str, glues: list[Span]) -> list[Span]:
    """A list that ends without a comma: "fever, nausea and vomiting"."""
    commas = [glue for glue in glues if text[slice(*glue)].strip() == ","]
    if not commas or commas[-1] != glues[-1]:
        return []
    found = _LAST_TWO.match(text, commas[-1][1])
    return [found.span("glue")] if found else []


def parting(glue: str) -> int:
    """How much glue within a sentence parts."""
    if ";" in glue or ":" in glue:
        return SEMICOLON
    if _CONTRASTED.search(glue):
        return CONTRAST
    return CONJUNCTION if _CONJOINED.search(glue) else COMMA if "," in glue else WORD
