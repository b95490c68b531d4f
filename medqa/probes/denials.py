"""How far a denial reaches in a list: "no fever, chills, or cough" denies all three. Says where; cuts nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from medqa.probes.spans import BEGINS_CLAUSE, STATES, VERB, Span

# What denies

_WORDS = (
    r"(?:not|never|no|none|nor|neither|without|cannot|\w+n['’]t|den(?:y|ies|ied|ying)|negative for|unremarkable for"
    r"|absent|absence|free (?:of|from)|lack(?:s|ed|ing)?|unable|fail(?:s|ed|ing)? to|refus(?:es?|ed|ing)"
    r"|declin(?:es?|ed)|avoid(?:s|ed|ing)?|rul(?:e|es|ed) out|hardly|scarcely|barely|rarely|seldom"
    r"|(?<!\ba )little|(?<!\ba )(?<!past )(?<!last )(?<!next )(?<!first )few)\b"
)
DENIES = re.compile(rf"\b{_WORDS}", re.I)
_DENIES_ITSELF = re.compile(
    r"(?:(?:also|currently|otherwise|specifically|has|have|had|is|are|was|were|does|do|did|with|takes?|there|he|she)\s+)"
    rf"{{0,3}}{_WORDS}",
    re.I,
)
# Before things, or before a verb or adjective: only these can be parted from what they deny.
_OPENS = re.compile(
    r"\b(?:(?P<things>no(?! (?:longer|one|more|less|sooner|further|matter)\b)|without|den(?:y|ies|ied|ying)"
    r"|negative for|free (?:of|from)|lacks?|absence of|neither)"
    r"|(?P<verbs>not|never|cannot|\w+n['’]t|(?:unable|fails?|failed|refuses?|refused) to))"
    r"\s+(?:(?:currently|also)\s+)?",
    re.I,
)

# What is denied

# "no history of": the rest of the list is denied with these words or without them alike.
_LIGHT = re.compile(
    r"(?:(?:any|either|having|experiencing|the)\s+)*"
    r"(?:(?:[\w’'-]+\s+){0,3}?(?:history|evidence|signs?|symptoms?|complaints?|presence|use)\s+of\s+)?"
    r"(?:(?:any|having)\s+)?",
    re.I,
)
# "change in appetite, sleep, or weight": what stands before the preposition may belong to all.
SHARED = re.compile(r"\b(?:of|in|to|with|on|over|at|for|from|by|during|around|involving|about)\b", re.I)
_ONE_THING = re.compile(r"\b(?:shortness of breath|loss of (?:consciousness|appetite))\b", re.I)
# "motor, sensory, or cranial nerve deficits"
_HALF = re.compile(r"(?:[a-z-]*(?:al|ar|ary|ed|ous|ic|oid|ive|ian|ory)|motor|bowel|bladder|breast)$", re.I)
_DOES = re.compile(
    r"(?:smoke|drink|use|take|have|eat|feel|speak|talk|walk|run|move|sit|stand|see|hear|sleep|breathe|swallow|recall"
    r"|remember|follow|work|drive|exercise|consume|abuse|wear|travel|know|want|play|read|write|name|repeat|respond|open"
    r"|bear|perform|do|make|get|go|come|live|report|show|appear|look|seem|engage|communicate|obey|attend|keep)s?\b",
    re.I,
)
_DONE = re.compile(r"(?:had|been|given|taken|done|gone|seen|felt|drunk|eaten|known|sought|lost|\w{2,}ed)\b", re.I)
_TAKES_THINGS = re.compile(
    r"(?:have|had|take|taken|taking|used?|using|eat|reports?|show|demonstrate|reveal|recall|noticed?|experienced?"
    r"|experiencing|suggest)\s+",
    re.I,
)
_HAS_TO_DO_WITH = re.compile(r"[a-z]+(?:ed|ent|ant|ive)\s+(?:with|to|by|in|of)\s+", re.I)


@dataclass(frozen=True)
class Denied:
    """Items `first` to `end` of a list. `lead`: the words that deny each of `items`; None where they can't be told
    apart, so that `items` is all of them as one. `before`: what the first one says before it denies."""

    first: int
    end: int
    items: tuple[Span, ...]
    lead: Span | None = None
    before: Span | None = None


def denied_lists(stem: str, spans: Sequence[Span]) -> Iterator[Denied]:
    """The denials that reach beyond the item they stand in."""
    texts = [stem[slice(*span)] for span in spans]
    glues = ["", *(stem[one[1] : other[0]] for one, other in pairwise(spans))]
    i = 0
    while i < len(spans):
        end, surely = _reach(texts, glues, i)
        if end > i + 1:
            apart = _apart(stem, spans, i, end) if surely else None
            yield apart or Denied(i, end, ((spans[i][0], spans[end - 1][1]),))
        i = end


# How far it reaches

# Who denies things denies all of them, those after "and" too.
_ALL = re.compile(r"den(?:y|ies|ied|ying)|negative for|free (?:of|from)", re.I)
_AND_A = re.compile(r",?\s+and\s+(?:an?|the|his|her|their)\s", re.I)
_OWN_SUBJECT = re.compile(
    rf"{BEGINS_CLAUSE}|with\b|(?:the|his|her|their|its|this|these)\s+(?:[\w’'-]+\s+){{1,4}}?{VERB}\b", re.I
)
_VERB_FIRST = re.compile(rf"{VERB}\b(?!-)", re.I)


def _reach(texts: Sequence[str], glues: Sequence[str], i: int) -> tuple[int, bool]:
    """Where the reach of a denial in item `i` ends, and whether it surely goes that far."""
    words = DENIES.findall(texts[i])
    if not words:
        return i + 1, True
    ends = (j for j in range(i + 1, len(texts)) if _speaks_for_itself(glues[j], texts[j], within=j > i + 1))
    end = next(ends, len(texts))
    joined = [j for j in range(i + 1, end) if re.search(r"\bn?or\b", glues[j])]
    if joined:
        end = joined[-1] + 1
        return end, not _turns(texts[i:end])
    end = next((j for j in range(i + 1, end) if _VERB_FIRST.match(texts[j])), end)
    if end == i + 2 and words[-1].casefold() == "no" and _AND_A.match(glues[i + 1] + texts[i + 1]):
        return i + 1, True  # "no rash and a cough"
    return end, bool(_ALL.match(words[-1])) and not _turns(texts[i:end])


def _turns(texts: Sequence[str]) -> bool:
    """ "He denies fever but developed pain, redness, and swelling": what follows "but" is not denied."""
    return any(re.search(r"\bbut\b", text) for text in texts[:-1])


def _speaks_for_itself(glue: str, text: str, within: bool) -> bool:
    """`within`: after another item, where "and cough is rare" may end "no fever, chills, and cough"."""
    if re.search(r"[;:]|\bbut\b", glue):
        return True
    if re.search(r"\bnor\b", glue):
        return False
    if _DENIES_ITSELF.match(text) or _OWN_SUBJECT.match(text):
        return True
    joined = re.search(r"\bor\b", glue) or (within and re.search(r"\band\b", glue))
    return bool(not joined and STATES.match(text) and not _VERB_FIRST.match(text))


# Whether its items can be told apart


def _apart(stem: str, spans: Sequence[Span], first: int, end: int) -> Denied | None:
    start, stop = spans[first]
    opening = next(reversed([*_OPENS.finditer(stem, start, stop)]), None)
    if opening is None:
        return None
    own, others = stem[opening.end() : stop], [stem[slice(*span)] for span in spans[first + 1 : end]]
    parted = _things(own, others) if opening["things"] else _verbs(stem[start : opening.start()], own, others)
    if parted is None:
        return None
    skipped, alone = parted
    items = [(opening.end() + skipped, stop), *spans[first + 1 : end]]
    items[alone:] = [(items[alone][0], items[-1][1])]
    before, begins = _before(stem, start, opening, listed=first > 0)
    lead = (begins, begins + len(stem[begins : items[0][0]].rstrip()))
    return Denied(first, end, tuple(items), lead, before)


# How many letters of the first item deny the others too, and how many items can be left out alone: the rest are one.
Parted = tuple[int, int]
_STATEMENT = re.compile(rf"^(?:that|which|who)\b|\b(?:he|she|they|it)\s+{VERB}\b", re.I)
_BEING = re.compile(r"\b(?:is|are|was|were|been|be|appears?|feels?|looks?)\s+$", re.I)


def _things(own: str, others: list[str]) -> Parted | None:
    light = _LIGHT.match(own).end()
    texts = [own[light:], *others]
    if any(map(_HALF.match, texts[:-1])) or any(map(STATES.match, others)) or any(map(_STATEMENT.search, others)):
        return None
    shared = (i for i, text in enumerate(texts[:-1]) if SHARED.search(_ONE_THING.sub("", text)))
    alone = next(shared, len(others))
    return (light, alone) if alone else None


def _verbs(before: str, own: str, others: list[str]) -> Parted | None:
    texts = [own, *others]
    if _BEING.search(before) and not any(" " in text for text in texts):
        return 0, len(others)
    if any(all(map(shape.match, texts)) for shape in (_DOES, _DONE)):
        return 0, len(others)
    if any(shape.match(text) for shape in (_DOES, _DONE) for text in others):
        return None
    takes = _TAKES_THINGS.match(own) or _HAS_TO_DO_WITH.match(own)
    if takes:
        parted = _things(own[takes.end() :], others)
        return parted and (takes.end() + parted[0], parted[1])
    described = not (_DONE.match(own) and " " in own) and not any(map(SHARED.search, texts))
    return (0, len(others)) if _BEING.search(before) and described else None


# What stands before it

_LINK = re.compile(r"(?P<link>(?:,?\s+(?:but|and))?\s+)(?P<with>with\s+)?$", re.I)
_AFTER_A_THING = re.compile(r"without|free", re.I)
_SAYS = re.compile(rf"\b(?:{VERB}|\w{{3,}}ed)\s+\w", re.I)
_LEADS_ON = re.compile(
    rf"\b(?:{VERB}|been|be|being|of|for|to|in|that|which|who|he|she|they|it|with|and|but|currently|also)$", re.I
)


def _before(stem: str, start: int, opening: re.Match, listed: bool) -> tuple[Span | None, int]:
    """ "A soft abdomen | with no", but "Examination shows no": what can stand without the denial, and where its lead
    begins."""
    link = _LINK.search(stem, start, opening.start())
    if link is None or not opening["things"]:
        return None, start
    said = stem[start : link.start()]
    parted = link["with"] or link[0].strip() or _AFTER_A_THING.match(opening["things"])
    whole = (listed or _SAYS.search(said)) and not _LEADS_ON.search(said)
    return ((start, link.start()), link.end("link")) if parted and whole else (None, start)
