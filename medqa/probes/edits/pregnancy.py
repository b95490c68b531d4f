"""Add "pregnant" to the patient."""

from __future__ import annotations

import re

from medqa.probes.edits import CannotEdit, Edited, patient

# The World Health Organization's "women of reproductive age".
YOUNGEST, OLDEST = 15, 49
ALREADY = r"(?<!not )(?<!become )(?<!becoming )pregnant|primigravida?|multigravida?|weeks?['’]? (?:of )?gestation"
# Whatever is said of these would contradict the pregnancy or date it.
SPEAKS_OF_IT = (
    r"not pregnant|pregnancy test|become pregnant|becoming pregnant|conceive|\w*fertil\w+|\w*menopaus\w*"
    r"|hysterectomy|post-?partum|menses|menstrua\w*|amenorrh\w*|pregnancy|breast-?feeding|oophorectom\w*"
    r"|salpingectom\w*|tubal ligation|tubes tied|sterili[sz]\w+|(?:uterus|womb|ovaries) (?:\w+ )?removed"
    r"|removal of (?:her |the |both )?(?:uterus|womb|ovaries)|miscarr\w*|abortions?|ectopic|gravida|G\d ?P\d\w*"
    r"|para \d"
    rf"|{patient.DELIVERS}|c(?:a?e)sarean|C-section|in labor|gave birth"
    r"|placent\w*|fetus|fetal|\w*eclampsia|trimester|menarche|Tanner|prepubert\w*|breast (?:bud|development)\w*"
    r"|IUC?Ds?|intra-?uterine|contracept\w+|birth control|OCPs?|levonorgestrel|vasectomy|diaphragm for"
    r"|(?:not|never|un|isn't)(?: been| yet| currently)? ?sexually active|abstinen\w*|virgin|h?CG|\w*hCG\w*|uterus"
    r"|LMP|last period|missed periods?|irregular periods?|her periods?|ovulat\w*|anovulat\w*|ovarian (?:failure"
    r"|insufficiency)|Turner\w* syndrome|androgen insensitivity|hormone replacement|lactat(?:ing|ion)|newborn"
    r"|\w*parous|pelvic exam\w*"
)
ORIGIN = r"(?:African[- ]American|(?!An? )[A-Z][a-z]+(?:-[A-Z][a-z]+)?|white|black)"


def pregnant(stem: str) -> Edited:
    if patient.sex(stem) == "male":
        raise CannotEdit("The patient is male. Make the patient a woman first.")
    age = patient.ages(stem)[0]
    if age.unit != "year" or not YOUNGEST <= age.number <= OLDEST:
        raise CannotEdit(f"The patient is {age.phrase}; “pregnant” is added from {YOUNGEST} to {OLDEST} years only.")
    already = re.search(rf"\b(?:{ALREADY})\b", stem, re.I)
    if already:
        raise CannotEdit(f"The question says “{already[0]}” already.")
    spoken = re.search(rf"\b(?:{SPEAKS_OF_IT})\b", stem, re.I)
    if spoken:
        raise CannotEdit(f"The question speaks of “{spoken[0]}”; write the pregnancy in by hand so that both fit.")
    return _inserted(stem)


def _inserted(stem: str) -> Edited:
    named = patient.noun(stem)
    if named is None:
        at = re.search(r"\b(?:patient|student|athlete|nurse|teacher)\b", stem)
        if at is None:
            raise CannotEdit("No word such as “woman” or “patient” was found to put “pregnant” before.")
        start, end = at.span()
    else:
        start, end = named.start, named.end
    origin = re.search(rf"(?:{ORIGIN} )+$", stem[:start])
    # "A pregnant Asian woman", but "A 30-year-old": a capital at the very start is the article.
    if origin and origin.start() > 0:
        start = origin.start()
    before = re.sub(r"\b([Aa])n $", r"\1 ", stem[:start])
    edited = f"{before}pregnant {stem[start:]}"
    return Edited(edited, f"Added: “pregnant {stem[start:end]}”.")
