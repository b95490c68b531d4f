"""Whether a question asks for the exception: what is not so, or not to be done. Knows no model."""

from __future__ import annotations

import re

from medqa.probes.cutting import cut

# In what is asked these ask for the exception wherever they stand.
_ALWAYS = re.compile(
    r"\b(?:(?<!at )least|untrue|incorrect(?:ly)?|unlikely|all but|odd one|mismatch\w*)\b|\bexcept(?:ion)?\b(?! for\b)"
    r"|\b(?<!/)(?:false|wrong) (?:about|among|regarding|concerning|statements?|options?|match|pair|combination)\b"
    r"|\b(?<!/)false\b(?= (?:is|are|with|of|for|in|as)\b|\W*$)|(?<=\bis )(?<!what is )(?:false|wrong)\b"
)
# These also give a reason: "why is it contraindicated?".
_UNLESS_WHY = re.compile(
    r"\bcontraindicat\w*"
    # "Given to avoid bleeding" asks for what does it.
    r"|\b(?:(?:should|must|would|best|to) be|is|are)(?: best)? avoided\b(?! by\b)"
    r"|\b(?:you|would|should|must)(?: (?:rather|best|like to))? avoid\b"
)
# And these tell of a patient, too: "which drug suits a man who cannot swallow?".
_UNLESS_TOLD = re.compile(r"\b(?:not|never|cannot|\w+n['’]t)\b(?! only\b)")
_WHY = re.compile(r"\b(?:why|because|reason|due to)\b")
_TELLS = re.compile(r"\b(?:who|whom|whose|since|as|if|when|where|while|how|although|but|and)\b")
_QUESTION_WORD = re.compile(r"\b(?:which|what)\b")


def exception_words(stem: str) -> str:
    """The words by which it asks for the exception, such as "not bound"; "" when it asks for what is so."""
    asked = cut(stem).asked
    at = _place(asked.casefold())
    if at is None:
        return ""
    # With the next word: "not given" and "not absorbed" are different questions.
    return re.match(r"\S+(?: (?:be|to|an?|the)\b)*(?: [\w-]+)?", asked[at:])[0].rstrip(":;,.?–- ")


def _place(asked: str) -> int | None:
    found = _ALWAYS.search(asked)
    if not found and not _WHY.search(asked):
        found = _UNLESS_WHY.search(asked) or _not(asked)
    if not found:
        return None
    return found.start() + max(found[0].find("avoid"), 0)


def _not(asked: str) -> re.Match | None:
    found = _UNLESS_TOLD.search(asked)
    if not found:
        return None
    words = list(_QUESTION_WORD.finditer(asked, 0, found.start()))
    # "Nerve that is not involved" asks; "what is the chance that he does not have it" does not.
    told = re.search(r"\bthat\b", asked[: found.start()]) if words else None
    return None if told or _TELLS.search(asked, words[-1].end() if words else 0, found.start()) else found
