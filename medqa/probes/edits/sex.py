"""The patient as the other sex: nouns, pronouns, titles and spouse; other people stay as they are."""

from __future__ import annotations

import re

from medqa.probes.edits import CannotEdit, Edited, bound, patient
from medqa.probes.edits.bound import RELATIVES

NOUNS = {"man": "woman", "boy": "girl", "male": "female", "gentleman": "lady"}
OTHER_NOUN = NOUNS | {female: male for male, female in NOUNS.items()}
SPOUSES = {"husband": "wife", "boyfriend": "girlfriend", "fiancé": "fiancée"}
OTHER_SPOUSE = SPOUSES | {female: male for male, female in SPOUSES.items()}
# A mid-wife, a house-wife.
NO_SPOUSE = re.compile(r"(?:mid|house)[- ]$", re.I)
OCCUPATIONS = {
    "businessman": "businesswoman", "policeman": "policewoman", "salesman": "saleswoman", "fireman": "firewoman",
    "waiter": "waitress", "widower": "widow", "actor": "actress",
}  # fmt: skip
OTHER_OCCUPATION = OCCUPATIONS | {female: male for male, female in OCCUPATIONS.items()}
# Of a child they may be the patient: "his mother says that her son …".
OTHER_CHILD = {"son": "daughter", "daughter": "son"}
FEMALE_PRONOUN = {"he": "she", "him": "her", "himself": "herself"}
MALE_PRONOUN = {female: male for male, female in FEMALE_PRONOUN.items() if female != "her"} | {"hers": "his"}
ANY_RELATIVE = rf"(?:{RELATIVES['male']}|{RELATIVES['female']}|parents|siblings|family|children|child)"
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
# After one of these words, or after none, "her" is "him"; else it is "his", unless one of the verbs stands before it.
AFTER_HIM = re.compile(
    r"to|that|for|with|on|in|from|at|and|or|because|by|since|after|before|during|until|when|while|if|about|as|an?"
    r"|the|not|which|who|is|was|be|up|out|instead|every"
)
PERSON_DOES = re.compile(
    r"saw|see[ns]?|ma[dk]es?|making|lets?|help(?:s|ed)?|finds?|found|watch(?:es|ed)?|hears?|heard|tells?|told|gives?"
    r"|gave|giving|ask(?:s|ed)?|keeps?|kept|bothers?|caus(?:es?|ed|ing)|wakes?|woke|cost|call(?:s|ed)?"
)


def other_sex(stem: str) -> Edited:
    old = patient.sex(stem)
    new = "female" if old == "male" else "male"
    bound.refuse(stem, old, spouse_turns=bool(_spouse(stem, old)))
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
    if word in OTHER_SPOUSE and not NO_SPOUSE.search(before):
        return OTHER_SPOUSE[word] if (word in SPOUSES) != (old == "male") else None
    if word in OTHER_CHILD:
        of_parents = re.search(r"\b(?:her|his|their|the|this) $", before, re.I) and bound.is_child(stem)
        return OTHER_CHILD[word] if of_parents and (word == "son") == (old == "male") else None
    if word in OTHER_OCCUPATION:
        return OTHER_OCCUPATION[word] if (word in OCCUPATIONS) == (old == "male") else None
    if word in ("mr", "mrs", "ms", "miss") and re.match(r"\.? [A-Z]", after):
        return ({"mr": "Mrs"} if old == "male" else {"mrs": "Mr", "ms": "Mr", "miss": "Mr"}).get(word)
    if word in patient.PRONOUNS["male"] and (old == "male" or both):
        if word == "his":
            return "her" if re.match(r"[\s-]\w", after) else "hers"
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


def _spouses(old: str) -> tuple[str, ...]:
    return tuple(SPOUSES.values() if old == "male" else SPOUSES)


def _spouse(stem: str, old: str) -> re.Match | None:
    return re.search(rf"\b(?<!mid-)(?<!house-)(?:{'|'.join(_spouses(old))})\b", stem, re.I)


def _spouse_turns(stem: str, old: str) -> bool:
    """Whether a wife becomes a husband and her pronouns with her. Raises CannotEdit when they may be another's."""
    if not _spouse(stem, old):
        return False
    theirs = "female" if old == "male" else "male"
    spouses = _spouses(old)
    pronouns = re.search(rf"\b(?:{'|'.join(patient.PRONOUNS[theirs])})\b", stem, re.I)
    others = [word for word in re.findall(rf"\b(?:{RELATIVES[theirs]})\b", stem, re.I) if word not in spouses]
    if pronouns and others:
        raise CannotEdit(
            f"“{pronouns[0]}” may mean the patient's spouse or the {others[0]}. Change the sex in the text."
        )
    return bool(pronouns)


def _refuse_left(edited: str, old: str) -> None:
    """A noun of the old sex that is nobody else's would make two people of the patient."""
    nouns = "|".join(word for word, sex in patient.SEX_OF.items() if sex == old)
    for sentence in patient.sentences(edited):
        for noun in re.finditer(rf"\b(?:{nouns})\b", sentence, re.I):
            before, after = sentence[: noun.start()], sentence[noun.end() :]
            if (
                OF_OTHERS.match(after)
                or patient.BORN_TO.search(before)
                or re.search(rf"\b{ANY_RELATIVE}\b", before, re.I)
            ):
                continue
            around = f"{' '.join(before.split()[-3:])} {noun[0]}".strip()
            raise CannotEdit(
                f"It is not clear whether “{noun[0]}” in “{around}” is the patient. Change the sex in the text."
            )


def _refuse_two_of_one_sex(stem: str, old: str) -> None:
    """ "His father said that he …", "… her mother. She …": which of the two is meant is not in the words."""
    pronoun = rf"\b(?:{'|'.join(patient.PRONOUNS[old])})\b(?! (?:[\w-]+ )?{ANY_RELATIVE})"
    relatives = RELATIVES[old].replace("|son", "").replace("|daughter", "") if bound.is_child(stem) else RELATIVES[old]
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
