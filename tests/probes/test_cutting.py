import json
import re
from itertools import chain, combinations

import pytest

from medqa.probes.cutting import ASKED, FINDING, LEAD, cut
from medqa.settings import ROOT

USMLE = ROOT.parent / "shared" / "data" / "medqa_usmle"
ASKS = "What is the most likely diagnosis?"
VIGNETTE = (
    "A 45-year-old man presents with fever, chills, and a 3-day history of cough. He denies chest pain, vomiting, or "
    "weight loss. His temperature is 39.5°C (103.1°F), blood pressure is 90/60 mm Hg, and pulse is 110/min. On "
    f"physical examination, there is splenomegaly. Serum:\nNa+: 128 mEq/L\nK+: 3.5 mEq/L\n\n{ASKS}"
)


def together(made):
    return made.before + "".join(piece.text + piece.after for piece in made.pieces)


def left(stem, *off):
    """The stem without the findings that begin with these words."""
    found = cut(stem).findings
    return cut(stem).without({next(i for i, text in enumerate(found) if text.startswith(words)) for words in off})


def test_a_vignette_is_cut_into_its_findings():
    assert cut(VIGNETTE).findings == (
        "A 45-year-old man",
        "fever",
        "chills",
        "a 3-day history of cough",
        "chest pain",
        "vomiting",
        "weight loss",
        "His temperature is 39.5°C (103.1°F)",
        "blood pressure is 90/60 mm Hg",
        "pulse is 110/min",
        "On physical examination, there is splenomegaly",
        "Na+: 128 mEq/L",
        "K+: 3.5 mEq/L",
    )
    assert cut(VIGNETTE).asked == ASKS
    assert [p.text for p in cut(VIGNETTE).pieces if p.kind == LEAD] == ["presents with", "He denies", "Serum:"]


@pytest.mark.parametrize(
    ("stem", "findings"),
    [
        ("Dr. Rao sees him, e.g. on Mondays. He is well. Why?", ["Dr. Rao sees him", "e.g. on Mondays", "He is well"]),
        ("Morphine 3.5 mg i.v. helps. E. coli grew. Why?", ["Morphine 3.5 mg i.v. helps", "E. coli grew"]),
        ("He came at 8 a.m. He had fever. Why?", ["He came at 8 a.m", "He had fever"]),
        ("cough. sodium 128 mEq/L, potassium 3.5 mEq/L. why?", ["cough", "sodium 128 mEq/L", "potassium 3.5 mEq/L"]),
        ("1. Fever\n2. Cough\nWhich?", ["1. Fever", "2. Cough"]),
        ("She says: “I am ill. I hurt.” He agrees. Why?", ["She says: “I am ill. I hurt.”", "He agrees"]),
        ("Vitals: blood pressure, 128/75 mmHg; pulse, 77/min. Why?", ["blood pressure, 128/75 mmHg", "pulse, 77/min"]),
        ("The count is 11,500 (normal, 4,500 to 11,000). Why?", ["The count is 11,500 (normal, 4,500 to 11,000)"]),
        ("He has long, slender fingers. Why?", ["He has long, slender fingers"]),
        ("Fever, nausea and vomiting. Why?", ["Fever", "nausea", "vomiting"]),
        ("Blood count, urea, and electrolytes are normal. Why?", ["Blood count, urea, and electrolytes are normal"]),
        ("The pain began today and has not improved. Why?", ["The pain began today", "has not improved"]),
        ("It is 90/60 mm\nHg. It was\nhigher before. Why?", ["It is 90/60 mm\nHg", "It was\nhigher before"]),
        ("The cervix is at 6 cm . He waits. Why?", ["The cervix is at 6 cm", "He waits"]),
        ("A newborn girl is blue. Why?", ["A newborn girl is blue"]),
    ],
)  # fmt: skip
def test_abbreviations_numbers_quotations_and_lists_are_cut_where_a_reader_would(stem, findings):
    assert list(cut(stem).findings) == findings


@pytest.mark.parametrize(
    ("sentence", "findings"),
    [
        ("She has had diffuse, aching pain for a year, but it is worse now",
         ["She has had diffuse, aching pain for a year", "it is worse now"]),
        ("Examination shows a slightly tender, firm, 1-cm mass", None),
        ("After surgery, a 66-year-old man has new, intermittent pain of the hip", None),
        ("It shows axillary, mediastinal, and cervical nodes", None),
        ("It shows massively enlarged axillary, mediastinal, and cervical nodes", None),
        ("A soft, cystic mass is felt", None),
        ("He presents with severe, crushing chest pain, and sweating", ["severe, crushing chest pain", "sweating"]),
        ("He has fever, dry, hacking cough, and a rash", ["fever", "dry, hacking cough", "a rash"]),
        ("The knee is warm, swollen, and tender", ["warm", "swollen", "tender"]),
        ("He has burning, itching, and pain", ["burning", "itching", "pain"]),
        ("His skin is warm and dry, with no rash", ["His skin is warm and dry", "with no rash"]),
        ("The pain, however, is worse", None),
        ("He took aspirin; however, the pain is worse", ["He took aspirin", "however, the pain is worse"]),
        ("Unfortunately, he is worse", None),
    ],
)  # fmt: skip
def test_adjectives_stay_with_their_noun_and_however_is_no_finding(sentence, findings):
    assert list(cut(f"{sentence}. Why?").findings) == (findings or [sentence])


def test_where_the_stem_asks_is_told():
    for stem in (VIGNETTE, "Which vitamin cures scurvy?", " Why? (He smokes.)"):
        made = cut(stem)
        assert made.asked.startswith(stem[slice(*made.asks)])
        assert stem[: made.asks[0]] == together(made)[: made.asks[0]]
        assert made.asks[1] - made.asks[0] >= len("Why")


def test_a_finding_left_out_leaves_a_sentence_with_clean_spacing():
    assert left(VIGNETTE, "fever").startswith(
        "A 45-year-old man presents with chills, and a 3-day history of cough. He"
    )
    assert left(VIGNETTE, "chills").startswith("A 45-year-old man presents with fever, and a 3-day history")
    assert left(VIGNETTE, "a 3-day").startswith("A 45-year-old man presents with fever, chills. He denies")
    assert left(VIGNETTE, "A 45").startswith("Presents with fever, chills")
    assert "weight loss. Blood pressure is 90/60 mm Hg, and pulse" in left(VIGNETTE, "His temp")
    assert "Serum:\nK+: 3.5 mEq/L\n\nWhat" in left(VIGNETTE, "Na+")
    assert f"Serum:\nNa+: 128 mEq/L\n\n{ASKS}" in left(VIGNETTE, "K+")


def test_what_was_denied_stays_denied_until_all_of_it_is_left_out():
    assert "He denies vomiting, or weight loss. His" in left(VIGNETTE, "chest")
    assert "He denies weight loss. His" in left(VIGNETTE, "chest", "vomiting")
    assert "cough. His temperature" in left(VIGNETTE, "chest", "vomiting", "weight")
    habits = "He does not smoke, drinks, or uses drugs. Why?"  # as real vignettes have it
    assert left(habits, "smoke") == "He does not drinks, or uses drugs. Why?"


DENIALS = [
    # sentence, denial, what it denies
    ("A 50-year-old man has cough but no fever, chills, or weight loss", "no", ("fever", "chills", "weight loss")),
    (
        "Examination shows a soft abdomen with no tenderness, guarding, or rebound",
        "no",
        ("tenderness", "guarding", "rebound"),
    ),
    ("His lungs are clear, with no wheezes, rales, or rhonchi", "no", ("wheezes", "rales", "rhonchi")),
    ("She has chest pain without fever, cough, or rash", "without", ("fever", "cough", "rash")),
    ("There is no family history of gout, stroke, or cancer", "no family history of", ("gout", "stroke", "cancer")),
    ("He has no personal history of gout, stroke, or cancer", "no personal history of", ("gout", "stroke", "cancer")),
    ("His skin is free of rash, scars, and ulcers", "free of", ("rash", "scars", "ulcers")),
    ("Her urine is negative for glucose, blood, and nitrite", "negative for", ("glucose", "blood", "nitrite")),
    ("There is absence of pallor, icterus, or edema", "absence of", ("pallor", "icterus", "edema")),
    ("The patient lacks insight, appetite, or sleep", "lacks", ("insight", "appetite", "sleep")),
    ("She uses neither tobacco, alcohol, nor cocaine", "neither", ("tobacco", "alcohol", "cocaine")),
    ("He denies shortness of breath, cough, and fever", "denies", ("shortness of breath", "cough", "fever")),
    ("He has not had any fever, vomiting, or rash", "not had any", ("fever", "vomiting", "rash")),
    ("The pain is not related to meals, posture, or stress", "not related to", ("meals", "posture", "stress")),
    ("She is not febrile, flushed, or drowsy", "not", ("febrile", "flushed", "drowsy")),
    ("He cannot sit, speak, or swallow", "cannot", ("sit", "speak", "swallow")),
    (
        "She denies nausea, vomiting, or fever, but has pain, itching, and a rash",
        "denies",
        ("nausea", "vomiting", "fever"),
    ),
    ("He has fever, no cough, wheeze, or sputum, but a rash, and edema", "no", ("cough", "wheeze", "sputum")),
]


@pytest.mark.parametrize(("sentence", "denial", "denied"), DENIALS)
def test_whatever_is_left_out_nothing_denied_is_left_undenied(sentence, denial, denied):
    made = cut(f"{sentence}. {ASKS}")
    numbers = range(len(made.findings))
    for off in chain.from_iterable(combinations(numbers, size) for size in range(len(made.findings) + 1)):
        shorter = made.without(off)
        denials = [found.start() for found in re.finditer(rf"\b{denial}\b", shorter, re.I)]
        left = [words for words in denied if made.findings.index(words) not in off]
        assert len(denials) == bool(left)
        assert all(denials[0] < shorter.index(words) for words in left)


@pytest.mark.parametrize(
    ("stem", "off", "shorter"),
    [
        ("A 50-year-old man has cough but no fever, chills, or rash. Why?", "cough",
         "A 50-year-old man has no fever, chills, or rash. Why?"),
        ("He has cough but no fever, chills, or rash. Why?", "fever", "He has cough but no chills, or rash. Why?"),
        ("His lungs are clear, with no wheezes, rales, or rhonchi. Why?", "His lungs",
         "With no wheezes, rales, or rhonchi. Why?"),
        ("She has chest pain without fever, cough, or rash. Why?", "fever",
         "She has chest pain without cough, or rash. Why?"),
        ("There is no family history of gout, stroke, or cancer. Why?", "gout",
         "There is no family history of stroke, or cancer. Why?"),
        ("If he has no fever, chills, or cough, which drug is given?", "fever",
         "If he has no chills, or cough, which drug is given?"),
        ("The abdomen is soft, without masses, and bowel sounds are normal. Why?", "The abdomen",
         "Without masses, and bowel sounds are normal. Why?"),
        ("He has no fever, but a rash, and edema. Why?", "a rash", "He has no fever, but edema. Why?"),
        ("He takes no drugs, vitamins, or herbs, although he is ill. Why?", "herbs",
         "He takes no drugs, vitamins, although he is ill. Why?"),
    ],
)  # fmt: skip
def test_a_sentence_that_denies_reads_well_without_one_of_its_findings(stem, off, shorter):
    assert left(stem, off) == shorter


@pytest.mark.parametrize(
    "denied",
    [
        "He has no fever, chills and cough",  # has he a cough?
        "There is no change in appetite, sleep, or weight",
        "There is no swelling of the ankles, knees, or wrists",
        "She has no motor, sensory, or cranial nerve deficits",
        "He has lack of energy, poor sleep, and weight gain",
        "She avoids nuts, milk, and eggs",
        "He hardly eats, sleeps, or speaks",
        "He has little appetite, energy, or joy",
        "He no longer eats, sleeps, or works",
        "She was not given aspirin, heparin, or warfarin",
        "He has no fever, nor does he have chills, or cough",
        "The film rules out fractures, effusion, or air",
        "His checkup was unremarkable, except for a rash",
    ],
)
def test_what_cannot_be_told_apart_under_a_denial_is_one_finding(denied):
    assert cut(f"{denied}. {ASKS}").findings == (denied,)


@pytest.mark.parametrize(
    ("sentence", "shared"),
    [
        ("An ECG shows ST-segment elevation in leads II, III, and aVF", None),
        ("She is allergic to penicillin, sulfa drugs, and aspirin", None),
        ("She has swelling of the knees, wrists, and ankles", None),
        ("Examination shows loss of pain, temperature, and vibration sense below T10", None),
        ("He has decreased levels of factors II, VII, IX, and X", None),
        ("He developed pain in the affected hip, knee, and ankle", None),
        ("He is oriented to person, place, and time", None),
        ("She has a sister with nephritis, arthritis, and edema", None),
        ("The pain is worsened by coughing, vomiting, and sneezing", None),
        ("There is a swelling of the axillary, cervical, and inguinal nodes, and fever",
         "There is a swelling of the axillary, cervical, and inguinal nodes"),
        ("She has hypertension, for which she takes metoprolol, enalapril, and aspirin", None),
        ("He has gout, a family history of diabetes, hypertension, and asthma",
         "a family history of diabetes, hypertension, and asthma"),
        ("He has pain in a hip, a knee, and an ankle", None),
    ],
)  # fmt: skip
def test_items_that_share_the_head_of_the_first_are_one_finding(sentence, shared):
    found = cut(f"{sentence}. Why?").findings
    assert (shared or sentence) in found or (shared or "").removeprefix("There is ") in found
    assert len(found) == 1 or shared


@pytest.mark.parametrize(
    ("sentence", "findings"),
    [
        ("He has pain in both knees, fever, and a rash", ["pain in both knees", "fever", "a rash"]),
        ("He has tenderness over both hips, arthralgia, and night sweats",
         ["tenderness over both hips", "arthralgia", "night sweats"]),
        ("She has fever for 3 days, gout, and asthma", ["fever for 3 days", "gout", "asthma"]),
        ("She has shortness of breath, gout, and asthma", ["shortness of breath", "gout", "asthma"]),
        ("He has swelling of both knees, no redness, and a sodium of 140 mEq/L",
         ["swelling of both knees", "no redness", "a sodium of 140 mEq/L"]),
        ("The liver shows swelling in the hilum; lobules are pale", ["The liver shows swelling in the hilum",
         "lobules are pale"]),
    ],
)  # fmt: skip
def test_an_item_that_plainly_stands_by_itself_is_a_finding_beside_a_head(sentence, findings):
    assert list(cut(f"{sentence}. Why?").findings) == findings


def test_a_history_is_part_of_what_leads_its_list():
    made = cut("A 50-year-old man with a family history of diabetes, gout, and asthma presents with fever. Why?")
    assert [piece.text for piece in made.pieces if piece.kind == LEAD] == ["with a family history of"]


@pytest.mark.parametrize(
    ("sentence", "shorter"),
    [
        ("A 50-year-old man with a family history of diabetes, gout, and asthma presents with fever",
         "A 50-year-old man with a family history of gout, and asthma presents with fever"),
        ("He comes to the clinic because of fever, cough, and fatigue", None),
        ("A 50-year-old man comes to the clinic because of diabetes, cough, and fatigue",
         "A 50-year-old man comes to the clinic because of cough, and fatigue"),
        ("A 50-year-old man presents with a 3-day history of diabetes, cough, and fatigue",
         "A 50-year-old man presents with a 3-day history of cough, and fatigue"),
    ],
)  # fmt: skip
def test_a_history_and_what_a_patient_comes_for_stay_over_the_rest_of_their_list(sentence, shorter):
    stem = f"{sentence}. Why?"
    off = "diabetes" if "diabetes" in stem else "fever"
    assert left(stem, off) == f"{shorter or sentence.replace('fever, ', '')}. Why?"


def test_what_is_said_after_a_denial_is_not_taken_for_denied():
    two = "She denies fever, chills, or cough, and she endorses nausea, vomiting, and itching. Why?"
    assert "or cough, and she endorses vomiting, and itching" in left(two, "nausea")
    assert left(two, "fever", "chills", "cough") == "She endorses nausea, vomiting, and itching. Why?"
    assert left("He denies fever, but has pain, and redness. Why?", "pain") == "He denies fever, but has redness. Why?"
    turns = "He denies fever but developed pain, redness, and swelling"
    assert cut(f"{turns}. Why?").findings == (turns,)
    assert left("He has no history of gout, but long fingers. Why?", "no history") == "He has long fingers. Why?"
    # Without its first finding the others would stand right after what is denied.
    assert cut("She denies fever but does endorse pain of her hands, knees, and ankles. Why?").findings == (
        "She denies fever",
        "does endorse pain of her hands, knees, and ankles",
    )
    assert cut("He never had asthma, but several cousins were ill. Why?").findings == (
        "He never had asthma",
        "several cousins were ill",
    )


def test_a_heading_goes_when_nothing_is_left_below_it():
    assert left(VIGNETTE, "Na+", "K+").endswith(f"there is splenomegaly.\n\n{ASKS}")


def test_without_all_findings_only_what_is_asked_remains():
    assert cut(VIGNETTE).without(range(13)) == ASKS


@pytest.mark.parametrize(
    ("stem", "asked"),
    [
        ("Which vitamin cures scurvy?", "Which vitamin cures scurvy?"),
        ("Drug of choice for absence seizures is", "Drug of choice for absence seizures is"),
        ("All are true of warfarin, except:", "All are true of warfarin, except:"),
        ("If she is allergic to penicillin, which drug is given?", "which drug is given?"),
        ("What is the diagnosis? (He also smokes.)", "What is the diagnosis?"),
        ("fever", "fever"),
        ("?", "?"),
    ],
)
def test_what_is_asked_is_no_finding(stem, asked):
    made = cut(stem)
    assert made.asked == asked
    assert sum(piece.kind == ASKED for piece in made.pieces) == 1


def test_every_character_is_in_one_piece_or_in_the_glue_even_of_odd_texts():
    odd = ("(" * 500, "a, " * 500, "\n" * 50 + "x", " . . ? ", "“" * 500, "\u00a0fever,\u00a0cough?\r\n", "has " * 500)
    for stem in (VIGNETTE, *odd):
        assert together(cut(stem)) == stem


def test_real_vignettes_lose_no_character_and_each_finding_can_go():
    path = USMLE / "validation.jsonl"
    if not path.exists():
        pytest.skip(f"no {path}")
    with path.open(encoding="utf-8") as file:
        stems = [json.loads(line)["question"] for line in file]
    for stem in stems:
        made = cut(stem)
        assert together(made) == stem
        assert all(piece.text.strip() == piece.text != "" for piece in made.pieces)
        for i, finding in enumerate(made.findings):
            shorter = made.without({i})
            assert len(shorter) <= len(stem) - len(finding) + 1
            assert made.asked.rstrip("?.").casefold() in shorter.casefold()
    long = [cut(stem) for stem in stems if 180 <= len(stem.split()) <= 230]
    counts = sorted(sum(piece.kind == FINDING for piece in made.pieces) for made in long)
    assert 15 <= counts[len(counts) // 2] <= 40
