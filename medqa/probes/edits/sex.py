"""The patient as the other sex: nouns, pronouns, titles and spouse; other people stay as they are."""

from __future__ import annotations

import re

from medqa.probes.edits import CannotEdit, Edited, patient

NOUNS = {"man": "woman", "boy": "girl", "male": "female", "gentleman": "lady"}
OTHER_NOUN = NOUNS | {female: male for male, female in NOUNS.items()}
SPOUSES = {"husband": "wife", "boyfriend": "girlfriend", "fiancé": "fiancée"}
OTHER_SPOUSE = SPOUSES | {female: male for male, female in SPOUSES.items()}
OCCUPATIONS = {
    "businessman": "businesswoman", "policeman": "policewoman", "salesman": "saleswoman", "fireman": "firewoman",
    "waiter": "waitress", "widower": "widow", "actor": "actress",
}  # fmt: skip
OTHER_OCCUPATION = OCCUPATIONS | {female: male for male, female in OCCUPATIONS.items()}
# Of a child they may be the patient: "his mother says that her son …".
OTHER_CHILD = {"son": "daughter", "daughter": "son"}
FEMALE_PRONOUN = {"he": "she", "him": "her", "himself": "herself"}
MALE_PRONOUN = {female: male for male, female in FEMALE_PRONOUN.items() if female != "her"} | {"hers": "his"}
RELATIVES = {
    "male": r"(?:step|grand|god)?(?:father|son)|dad|brother|uncle|nephew|husband|boyfriend",
    "female": r"(?:step|grand|god)?(?:mother|daughter)|mom|sister|aunt|niece|wife|girlfriend",
}
ANY_RELATIVE = rf"(?:{RELATIVES['male']}|{RELATIVES['female']}|parents|siblings|family|children|child)"
BOUND = {
    "male": r"prostat\w*|penis|penile|test[ie]s|testic\w+|scrot\w+|erectile|ejaculat\w*|semen|sperm\w*|epididym\w*"
    r"|circumcis\w*|foreskin|glans|vasectomy|cryptorchid\w*|hydrocele|varicocele|urologic\w* history|Klinefelter\w*"
    r"|gyn(?:a?e)comastia|BPH|PSA|hypospadias|phimosis|priapism|balanitis|orchi\w+|tamsulosin|finasteride",
    "female": r"menstru\w*|menses|menarche|\w*menopaus\w*|\w*menorrh\w*|ovar(?:y|ies|ian)|uter(?:us|ine)"
    r"|vagin\w*(?! (?:delivery|birth))"
    r"|vulv\w*|labia\w*|hysterectomy|Pap|postpartum|cervix|gyn\w*ecolog\w*|obstetric\w*|endometri\w*|adnexa\w*"
    r"|mammogra\w*|\w*parous|miscarriages?|tampons?|\w*gravida?|G\d ?P\d\w*|contraceptives?|housewife"
    r"|(?<!her )periods|intra-?uterine|IUDs?|abortions?|salping\w*|oophor\w*|tub(?:al|es) (?:ligation|tied|pregnancy)"
    r"|fallopian|ectopic pregnancy|Turner\w* syndrome|dilation and curettage",
}
# In a child's history these are the mother's.
OF_MOTHERS = (
    r"pregnan\w*|prenatal\w*|antenatal\w*|gestation\w*|trimester|breast-?fe\w+|lactating|cesarean"
    rf"|vaginal (?:delivery|birth)|{patient.DELIVERS}"
    r"|g(?:ave|iv\w+) birth|in labor|C-section|\w*eclampsia|HELLP|placent\w*|fetus|fetal|ruptured ectopic|para \d"
)
CHILD = 10
OBSTETRIC = r"(?:primi|multi)?gravida?|G\d ?P\d\w*|para \d|in labor"
# "Examination shows a thin man" is the patient; "greeted by a man" may be another.
SEEN = re.compile(
    r"\b(?:is|was|reveals?|revealed|shows?|showed|demonstrates?|demonstrated|notes?|noted|for)(?: \w+ly)? "
    r"an? (?:[\w-]+(?:,| and|, and)? ){0,6}$",
    re.I,
)
# What does not say the patient's sex: "two male partners", "male pattern baldness", "born to a 26-year-old woman".
OF_OTHERS = re.compile(
    rf" (?:[\w-]+ ){{0,3}}?"
    rf"(?:partners?|coworkers?|cousins?|relatives?|friends?|infertility|pattern|hair|hormones?|sex|{ANY_RELATIVE})\b",
    re.I,
)
BORN_TO = re.compile(r"\b(?:born|delivered)\b.*\b(?:to|by) an? (?:[\w-]+,? )*$", re.I)
# After one of these words, or after none, "her" is "him"; else it is "his", unless one of the verbs stands before it.
AFTER_HIM = re.compile(
    r"to|that|for|with|on|in|from|at|and|or|because|by|since|after|before|during|until|when|while|if|about|as|an?|the|not"
    r"|which|who|is|was|be|up|out|instead|every"
)
PERSON_DOES = re.compile(
    r"saw|see[ns]?|ma[dk]es?|making|lets?|help(?:s|ed)?|finds?|found|watch(?:es|ed)?|hears?|heard|tells?|told|gives?|gave"
    r"|giving|ask(?:s|ed)?|keeps?|kept|bothers?|caus(?:es?|ed|ing)|wakes?|woke|cost|call(?:s|ed)?"
)


def other_sex(stem: str) -> Edited:
    old = patient.sex(stem)
    new = "female" if old == "male" else "male"
    _refuse_bound(stem, old)
    _refuse_two_of_one_sex(stem, old)
    both = _spouse_turns(stem, old)
    words: dict[str, str] = {}

    def turned(match: re.Match) -> str:
        other = _other(match, old, both)
        if other is None:
            return match[0]
        words.setdefault(match[0].casefold(), other)
        return _cased(match[0], other)

    edited = re.sub(r"\b[A-Za-zé]+\b", turned, stem)
    if edited == stem:
        raise CannotEdit(f"No word of the question says that the patient is {old}.")
    _refuse_left(edited, old)
    pairs = ", ".join(f"{before} → {after}" for before, after in words.items())
    return Edited(edited, f"{new.capitalize()} instead of {old}: {pairs}.")


def _other(match: re.Match, old: str, both: bool) -> str | None:
    """The word for the other sex; None when the word is to stay."""
    word, stem = match[0].casefold(), match.string
    before, after = stem[: match.start()], stem[match.end() :]
    if word in OTHER_NOUN:
        return OTHER_NOUN[word] if patient.SEX_OF[word] == old and _is_patient(stem, match) else None
    if word in OTHER_SPOUSE:
        return OTHER_SPOUSE[word] if (word in SPOUSES) != (old == "male") else None
    if word in OTHER_CHILD:
        of_parents = re.search(r"\b(?:her|his|their|the|this) $", before, re.I) and _is_child(stem)
        return OTHER_CHILD[word] if of_parents and (word == "son") == (old == "male") else None
    if word in OTHER_OCCUPATION:
        return OTHER_OCCUPATION[word] if (word in OCCUPATIONS) == (old == "male") else None
    if word in ("mr", "mrs", "ms", "miss") and re.match(r"\.? [A-Z]", after):
        return ({"mr": "Mrs"} if old == "male" else {"mrs": "Mr", "ms": "Mr", "miss": "Mr"}).get(word)
    if word in patient.PRONOUNS["male"] and (old == "male" or both):
        if word == "his":
            return "her" if re.match(r"[ -]\w", after) else "hers"
        return FEMALE_PRONOUN[word]
    if word in patient.PRONOUNS["female"] and (old == "female" or both):
        return _his_or_him(before, after) if word == "her" else MALE_PRONOUN[word]
    return None


def _is_patient(stem: str, match: re.Match) -> bool:
    """The noun that introduces the patient, or "the man", "this 45-year-old man", "male patient"."""
    named = patient.noun(stem)
    if named and named.start == match.start():
        return True
    before, after = stem[: match.start()], stem[match.end() :]
    again = re.search(r"\b(?:the|this)(?: [\w-]+){0,2} $", before, re.I) or SEEN.search(before)
    return bool(again and not OF_OTHERS.match(after)) or bool(re.match(r" patient\b", after))


def _his_or_him(before: str, after: str) -> str:
    following = re.match(r" ([\w'’]+)", after)
    if not following or AFTER_HIM.fullmatch(following[1].casefold()):
        return "him"
    preceding = re.search(r"(\w+) $", before)
    if preceding and PERSON_DOES.fullmatch(preceding[1].casefold()):
        phrase = f"{preceding[1]} her {following[1]}"
        raise CannotEdit(f"In “{phrase}” it is not clear whether “her” becomes “his” or “him”. Change it in the text.")
    return "his"


def _spouse_turns(stem: str, old: str) -> bool:
    """Whether a wife becomes a husband and her pronouns with her. Raises CannotEdit when they may be another's."""
    theirs = "female" if old == "male" else "male"
    spouses = SPOUSES.values() if old == "male" else SPOUSES
    if not re.search(rf"\b(?:{'|'.join(spouses)})\b", stem, re.I):
        return False
    pronouns = re.search(rf"\b(?:{'|'.join(patient.PRONOUNS[theirs])})\b", stem, re.I)
    others = [word for word in re.findall(rf"\b(?:{RELATIVES[theirs]})\b", stem, re.I) if word not in spouses]
    if pronouns and others:
        raise CannotEdit(
            f"“{pronouns[0]}” may mean the patient's spouse or the {others[0]}. Change the sex in the text."
        )
    return bool(pronouns)


def _refuse_bound(stem: str, old: str) -> None:
    """What only one sex has would make the edited question contradict itself; a relative's may stay."""
    bound = BOUND[old]
    if not _is_child(stem):
        # "A 35-year-old G2P1 delivers a boy": the boy is not the patient.
        bound += f"|{OF_MOTHERS}" if old == "female" else f"|{OBSTETRIC}"
    for sentence in patient.sentences(stem):
        found = re.search(rf"\b(?:{bound})\b", sentence, re.I)
        if found and not re.search(rf"\b(?:{RELATIVES[old]})\b", sentence[: found.start()], re.I):
            kind = "man" if old == "male" and not re.fullmatch(OBSTETRIC, found[0], re.I) else "woman"
            raise CannotEdit(
                f"“{found[0]}” is said of a {kind}; the other sex would contradict it. Change the text by hand."
            )


def _refuse_left(edited: str, old: str) -> None:
    """A noun of the old sex that is nobody else's would make two people of the patient."""
    nouns = "|".join(word for word, sex in patient.SEX_OF.items() if sex == old)
    for sentence in patient.sentences(edited):
        for noun in re.finditer(rf"\b(?:{nouns})\b", sentence, re.I):
            before, after = sentence[: noun.start()], sentence[noun.end() :]
            if OF_OTHERS.match(after) or BORN_TO.search(before) or re.search(rf"\b{ANY_RELATIVE}\b", before, re.I):
                continue
            around = f"{' '.join(before.split()[-3:])} {noun[0]}".strip()
            raise CannotEdit(
                f"It is not clear whether “{noun[0]}” in “{around}” is the patient. Change the sex in the text."
            )


def _is_child(stem: str) -> bool:
    try:
        age = patient.ages(stem)[0]
    except CannotEdit:
        return bool(re.search(r"\b(?:newborn|neonate|infant)\b", stem, re.I))
    return age.unit != "year" or age.number < CHILD


def _refuse_two_of_one_sex(stem: str, old: str) -> None:
    """ "His father said that he …", "… her mother. She …": which of the two is meant is not in the words."""
    pronoun = rf"\b(?:{'|'.join(patient.PRONOUNS[old])})\b(?! (?:[\w-]+ )?{ANY_RELATIVE})"
    relatives = RELATIVES[old].replace("|son", "").replace("|daughter", "") if _is_child(stem) else RELATIVES[old]
    other = None
    for sentence in patient.sentences(stem):
        said = other and re.match(rf"\s*(?:{patient.PRONOUNS[old][0]})\b", sentence, re.I)
        other = re.search(rf"\b(?:{relatives})\b", sentence, re.I) or (other if said else None)
        said = said or (other and re.search(pronoun, sentence[other.end() :], re.I))
        if said and other:
            word = said[0].strip()
            raise CannotEdit(f"“{word}” after “{other[0]}” may mean either of the two. Change the sex in the text.")


def _cased(like: str, word: str) -> str:
    if like.isupper() and len(like) > 1:
        return word.upper()
    return word[0].upper() + word[1:] if like[0].isupper() else word
