"""What goes with some ages only: words, and years told back from today. Says what would not fit; changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator

from medqa.probes.edits import CannotEdit, patient
from medqa.probes.edits.patient import Age

EVER = 200
# (words, youngest, oldest). These name another person as often as the patient, so they count only as
# "a 3-year-old child" or "the child".
CHILDREN = (
    ("newborn|neonate|infant|baby|toddler", 0, 3),
    ("child|schoolchild|preschooler", 1, 17),
    ("teenager|teenage|teen|adolescent", 10, 19),
)
_CRIB = r"breast-?fed|formula|diapers?|pacifier|teething|fontanel\w*|crib|crawl(?:s|ing)|babbl\w+|car seat|Apgar"
_NURSERY = (
    r"toilet[- ]train\w*|tantrums?|tricycle|playground|toys?|preschool|kindergarten|day ?care|imaginary friend"
    r"|milestones?|\w+-word (?:sentences|phrases)|stacks? \w+ blocks|copy a (?:circle|square)"
)
_AT_SCHOOL = (
    r"(?:in|at|from|to|of|miss\w*|attend\w*|start\w*|skip\w*|his|her)"
    r" (?:(?:high|middle|elementary|primary|grade|secondary) )?school(?! teacher| counselor| principal)"
    r"|school (?:nurse|bus|performance|grades|trip)|homework|classmates?"
    r"|high school (?:student|athlete|freshman|sophomore|junior|senior|football|basketball|soccer|team)"
    r"|(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|1st|2nd|3rd|\d+th) grade"
)
_GROWS = (
    r"p(?:a?e)diatric\w*|well[- ]child|growth charts?|percentiles?|short for (?:his|her) age|Tanner|puber(?:ty|tal)"
    r"|thelarche|adrenarche|menarche has not"
    r"|not (?:yet )?(?:had|reached|started|begun) (?:her )?(?:menarche|menses|menstruat\w+)|primary amenorrh\w+"
    r"|(?:milk|primary|deciduous|permanent|mixed) (?:teeth|tooth|dentition|molars?|incisors?)"
)
_BROUGHT = (
    r"(?:brought|accompanied)[^.]{0,60} by (?:his|her|the) (?:grand)?(?:mother|father|parents|mom|dad|guardian|teacher)"
)
_AT_COLLEGE = r"college (?:student|freshman|sophomore|junior|senior)|freshman|sophomore|fraternity|sorority"
_PREGNANT = (
    r"(?<!not )pregnant|\w*gravid\w*|weeks['’]? (?:of )?gestation|\w+ trimester|(?:this|her|current) pregnancy"
    r"|in labor|fetal|fetus|pregnancy test|(?:β-?|beta-)?hCG\w*|LMP|menses|menstrual (?:cycles?|periods?)"
    r"|last period|birth control|IUDs?|intrauterine device|(?:oral |uses? |using )contracepti\w+"
)
_FERTILE = (
    r"pregnanc(?:y|ies)|G-?\d,? ?-?P?-?\d?|para \d|\w*parous|mother of|delivered a|post-?partum|abortions?"
    r"|miscarriages?|infertil\w*|conceive|intercourse|coitus|sexual\w*|condoms?|contracept\w+"
)
_GROWN = (
    r"smok\w+|cigarettes?|alcohol\w*|beers?|wine|vodka|liquor|cocaine|heroin|immigrated|homeless|driver|drives"
    r"|motorcycl\w+|college|university|lady|gentleman|(?:boy|girl)friend"
    r"|(?:his|her) (?:son|daughter|children|child|kids)|mother (?:arrives|comes|presents)"
)
_STUDIES = (
    r"(?:graduate|grad|medical|law|business|nursing|PhD|doctoral) (?:student|school)|resident(?= (?:at|in) )"
    r"|research study"
)
_WORKS = (
    r"work(?:s|ed|ing) (?:as|in|at|for|from|with|on)|works|work as|(?:his|her|at|missed|from|off|to|after) work"
    r"|employ\w+|jobs?|coworkers?|business\w*|retir\w+|insurance|salary|apartment|lives alone|prison\w*"
)
_TRADE = (
    r"\w+ (?:worker|technician|instructor|manager|officer|operator|programmer)|(?:truck|bus|taxi|cab) driver"
    r"|nurse(?= \w+s )|army|navy|military|marine|soldier|veteran|police(?:man|woman)|fire(?:fighter|man)|lawyer"
    r"|attorney|accountant|engineer|banker|executive|secretary|professor|\w*scientist(?= \w+s )|farmer|mechanic"
    r"|carpenter|plumber|electrician|landscaper|actor|actress|musician|coach|homemaker|housewife"
)
_MARRIED = r"newlywed|married|divorced|wife|husband|fianc\w+|honeymoon|widow\w*"
# Diseases and checks that a child has not got.
_WORN = (
    r"chronic obstructive|COPD|emphysema|coronary artery|osteoarthritis|peripheral (?:arterial|vascular) disease"
    r"|pap smear|mammogra\w+|blood donor|alcoholi\w+"
)
# Who is younger is spoken for.
_SPEAKS = r"(?:he|she|patient) (?:also )?(?:says|states|reports|denies|describes|endorses|admits)|(?:his|her) friends"
STAGES = (
    (_CRIB, 0, 4),
    (_NURSERY, 0, 9),
    (f"{_AT_SCHOOL}|{_GROWS}", 0, 17),
    (_BROUGHT, 0, 30),
    (_AT_COLLEGE, 17, 30),
    (_PREGNANT, 15, 50),
    (r"menarche|menses|menstrua\w*", 11, EVER),
    (r"pre-?menopausal", 11, 52),
    (_SPEAKS, 6, EVER),
    (f"{_FERTILE}|{_GROWN}", 15, EVER),
    (f"{_STUDIES}|{_WORKS}|{_TRADE}|{_MARRIED}|{_WORN}", 18, EVER),
    (r"grand(?:son|daughter|child|children|kids)", 38, EVER),
    (r"(?:post|peri)-?menopausal|menopause|hot flashes", 40, EVER),
    (r"BPH|benign prostatic|prostate (?:cancer|adenocarcinoma)|Alzheimer\w*|cognitive decline", 40, EVER),
    (r"nursing home|assisted[- ]living|retirement|retired", 50, EVER),
    (r"middle-aged", 40, 65),
    (r"young", 12, 45),
    (r"elderly", 60, EVER),
)


def refuse_contradictions(stem: str, now: Age, new: int) -> None:
    for found in (*_of_other_ages(stem, now, new), *_too_long_ago(stem, now.number, new)):
        words = found.groupdict().get("stage") or found[0]
        raise CannotEdit(f"“{words.strip()}” would not fit an age of {new}. Change the text by hand.")


def _of_other_ages(stem: str, now: Age, new: int) -> Iterator[re.Match]:
    for words, youngest, oldest in CHILDREN:
        if not youngest <= new <= oldest:
            introduced = re.match(rf"(?:[ ,]*[\w-]+){{0,3}}?[ ,]+(?P<stage>{words})\b", stem[now.over :], re.I)
            again = re.search(rf"\b(?:the|this) (?P<stage>{words})\b", stem, re.I)
            yield from filter(None, (introduced, again))
    for words, youngest, oldest in STAGES:
        # Who is older than that already tells of the past: "he played football in high school".
        if new < min(youngest, now.number) or now.number <= oldest < new:
            yield from _own(re.compile(rf"\b(?:{words})\b", re.I), stem, near=6)


# Years told back

_LONG = re.compile(
    r"\b(\d{1,2})[ -]year(?:s ago|s['’]? duration|s['’]? history|[- ]history)|\b(\d{1,2})[ -]pack[- ]years?\b"
    r"|\b(?:for|over|during)(?: the)?(?: past| last)? (\d{1,2}) years\b|\b(?:past|last) (\d{1,2}) years\b",
    re.I,
)
_AT_AGE = re.compile(
    r"\b(?:at|since|by|before|until)(?: the| an)?(?: early)? ages? (?:of )?(\d{1,2})(?:,? (?:and|or|to) (\d{1,2}))?\b"
    r"|\bwhen (?:he|she) was (\d{1,2})\b(?! (?:month|week|day))",
    re.I,
)
# What a child has not begun.
_HABIT = re.compile(
    r"\b(?:smok\w+|packs?|cigarettes?|drink\w*|alcohol\w*|work\w*|married|employ\w+|hypertension|type (?:2|II))\b", re.I
)
_HABITS_BEGIN = 12
_PACKS_A_DAY = 2
_RELATIVES = (
    r"(?:grand)?(?:mother|father|parents?)|brothers?|sisters?|siblings?|uncle|aunt|cousin|relatives?|wife|husband|son"
    r"|daughter"
)


def _too_long_ago(stem: str, now: int, new: int) -> Iterator[re.Match]:
    before: list[int] = []
    for sentence in patient.sentences(stem):
        at_ages = [*_own(_AT_AGE, sentence, near=15)]
        ages = [int(age) for found in at_ages for age in found.groups() if age]
        yield from (found for found in at_ages if any(int(age) >= new for age in found.groups() if age))
        begins = max([0, *before, *ages, *([_HABITS_BEGIN] if _HABIT.search(sentence) else [])])
        for found in _own(_LONG, sentence, near=15):
            years = int(found[found.lastindex]) // (_PACKS_A_DAY if "pack" in found[0] else 1)
            if years >= new or new < begins + years <= now:
                yield found
        before = ages


def _own(pattern: re.Pattern, text: str, near: int) -> Iterator[re.Match]:
    """Those of the patient, not "his father died at age 60"."""
    for found in pattern.finditer(text):
        if not patient.said_of(_RELATIVES, text[: found.start()], near):
            yield found
