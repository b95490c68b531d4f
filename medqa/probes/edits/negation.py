"""A finding in the negative, for the common shapes of a clinical sentence; what has another shape is refused."""

from __future__ import annotations

import re

from medqa.probes.edits import CannotEdit, Edited, patient

TIME = r"(?:hour|day|week|month|year)s?"
HOW_LONG = rf"(?:\d+|an?|one|two|three|four|five|six|several|few)(?:[ -](?:to|-)[ -]?\d+)?[ -]{TIME}"
LASTING = re.compile(rf",? (?:for|over|during|in) (?:the )?(?:past |last |previous )?{HOW_LONG}\b(?! of)", re.I)
HISTORY = re.compile(rf"\b(?:an? )?{HOW_LONG}['’]? (?=history of)", re.I)
NEGATIVE = re.compile(
    r"\b(?:no|not|\w+n['’]t|cannot|without|den(?:y|ies|ied)|never|neither|nor|none|negative|absent|non\w+"
    r"|un(?:remarkable|responsive|able|aware|affected|changed|eventful|immunized|vaccinated|involved|conscious))\b",
    re.I,
)
# "No little pain" and "rarely does not drink" deny nothing.
HARDLY = re.compile(
    r"\b(?:hardly|scarcely|barely|rare(?:ly)?|seldom|infrequent(?:ly)?|little|few(?:er)?|less|least|minimal(?:ly)?|almost|nearly"
    r"|lack\w*|fail(?:s|ed|ing)?|refus(?:e[sd]?|ing)|declin(?:e[sd]?|ing)|avoid\w*|absence|devoid|free (?:of|from)"
    r"|rul(?:es?|ed) out)\b",
    re.I,
)
# "He often does not drink" is not the opposite of "he often drinks".
HOW_OFTEN = re.compile(
    r"\b(?:always|often|usually|frequently|sometimes|occasional(?:ly)?|regularly|generally|typically|mostly|constantly)\b",
    re.I,
)
# Nor "no several bruises" that of "several".
HOW_MANY = re.compile(r"^both\b|\bboth .* and\b|\b(?:much|many|most|several|multiple|numerous|various)\b", re.I)
CLAUSE_ENDS = re.compile(r"; |, (?:and|but) (?=\w+ (?:is|are|was|were|has|have|had) )")
_SENTENCE_OR_CLAUSE = re.compile(rf"[.?!](?=\s|$)|{CLAUSE_ENDS.pattern}")
DIGITS = re.compile(r"(?<!type )(?<![A-Za-z])\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|few)\b", re.I)
LATER_CLAUSE = re.compile(
    r"\b(?:that|which|who|whose|when|while|because|since|but|although|if|after|before|until|ago|except|unless|says"
    r"|states|as well as|all|every|each|only|(?:and|or) (?:you|he|she|it|they|the)"
    r"|and (?:\w+ly )?\w+s (?:in|on|to|into|at|from))\b"
    r"|\S with .*\band\b",
    re.I,
)
REASON = re.compile(
    r"\bbecause of\b|\bpresent(?:s|ed|ing)?\b.*\bwith\b|\bcomplain|\b(?:comes|came|brought|referred)\b", re.I
)

NO = "shows?|showed|reveals?|revealed|demonstrates?|demonstrated|reports?|reported|notes|noted|endorses|includes?"
HAVE = r"has had|have had|has|have|had"
PARTICIPLE = r"been|become|noticed|felt|lost|gained|taken|used|smoked|vomited|experienced|developed|received|travell?ed"
# "Has received erythromycin and benzoyl peroxide" has no thing "received erythromycin"; "blurred vision" is one.
_LIKE_ADJECTIVES = (
    r"(?:in|de)creased|elevated|raised|reduced|diminished|blurred|slurred|enlarged|distended|dilated|widened|impaired"
    r"|generalized|localized|scattered|isolated|marked|prolonged|delayed|limited|restricted|disorganized|unexplained"
    r"|repeated|webbed|rolled|swollen"
)
NO_THING = re.compile(
    rf"(?:(?!(?:{_LIKE_ADJECTIVES})\b)\w{{3,}}ed|{PARTICIPLE}|gotten|gone|seen|done|had|begun|eaten|drunk|slept|come|run"
    r"|(?!(?:early|family|scaly|daily|weekly|monthly|bodily|curly|wooly)\b)\w+ly|then|not|also|again|upon|never"
    r"|can(?:not)?|could|will|would|does|do|did|seems?|continues?|feels?|looks?|more|less)\b(?!-)",
    re.I,
)
# "Further workup confirms a deficiency", "she": no thing stands alone as an item of a list.
SENTENCE_OF_ITS_OWN = re.compile(
    r"^(?:he|she|they|it)$|\bbut\b|\b(?:confirm|require|suggest|indicate|cause|result|continue|seem|improve|resolve)(?:s|ed)\b",
    re.I,
)
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
# Done, not found; or no patient at all. Such sentences are not offered.
DONE = (
    r"order|administer|perform|initiat|start|show|obtain|suspect|schedul|hospitaliz|treat|compar|review|refer|admitt"
    r"|prescrib|consult|discharg|plann|recommend|draw|given|made|taken|brought|sent|placed|intubat|transferr|counsel|ask|presented"
)
NO_FINDING = re.compile(
    rf"\b(?:is|are|was|were) (?:\w+ly )?(?:{DONE})"
    r"|\b(?:investigator|scientist|researcher|case-control|cohort|trial|experiment|studying)s?\b",
    re.I,
)
ADJECTIVE = re.compile(
    r"(?:al|ar|ary|ed|ous|ic|oid|ive)$"
    r"|^(?:an? )?(?:\w*tender|soft|firm|hard|full|small|large|smooth|rough|clear|warm|cool|cold|dry|moist|pale|round"
    r"|thin|thick|long|short|low|high|mild|severe|deep|red|white|dark|faint|loud|weak|new|old|slow|rapid"
    r"|shallow|painless)$",
    re.I,
)
PERSON = re.compile(r"\b(?:man|woman|boy|girl|male|female|patient|infant|newborn|child|present(?:s|ed)) $", re.I)
# Where a list of findings ends although the sentence goes on; the rest belongs to no finding of the list.
LIST_ENDS = re.compile(rf"(?=[.;]|$|{LASTING.pattern}|,? (?:comes|presents|is|are|was|were) )", re.I)


def negated(stem: str, finding: str) -> Edited:
    """`finding`: a clause of the stem as it stands there, or one item of a list in it."""
    start, end = _place(stem, finding)
    found = stem[start:end]
    if NEGATIVE.search(found):
        raise CannotEdit(f"“{found}” is in the negative already. Change it in the text.")
    _refuse_half_a_negative(stem, start, end)
    if VERB.search(found) or REASON.search(found) or found.casefold().startswith("with "):
        new = _clause(stem, start, end)
    else:
        start, end, new = _item(stem, start, end)
    return Edited(stem[:start] + new + stem[end:], f"“{stem[start:end]}” → “{new}”.")


def findings(stem: str) -> list[str]:
    """The clauses and list items of the stem that `negated` can put in the negative, in the order of the text."""
    pieces = []
    for sentence in patient.sentences(stem):
        if NO_FINDING.search(sentence) or sentence.rstrip().endswith("?"):
            continue
        body = sentence.strip().rstrip(".")
        pieces += [part.strip() for part in CLAUSE_ENDS.split(body)]
        for governor in GOVERNS.finditer(body):
            before = body[: governor.start()]
            if governor[0].casefold() == "with " and not PERSON.search(before):
                continue
            listed = body[governor.end() :]
            items = _items(listed[: LIST_ENDS.search(listed).start()], governor[0])
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


def _refuse_half_a_negative(stem: str, start: int, end: int) -> None:
    """Some of these words stand beside the finding, and what is put in the negative would come to stand under them."""
    found = stem[start:end]
    parted = list(_SENTENCE_OR_CLAUSE.finditer(stem))
    begins = max((mark.end() for mark in parted if mark.end() <= start), default=0)
    ends = min((mark.start() for mark in parted if mark.start() >= end), default=len(stem))
    clause = LASTING.sub("", stem[begins:ends])
    beside = HARDLY.search(clause) or HOW_OFTEN.search(clause) or NEGATIVE.search(stem, begins, start)
    unclear = beside or HOW_MANY.search(HISTORY.sub("", LASTING.sub("", found)))
    if unclear:
        raise CannotEdit(f"With “{unclear[0]}” the negative of “{found}” would not be plain. Change it in the text.")


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
    two_verbs = len(VERB.findall(bare)) > 1 or (verb and re.search(r", (?:and|but) ", bare[: verb.start()]))
    if two_verbs or LATER_CLAUSE.search(bare) or re.match(r"\s*(?:that|which|who|,? and)\b", stem[end:]):
        raise CannotEdit(f"“{found}” says more than one thing. Choose a shorter part, or change it in the text.")
    there = re.search(r"\bthere (?:is|are|was|were) (?!recently|previously|initially|currently)", bare, re.I)
    if there:
        return f"{bare[: there.end()]}no {_listed(bare[there.end() :])}"
    if verb is None:
        if OTHER_WITH.search(stem[:start]):
            raise CannotEdit(f"“{found}” belongs to the words before it. Change it in the text.")
        return f"{found[0]}ithout {_listed(bare[5:])}"
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
    if word in ("is", "are", "was", "were"):
        if re.search(r"(?<!consistent)(?<!associated)(?<!filled) with |^ the ", rest):
            raise CannotEdit(
                f"“{verb}{rest}” says more than one thing. Choose a shorter part, or change it in the text."
            )
        return f"{verb} not{_joined(re.sub('^ also', '', rest))}"
    if word in PLAIN:
        return f"does not {PLAIN[word]}{_joined(rest)}"
    if re.match(rf" (?:{PARTICIPLE})\b", rest) and word in ("has", "have", "had"):
        return f"{verb} not{_joined(rest)}"
    if _is_done(verb, rest) or re.match(
        r" (?:to|that|the|this|these|his|her|its|their|(?:now |also |\w+ly )*\w+ed)\b", rest
    ):
        raise CannotEdit(f"“{verb}{rest}” has no plain negative. Change it in the text.")
    if re.search(r"\b(?:man|woman|boy|girl|infant|child|patient|male|female)\b", rest):
        raise CannotEdit(f"“{verb}{rest}” speaks of the patient as a whole. Choose one finding of it.")
    return f"{verb} no {_listed(rest.strip())}"


def _is_done(governor: str, text: str) -> bool:
    """ "Has received": done, not had."""
    return bool(re.fullmatch(HAVE, governor.strip(), re.I) and NO_THING.match(text.strip()))


def _listed(things: str) -> str:
    """ "a fever, chills, and a rash" → "fever, chills, or rash", to stand after no or without."""
    things = re.sub(r"^(?:an?|some|any) ", "", things)
    return re.sub(r"(, |\bor )(?:an?|some|any) ", r"\1", _joined(things))


def _joined(rest: str) -> str:
    return re.sub(r"\band\b", "or", rest)


def _parts(text: str) -> list[str]:
    return [part.strip() for part in re.split(r",? and |, ", text)]


def _are_things(governor: str, parts: list[str]) -> bool:
    return not any(_is_done(governor, part) or SENTENCE_OF_ITS_OWN.search(part) for part in parts)


def _items(text: str, governor: str) -> list[str] | None:
    """The things of "fever, chills, and a rash"; None when a modifier may belong to all of them, or one is no thing."""
    if re.search(
        r"\b(?:of|in|on|at|to|from|by|with|over|across|along|below|above|under|near|around|located|as|that|which|who|when)\b|[()]",
        text,
    ):
        return None
    parts = _parts(text)
    if any(ADJECTIVE.search(part) for part in parts[:-1]) or VERB.search(text):
        return None  # "axillary and cervical lymph nodes": half of one thing
    if not _are_things(governor, parts) or any(map(NEGATIVE.search, parts)):
        return None
    # Without "and" the commas part the words of one thing: "gram-negative, flagellated bacilli".
    whole = " and " in text or len(parts) == 1
    return parts if all(parts) and whole and not DIGITS.search(text) else None


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
    alone = phrase == found and _are_things(governor[0], _parts(phrase))
    items = [phrase] if alone else _items(phrase, governor[0])
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
    return governor.start(), stop, f"{word} {_in_words(rest)} but {negative} {chosen}"


def _in_words(things: list[str]) -> str:
    if len(things) < 3:
        return " and ".join(things)
    return f"{', '.join(things[:-1])}, and {things[-1]}"
