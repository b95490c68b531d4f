"""Words that go with one sex only, and of whom they are said; turns nothing."""

from __future__ import annotations

import re

from medqa.probes.edits import CannotEdit, patient

MALE = (
    r"prostat\w*|penis|penile|test[ie]s|testic\w+|scrot\w+|semen|\w*sperm\w*|epididym\w*|foreskin|glans"
    r"|erectile|erections?|impoten\w*|ejaculat\w*|priapism|circumcis\w*|vasectomy|orchi\w+|urologic\w* history"
    r"|cryptorchid\w*|hydrocele|varicocele|Klinefelter\w*|gyn(?:a?e)comastia|hypospadias|epispadias|\w*phimosis"
    r"|balan(?:itis|o\w+)|Peyronie\w*|BPH|PSA|tamsulosin|finasteride|beard|moustache|fraternity|priest|monk"
)
_GIRLS_ORGANS = (
    r"\w*ovar(?:y|ies|ian)|uterus|\w*vagin(?!ally|al (?:delivery|birth|route))\w*|vulv\w*|labia\w*|clitor\w*|introitus"
    r"|hymen\w*|fallopian|\w*adnexa\w*|oophor\w*|salping\w*|breasts|breast (?:self|development|bud)\w*"
)
GIRLS = (
    rf"{_GIRLS_ORGANS}|\w*menstru\w*|menses|menarche|\w*menorrh\w*|\w*gyn\w*ecolog\w*|hirsut\w*|virili[sz]\w*"
    r"|Turner\w* syndrome|PCO[DS]|ballerina|cheerleader|bra|blouse"
)
_CYCLE = (
    r"(?:(?<!ot)her|last|monthly|missed|irregular|regular|heavy|painful|menstrual) (?:[\w-]+ )?periods?(?! of)|LMP"
    r"|ovulat\w*|\w*menopaus\w*|hormon(?:e|al) replacement|tampons?|sanitary pads?"
)
_WOMB = (
    r"uterine|cervix|cervicitis|endocervi\w*|\w*endometri\w*|CIN ?[1-3I]+|fibroids?|tubal(?: \w+)?|tubes tied"
    r"|Bartholin\w*"
    r"|cervical (?:os|cancer|carcinoma|smears?|motion|exudate|discharge|intraepithelial|dilat\w+|incompetence|erosion"
    r"|ectrop\w+|polyps?|cytology|dysplasia|mucus|swabs?|cultures?|biops(?:y|ies)|length|insufficiency|conization)"
)
_CARE = (
    r"obstetric\w*|mammogra\w*|Pap|pelvic (?:exam\w*|inflammatory)|PID|bimanual|colposcop\w*|douch\w*|hysterec\w*"
    r"|myomectomy|D ?& ?C|dilat(?:at)?ion and (?:curettage|evacuation)|intra-?uterine|IUC?Ds?|birth control|OCPs?"
    r"|(?<!condoms for )(?<!condoms as )contracepti\w+|clomiphene|raloxifene|letrozole|anastrozole"
)
# β-hCG is a marker of a man's testicular tumour, too, so it makes no man a woman; a woman's is that of a pregnancy.
_PREGNANCY = (
    r"pregnan\w*|\w*gravid\w*|\w*parous|\w+ipara|G-?\d,? ?-?P-?\d\w*|P\d ?G\d|para \d|conceiv\w*|(?:β-?|beta-|b)?hCG\w*"
    r"|gestation\w*|trimester|pre-?natal\w*|ante-?natal\w*|fetus|fetal|placent\w*|HELLP|\w*eclampsia|\w*eclampt\w*"
    r"|tocoly\w*|abortions?|aborted|miscarri\w*|ectopic (?:pregnancy|gestation)|ruptured ectopic|hydatidiform"
    r"|choriocarcinoma"
)
_BIRTH = (
    rf"{patient.DELIVERS}|g(?:ave|iv\w+) birth|in labor|vaginally|vaginal (?:delivery|birth|route)|c(?:a?e)sarean"
    r"|C-section|LSCS|PPROM|rupture of membranes|epidural an\w+|mid-?wife|post-?partum|post-?natal|PPH|lochia"
    r"|Sheehan\w*|breast[- ]?fe\w+|lactating"
)
# Of a child's history these are the mother's.
WOMEN = rf"{_CYCLE}|{_WOMB}|{_CARE}|{_PREGNANCY}|{_BIRTH}|mother of \w+|house ?wife|homemaker|nun|seamstress|stewardess"
OBSTETRIC = r"\w*gravid\w*|G-?\d,? ?-?P-?\d\w*|para \d|in labor"
RELATIVES = {
    "male": r"(?:step|grand|god)?(?:father|son)|dad|brother|uncle|nephew|husband|boyfriend",
    "female": r"(?:step|grand|god)?(?:mother|daughter)|mom|sister|aunt|niece|wife|girlfriend",
}
# Turns with the patient.
_SPOUSE = re.compile(r"\|(?:husband|boyfriend|wife|girlfriend)")


def refuse(stem: str, old: str, spouse_turns: bool) -> None:
    """What only one sex has would make the edited question contradict itself; a relative's may stay. A spouse becomes
    the other sex with the patient, so what is bound to theirs has no place either."""
    for which in ("male", "female") if spouse_turns else (old,):
        words = re.compile(rf"\b(?:{_words(stem, which, of_patient=which == old)})\b", re.I)
        for sentence in patient.sentences(stem):
            for found in words.finditer(sentence):
                if patient.said_of(_SPOUSE.sub("", RELATIVES[which]), sentence[: found.start()]):
                    continue
                _refuse(found[0], which)


def _words(stem: str, which: str, of_patient: bool) -> str:
    if which == "female":
        return GIRLS if is_child(stem) else f"{GIRLS}|{WOMEN}"
    # "A 35-year-old G2P1 delivers a boy": the boy is not the patient.
    return MALE if is_child(stem) or not of_patient else f"{MALE}|{OBSTETRIC}"


def _refuse(word: str, which: str) -> None:
    kind = "man" if which == "male" and not re.fullmatch(OBSTETRIC, word, re.I) else "woman"
    raise CannotEdit(f"“{word}” is said of a {kind}; the other sex would contradict it. Change the text by hand.")


CHILD = 10


def is_child(stem: str) -> bool:
    try:
        age = patient.ages(stem)[0]
    except CannotEdit:
        named = patient.noun(stem)
        grown = named and named.word.casefold() in ("man", "gentleman", "woman", "lady")
        return not grown and bool(re.search(r"\b(?:newborn|neonate|infant)\b", stem, re.I))
    return age.unit != "year" or age.number < CHILD
