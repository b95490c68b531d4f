"""A finding in the negative, for the common shapes of a clinical sentence; what has another shape is refused."""

from __future__ import annotations

import re
from functools import lru_cache

from medqa.probes import cutting
from medqa.probes.edits import CannotEdit, Edited, listed, patient, plain
from medqa.probes.edits.listed import GOVERNS, LIST_ENDS, OTHER_WITH, PARTICIPLE, PERSON, PLAIN, VERB
from medqa.probes.edits.plain import DIGITS, DOES, HISTORY, LASTING
from medqa.probes.spans import Span

CLAUSE_ENDS = re.compile(r"; |, (?:and|but) (?=(?:\w+ (?:is|was|has|had)|(?:they|\w+s) (?:are|were|have)) )")
_SENTENCE_ENDS = re.compile(r"[.?!](?=\s|$)")
_SENTENCE_OR_CLAUSE = re.compile(rf"{_SENTENCE_ENDS.pattern}|{CLAUSE_ENDS.pattern}")
REASON = re.compile(
    r"\bbecause of\b|\bpresent(?:s|ed|ing)?\b.*\bwith\b|\bcomplain|\b(?:comes|came|brought|referred)\b", re.I
)
# Done, not found; or no patient at all. Such sentences are not offered.
DONE = (
    r"order|administer|perform|initiat|start|show|obtain|suspect|schedul|hospitaliz|treat|compar|review|refer|admitt"
    r"|prescrib|consult|discharg|plann|recommend|draw|given|made|taken|brought|sent|placed|intubat|transferr|counsel"
    r"|ask|presented|appl|conduct|prompt|assess|remov|resect|inject|evaluat|incubat|cultur|repeat|check|measur"
    r"|collect|isolat|stain|insert|call|told|advis|enroll|random|pending|inform|instruct|educat|reassur|rush|excis"
    r"|biops|repair|aspirat|sutur|studi|accompani|done|seen by|followed|begun|giving|used|offer|request|contact"
    r"|monitor|observ|consider|submit|provid|mention|added|shift|here\b"
)
LATER_CLAUSE = re.compile(
    r"\b(?:that|which|who|whose|when|while|because|since|but|although|if|after|before|until|ago|except|unless|despite"
    r"|says|states|believes?|thinks?|suspects?|knows|hopes|claims|whereas|as well as|prior to|all|every|each|only"
    r"|as (?:he|she|it|they|the|his|her)"
    r"|(?:and|or) (?:exhibit|show|have|are|appear|you|he|she|it|they|the|his|her|their|its|this)"
    rf"|(?:and|or) (?:\w+ly )?(?:{DOES}|\w+s (?:in|on|to|into|at|from)))\b"
    r"|\S with .*\band\b|, \w+ed (?:as|with|by|to|after)\b",
    re.I,
)
NO_FINDING = re.compile(
    rf"\b(?:is|are|was|were|has been|have been|had been) (?:(?:\w+ly|then|also|now|again|still|being) )*"
    rf"(?:{DONE}|to be\b)"
    r"|\b(?:investigator|scientist|researcher|case-control|cohort|trial|experiment|studying)s?\b"
    r"|\b(?:medications?|drugs|vaccines|endpoints?|outcomes?|findings|results|subjects|participants|study)"
    r" (?:is|are|was|were)\b"
    r"|\bfollowing\b|\bas shown\b|\bgiven above\b|\bbelow\b|\bfigures?\b|\bimages? [A-Z]\b|_{3,}|\.{4,}|…",
    re.I,
)


def negated(stem: str, finding: str) -> Edited:
    """`finding`: a clause of the stem as it stands there, or one item of a list in it."""
    start, end = _place(stem, finding)
    found = stem[start:end]
    clause = _clause_around(stem, start, end)
    plain.refuse_half_a_negative(stem, (start, end), clause)
    if VERB.search(found) or REASON.search(found) or found.casefold().startswith("with "):
        plain.refuse_both(found, stem[start : clause[1]])
        new = _clause(stem, start, end)
    else:
        plain.refuse_both(found, found)
        start, end, new = _item(stem, start, end)
    if start < _asked(stem)[1] and end > _asked(stem)[0]:
        raise CannotEdit(f"“{found}” belongs to what is asked. Change it in the text.")
    new = plain.without_degree(new)
    plain.refuse_absurd(found, new)
    return Edited(stem[:start] + new + stem[end:], f"“{stem[start:end]}” → “{new}”.")


def findings(stem: str) -> list[str]:
    """The clauses and list items of the stem that `negated` can put in the negative, in the order of the text."""
    pieces = []
    for sentence in patient.sentences(stem):
        if NO_FINDING.search(sentence):
            continue
        body = sentence.strip().rstrip(".")
        pieces += [part.strip() for part in CLAUSE_ENDS.split(body)]
        for governor in GOVERNS.finditer(body):
            before = body[: governor.start()]
            if governor[0].casefold() == "with " and not PERSON.search(before):
                continue
            items = listed.things(body[governor.end() :], governor[0])
            pieces += items if items and len(items) > 1 else []
    kept = []
    for piece in dict.fromkeys(pieces):
        try:
            negated(stem, piece)
        except CannotEdit:
            continue
        kept.append(piece)
    return kept


def _place(stem: str, finding: str) -> tuple[int, int]:
    if len(finding) > len(stem):
        raise CannotEdit(f"The finding has {len(finding):,} characters, the question {len(stem):,}. Type fewer words.")
    words = finding.strip().rstrip(".").split()
    if not words:
        raise CannotEdit("Choose a finding, or type its words as they stand in the question.")
    places = list(re.finditer(r"(?<!\w)" + r"\s+".join(map(re.escape, words)) + r"(?!\w)", stem, re.I))
    if not places:
        raise CannotEdit(f"“{finding.strip()}” does not stand in the question word for word.")
    if len(places) > 1:
        raise CannotEdit(f"“{finding.strip()}” stands in the question {len(places)} times. Give more of its words.")
    return places[0].span()


def _clause_around(stem: str, start: int, end: int) -> Span:
    parted = list(_SENTENCE_OR_CLAUSE.finditer(stem))
    begins = max((mark.end() for mark in parted if mark.end() <= start), default=0)
    return begins, min((mark.start() for mark in parted if mark.start() >= end), default=len(stem))


# Asked for with each finding of a stem.
@lru_cache(maxsize=1)
def _asked(stem: str) -> Span:
    return cutting.cut(stem).asks


def _clause(stem: str, start: int, end: int) -> str:
    found = stem[start:end]
    _refuse_introduction_and_question(stem, start, end)
    smoker = re.match(r"(.*\b(?:has|had) |.*\b(?=smokes))(smoked|smokes)\b(?!.*\b(?:and|but)\b)", found, re.I)
    if smoker:
        return smoker[1] + ("does not smoke" if smoker[2] == "smokes" else "never smoked")
    bare = HISTORY.sub("", LASTING.sub("", found))
    if DIGITS.search(bare):
        raise CannotEdit(f"“{found}” gives a number. Write the number you want in the text.")
    verb = VERB.search(bare)
    begins = max((mark.end() for mark in _SENTENCE_ENDS.finditer(stem, 0, start)), default=0)
    beside = stem[begins:start]
    if re.search(r"\band $|,.*, $", beside) and not VERB.search(beside):
        raise CannotEdit(f"“{found}” is part of a longer phrase. Give the whole clause, or change it in the text.")
    # "He sprained an ankle and has been taking ibuprofen"
    two_verbs = len(VERB.findall(bare)) > 1 or (
        verb and re.search(r", (?:and|but) |\band (?:now |also |currently )?$", bare[: verb.start()])
    )
    if two_verbs or LATER_CLAUSE.search(bare) or re.match(r"\s*(?:that|which|who|,? and)\b", stem[end:]):
        raise CannotEdit(f"“{found}” says more than one thing. Choose a shorter part, or change it in the text.")
    there = re.search(r"\bthere (?:is|are|was|were) (?!recently|previously|initially|currently)", bare, re.I)
    if there:
        return f"{bare[: there.end()]}no {listed.denied(bare[there.end() :])}"
    if verb is None:
        if OTHER_WITH.search(stem[:start]):
            raise CannotEdit(f"“{found}” belongs to the words before it. Change it in the text.")
        return f"{found[0]}ithout {listed.denied(bare[5:])}"
    return bare[: verb.start()] + _verb_negated(verb[0], bare[verb.end() :])


def _refuse_introduction_and_question(stem: str, start: int, end: int) -> None:
    found = stem[start:end]
    sentence_end = re.search(r"[.?!](?=\s|$)", stem[end:])
    if found.endswith("?") or (sentence_end and sentence_end[0] == "?"):
        raise CannotEdit(f"“{found}” belongs to what is asked. Change it in the text.")
    if any(pattern.search(found) for pattern in patient.AGES):
        raise CannotEdit("That sentence introduces the patient. Choose a single finding, or change it in the text.")
    if REASON.search(found):
        raise CannotEdit(f"“{found}” is why the patient comes. Choose one finding of it, or change it in the text.")


def _verb_negated(verb: str, rest: str) -> str:
    """The clause from its verb on."""
    word = verb.casefold()
    if re.search(r"\b(?:man|woman|boy|girl|infant|child|patient|male|female)\b(?!['’]s)", rest):
        raise CannotEdit(f"“{verb}{rest}” speaks of the patient as a whole. Choose one finding of it.")
    if word in ("is", "are", "was", "were"):
        if re.search(r"(?<!consistent)(?<!associated)(?<!filled) with |^ the ", rest):
            raise CannotEdit(
                f"“{verb}{rest}” says more than one thing. Choose a shorter part, or change it in the text."
            )
        return f"{verb} not{listed.joined(re.sub('^ also', '', rest))}"
    if word in PLAIN:
        if re.search(r"\b(?:one|half|once|twice)\b", rest):
            raise CannotEdit(f"“{verb}{rest}” gives a number. Write the number you want in the text.")
        return f"does not {PLAIN[word]}{listed.joined(rest)}"
    if re.match(rf" (?:{PARTICIPLE})\b", rest) and word in ("has", "have", "had"):
        return f"{verb} not{listed.joined(rest)}"
    if not listed.are_things(verb, rest) or re.match(
        r" (?:to|that|the|this|these|his|her|its|their|(?:now |also |\w+ly )*\w+ed)\b", rest
    ):
        raise CannotEdit(f"“{verb}{rest}” has no plain negative. Change it in the text.")
    return f"{verb} no {listed.denied(rest.strip())}"


def _item(stem: str, start: int, end: int) -> tuple[int, int, str]:
    """The whole phrase with one thing of its list taken out: (start, end, new text)."""
    found = stem[start:end]
    sentence_start = max(stem.rfind(". ", 0, start) + 2, 0) if ". " in stem[:start] else 0
    governors = list(GOVERNS.finditer(stem, sentence_start, start))
    if not governors:
        raise CannotEdit(f"“{found}” is not in a form whose negative is plain. Change it in the text.")
    governor = governors[-1]
    stop = governor.end() + LIST_ENDS.search(stem[governor.end() :]).start()
    phrase = stem[governor.end() : stop]
    alone = phrase == found and listed.are_things(governor[0], phrase)
    items = [phrase] if alone else listed.things(stem[governor.end() :], governor[0])
    word = governor[0].strip()
    chosen = re.sub(r"^(?:an?|some) ", "", found)
    rest = [item for item in items or [] if re.sub(r"^(?:an?|some) ", "", item).casefold() != chosen.casefold()]
    if not items or len(rest) != len(items) - 1:
        raise CannotEdit(f"“{found}” is part of a longer phrase. Give the whole clause, or change it in the text.")
    if word.casefold() == "with" and OTHER_WITH.search(stem[: governor.start()]):
        raise CannotEdit(f"“{found}” belongs to the words before it. Change it in the text.")
    negative = "without" if word.casefold() == "with" else "no"
    if not rest:
        tail = "" if negative == "without" else f"{word} "
        return governor.start(), stop, f"{tail}{negative} {chosen}"
    return governor.start(), stop, f"{word} {listed.in_words(rest)} but {negative} {chosen}"
