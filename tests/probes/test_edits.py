import re

import pytest

from medqa.probes.edits import CannotEdit, age, drugs, patient, pregnancy, sex

WOMAN = "A 28-year-old woman comes to the physician because of headache. She takes no drugs. What is the diagnosis?"


# Age


@pytest.mark.parametrize(
    ("stem", "years", "edited"),
    [
        ("A 45-year-old man has fever.", 10, "A 55-year-old man has fever."),
        ("A 45-year-old man has fever.", -20, "A 25-year-old man has fever."),
        ("A 45 year old man has fever.", 20, "A 65 year old man has fever."),
        ("A man, 45 years old, has fever.", 10, "A man, 55 years old, has fever."),
        ("A 45 yr old man has fever.", 10, "A 55 yr old man has fever."),
        ("A 45-yr-old man has fever.", 10, "A 55-yr-old man has fever."),
        ("45 y/o man with fever.", 30, "75 y/o man with fever."),
        ("45yo man with fever.", 10, "55yo man with fever."),
        ("A man aged 45 has fever.", 10, "A man aged 55 has fever."),
        ("A man aged 45 years has fever.", 10, "A man aged 55 years has fever."),
        ("A man, age 45, has fever.", 10, "A man, age 55, has fever."),
        ("A man of 150 cm is 45 years of age.", 10, "A man of 150 cm is 55 years of age."),
        (
            "A 45-year-old man. This 45-year-old man has fever.",
            10,
            "A 55-year-old man. This 55-year-old man has fever.",
        ),
        ("A 70-year-old man has fever.", 10, "An 80-year-old man has fever."),
        ("An 80-year-old man has fever.", -20, "A 60-year-old man has fever."),
        ("Yesterday an 18-year-old man fell.", 10, "Yesterday a 28-year-old man fell."),
        ("A 1 year old boy has fever.", 10, "An 11 years old boy has fever."),
    ],
)
def test_an_age_changes_however_it_is_written(stem, years, edited):
    assert age.aged(stem, years).stem == edited


@pytest.mark.parametrize(
    ("stem", "years", "edited"),
    [
        ("A 15-year-old boy fell. The boy cries.", 10, "A 25-year-old man fell. The man cries."),
        ("A 25-year-old woman fell. She cries.", -10, "A 15-year-old girl fell. She cries."),
        ("A 15-year-old female fell.", 10, "A 25-year-old female fell."),
    ],
)
def test_boys_grow_up_with_their_age(stem, years, edited):
    assert age.aged(stem, years).stem == edited


def test_ages_of_others_and_of_the_past_stay():
    stem = "A 45-year-old man has fever. His father died at age 60. He has smoked since age 18."
    assert age.aged(stem, 10).stem == stem.replace("45", "55")


@pytest.mark.parametrize(
    ("stem", "years", "reason"),
    [
        ("A man has fever.", 10, "No age was found"),
        ("Two groups aged 45-60 are compared.", 10, "No age was found"),
        ("An 8-month-old boy has fever.", 10, "in months (“8-month-old”)"),
        ("A 3-week-old infant has fever.", 10, "in weeks"),
        ("A 95-year-old man has fever.", 10, "ages go from 2 to 100"),
        ("A 15-year-old boy has fever.", -20, "can't be made 20 years younger"),
        ("A 35-year-old woman brings her 3-year-old son.", 10, "“35-year-old” and “3-year-old”"),
        ("A 45-year-old pregnant woman has fever.", 10, "“pregnant” would not fit an age of 55"),
        ("A 55-year-old postmenopausal woman has fever.", -20, "“postmenopausal” would not fit"),
        ("A 4-year-old child has fever.", 20, "“child” would not fit an age of 24"),
        ("A 45-year-old man has had diabetes for 30 years.", -20, "“for 30 years” would not fit an age of 25"),
        ("A 25-year-old man works as a nurse.", -20, "“works as” would not fit an age of 5"),
        ("A 12-year-old boy sees his pediatrician.", 10, "“pediatrician” would not fit an age of 22"),
        ("A 14-year-old girl comes for a well-child visit.", 10, "“well-child” would not fit an age of 24"),
        ("A 15-year-old boy has pain at school.", 10, "“at school” would not fit an age of 25"),
        ("A 4-year-old boy in diapers has fever.", 10, "“diapers” would not fit an age of 14"),
        ("A 15-year-old girl has fever. She is in Tanner stage 4.", 10, "“Tanner” would not fit an age of 25"),
        ("A 24-year-old male graduate student has fever.", -10, "“graduate student” would not fit an age of 14"),
        ("A 22-year-old G1 at 29 weeks has fever.", -10, "“G1” would not fit an age of 12"),
        ("A 20-year-old woman has a positive pregnancy test.", -10, "“pregnancy test” would not fit an age of 10"),
        ("A 45-year-old woman has an IUD.", 10, "“IUD” would not fit an age of 55"),
        ("A 26-year-old woman gave birth at ages 15 and 17.", -10, "“at ages 15 and 17” would not fit an age of 16"),
        ("A 26-year-old had gout at the age of 12 and 25.", -10, "“at the age of 12 and 25” would not fit"),
        ("A 42-year-old man had a clot at the age of 27. He has bled for 10 years.", -10, "“for 10 years” would not"),
        ("A 40-year-old man has smoked for 25 years.", -10, "“for 25 years” would not fit an age of 30"),
        ("A male newborn is delivered to a 39-year-old woman.", 10, "No age was found"),
        ("Children (mean age: 12 years) are compared.", 10, "No age was found"),
    ],
)
def test_an_age_that_is_unclear_or_would_not_fit_is_refused(stem, years, reason):
    with pytest.raises(CannotEdit, match=re.escape(reason)):
        age.aged(stem, years)


@pytest.mark.parametrize(
    ("stem", "years"),
    [
        ("A 45-year-old man played football in high school.", 10),
        ("A 45-year-old man's father had gout at the age of 44.", -10),
        ("A 45-year-old high school teacher coughs.", 10),
        ("A 45-year-old man has had hay fever for 20 years. He moved here at the age of 30.", -10),
    ],
)
def test_what_was_true_long_ago_or_of_a_relative_hinders_no_age(stem, years):
    assert str(45 + years) in age.aged(stem, years).stem


# Sex


@pytest.mark.parametrize(
    ("stem", "edited"),
    [
        (
            "A 45-year-old man has a rash. He scratches his arm.",
            "A 45-year-old woman has a rash. She scratches her arm.",
        ),
        ("A 45-year-old woman fell. Her arm hurts her.", "A 45-year-old man fell. His arm hurts him."),
        ("A 9-year-old boy fell. The boy cries.", "A 9-year-old girl fell. The girl cries."),
        ("A 45-year-old obese white male sleeps.", "A 45-year-old obese white female sleeps."),
        ("A gentleman aged 60 hurt himself.", "A lady aged 60 hurt herself."),
        ("Mr. Rao is 60 years old.", "Mrs. Rao is 60 years old."),
        ("Ms. Rao is 60 years old. She smokes.", "Mr. Rao is 60 years old. He smokes."),
        ("A 45-year-old patient has lost her voice.", "A 45-year-old patient has lost his voice."),
        (
            "A 45-year-old woman: you examine her and find hers red.",
            "A 45-year-old man: you examine him and find his red.",
        ),
        ("A 45-year-old man. The rash is his.", "A 45-year-old woman. The rash is hers."),
        ("A 45-year-old woman. A friend drove her to work.", "A 45-year-old man. A friend drove him to work."),
        ("A 45-year-old man has MALE HAIR. HE is bald.", "A 45-year-old woman has MALE HAIR. SHE is bald."),
        ("A 45-year-old man weighs 80 kg, Na+ 140 mEq/L.", "A 45-year-old woman weighs 80 kg, Na+ 140 mEq/L."),
        ("An infant has jaundice. His liver is large.", "An infant has jaundice. Her liver is large."),
    ],
)
def test_the_patient_becomes_the_other_sex(stem, edited):
    assert sex.other_sex(stem).stem == edited


@pytest.mark.parametrize(
    ("stem", "edited"),
    [
        (
            "A 3-year-old boy is brought by his mother. She says he has fever.",
            "A 3-year-old girl is brought by her mother. She says she has fever.",
        ),
        (
            "A 30-year-old man has multiple male partners. His father and his brother are well.",
            "A 30-year-old woman has multiple male partners. Her father and her brother are well.",
        ),
        (
            "A 50-year-old man comes with his wife. She says that he snores.",
            "A 50-year-old woman comes with her husband. He says that she snores.",
        ),
        (
            "A 50-year-old woman's mother died of ovarian cancer. She is well.",
            None,
        ),
        (
            "A 6-week-old girl was born after an uncomplicated pregnancy. She has fever.",
            "A 6-week-old boy was born after an uncomplicated pregnancy. He has fever.",
        ),
        (
            "A 6-year-old boy has fever. His mother says that her son is hot.",
            "A 6-year-old girl has fever. Her mother says that her daughter is hot.",
        ),
    ],
)
def test_other_people_stay_who_they_are(stem, edited):
    if edited is None:
        with pytest.raises(CannotEdit):
            sex.other_sex(stem)
    else:
        assert sex.other_sex(stem).stem == edited


@pytest.mark.parametrize(
    ("stem", "reason"),
    [
        ("A 28-year-old pregnant woman has fever.", "“pregnant” is said of a woman"),
        ("A 28-year-old G2P1 woman has fever.", "“G2P1” is said of a woman"),
        ("A 60-year-old man has an enlarged prostate.", "“prostate” is said of a man"),
        ("A 45-year-old man has fever. His father had it when he was 50.", "“he” after “father” may mean either"),
        ("A 45-year-old woman came with her sister. She has fever.", "“She” after “sister” may mean either"),
        ("A 45-year-old woman has pain. Drugs help her sleep.", "In “help her sleep” it is not clear"),
        ("A 45-year-old patient has fever.", "does not say whether"),
        ("A 2-year-old infant has fever. He cries, she thinks.", "not clear which is the patient"),
    ],
)
def test_a_sex_that_is_unclear_or_would_contradict_is_refused(stem, reason):
    with pytest.raises(CannotEdit, match=re.escape(reason)):
        sex.other_sex(stem)


@pytest.mark.parametrize(
    ("stem", "edited"),
    [
        ("A 35-year-old man has pain. He is a healthy man.", "A 35-year-old woman has pain. She is a healthy woman."),
        (
            "A 35-year-old man has pain. Physical exam is notable for a thin, pale man in distress.",
            "A 35-year-old woman has pain. Physical exam is notable for a thin, pale woman in distress.",
        ),
        (
            "A 3-day-old boy is ill. He was born to a 30-year-old woman.",
            "A 3-day-old girl is ill. She was born to a 30-year-old woman.",
        ),
        (
            "A 30-year-old woman is ill. Examination shows a tired woman. Her two female partners are well.",
            "A 30-year-old man is ill. Examination shows a tired man. His two female partners are well.",
        ),
    ],
)
def test_the_patient_is_of_one_sex_wherever_named(stem, edited):
    assert sex.other_sex(stem).stem == edited


def test_a_noun_of_the_old_sex_that_may_be_the_patient_is_not_left_standing():
    stem = "A 40-year-old man is brought in. The police were greeted by a man with a stick."
    with pytest.raises(CannotEdit, match="whether “man” in “greeted by a man” is the patient"):
        sex.other_sex(stem)


@pytest.mark.parametrize(
    ("told", "word"),
    [
        ("woman with an intrauterine device", "intrauterine"),
        ("woman has an IUD", "IUD"),
        ("woman with preeclampsia", "preeclampsia"),
        ("woman had an abortion", "abortion"),
        ("woman recently delivered twins", "delivered"),
        ("woman underwent bilateral oophorectomy", "oophorectomy"),
        ("woman had a tubal ligation", "tubal ligation"),
        ("woman with Turner syndrome", "Turner syndrome"),
        ("G2P1 delivers a boy", "G2P1"),
        ("man with Klinefelter syndrome", "Klinefelter"),
        ("man takes tamsulosin", "tamsulosin"),
        ("man cannot get an erection", "erection"),
        ("man complains of impotence", "impotence"),
        ("woman is eclamptic", "eclamptic"),
        ("woman has PPH", "PPH"),
        ("woman is on her second postnatal day", "postnatal"),
        ("woman has a bilateral tubal block", "tubal block"),
        ("woman has a submucosal fibroid", "fibroid"),
        ("woman underwent myomectomy", "myomectomy"),
        ("woman has PCOD", "PCOD"),
        ("woman has cervical cancer", "cervical cancer"),
        ("woman has cervical motion tenderness", "cervical motion"),
        ("woman has a β-hCG of 900 IU/L", "β-hCG"),
        ("woman has a transvaginal ultrasound", "transvaginal"),
        ("woman whose mother says that she has amenorrhea", "amenorrhea"),
        ("woman is a mother of two", "mother of two"),
        ("man comes with his wife, who is pregnant", "pregnant"),
    ],
)
def test_what_only_one_sex_has_is_not_given_to_the_other(told, word):
    with pytest.raises(CannotEdit, match=f"“{word}” is said of a "):
        sex.other_sex(f"A 38-year-old {told}.")


@pytest.mark.parametrize(
    "told",
    [
        "man has a β-hCG of 900 IU/L",  # of a tumour
        "woman has cervical lymphadenopathy",
        "woman has periods of rest and other periods",
        "woman loses her balance",
        "woman uses condoms for contraception",
        "woman is well. Her mother died of ovarian cancer",
        "man is well. His father has prostate cancer",
    ],
)
def test_what_either_sex_or_a_relative_may_have_is_kept(told):
    assert sex.other_sex(f"A 38-year-old {told}.")


@pytest.mark.parametrize(
    "stem",
    [
        "The surgeon asked the intern to close, but he could not do it.",
        "A researcher compares two groups of patients. She finds a difference.",
    ],
)
def test_who_is_no_patient_is_not_turned(stem):
    with pytest.raises(CannotEdit, match="No patient was found"):
        sex.other_sex(stem)


def test_a_newborn_turns_and_those_of_its_birth_do_not():
    stem = "A male newborn was delivered vaginally by a mid-wife to a 30-year-old G2P1 woman. He cries."
    turned = "A female newborn was delivered vaginally by a mid-wife to a 30-year-old G2P1 woman. She cries."
    assert sex.other_sex(stem).stem == turned


def test_an_oxygen_delivery_is_no_birth():
    assert "man" in sex.other_sex("A 38-year-old woman has low oxygen delivery.").stem


def test_there_and_back_is_the_same_question():
    stem = "A 45-year-old man has a rash. He scratches himself, and his arm is red."
    assert sex.other_sex(sex.other_sex(stem).stem).stem == stem


def test_what_was_changed_is_said():
    assert sex.other_sex("A 45-year-old man says he is ill.").changed == (
        "Female instead of male: man → woman, he → she."
    )
    assert age.aged("A 15-year-old boy fell.", 10).changed == "Age 15 → 25, boy → man."


# Pregnancy


@pytest.mark.parametrize(
    ("stem", "edited"),
    [
        (WOMAN, WOMAN.replace("woman", "pregnant woman")),
        ("A 28-year-old African American woman has fever.", "A 28-year-old pregnant African American woman has fever."),
        (
            "A previously healthy 28-year-old woman has fever.",
            "A previously healthy 28-year-old pregnant woman has fever.",
        ),
        ("An Asian woman aged 28 has fever.", "A pregnant Asian woman aged 28 has fever."),
        ("A 28-year-old patient has lost her voice.", "A 28-year-old pregnant patient has lost her voice."),
    ],
)
def test_pregnant_stands_where_one_would_write_it(stem, edited):
    assert pregnancy.pregnant(stem).stem == edited


@pytest.mark.parametrize(
    ("stem", "reason"),
    [
        ("A 28-year-old man has fever.", "The patient is male"),
        ("A 62-year-old woman has fever.", "from 15 to 49 years only"),
        ("A 9-year-old girl has fever.", "from 15 to 49 years only"),
        ("An 8-month-old girl has fever.", "from 15 to 49 years only"),
        ("A woman has fever.", "No age was found"),
        ("A 28-year-old patient has fever.", "does not say whether"),
        ("A 28-year-old primigravid woman has fever.", "says “primigravid” already"),
        ("A 28-year-old woman at 12 weeks' gestation has fever.", "says “weeks' gestation” already"),
        ("A 28-year-old woman has fever. A pregnancy test is negative.", "speaks of “pregnancy test”"),
        ("A 40-year-old woman had a hysterectomy.", "speaks of “hysterectomy”"),
        ("A 40-year-old woman had her uterus removed.", "speaks of “uterus removed”"),
        ("A 40-year-old woman had a bilateral oophorectomy.", "speaks of “oophorectomy”"),
        ("A 28-year-old woman after normal vaginal delivery bleeds heavily.", "speaks of “delivery”"),
        ("A 28-year-old woman delivered a healthy boy by cesarean section.", "speaks of “delivered”"),
        ("A 28-year-old woman had a miscarriage last week.", "speaks of “miscarriage”"),
        ("A 28-year-old woman has a ruptured ectopic.", "speaks of “ectopic”"),
        ("A 28-year-old woman, gravida 2, has fever.", "speaks of “gravida”"),
        ("A 15-year-old girl is short. Menarche has not yet occurred.", "speaks of “Menarche”"),
        ("A 28-year-old woman has a levonorgestrel IUD.", "speaks of “levonorgestrel”"),
        ("A 28-year-old woman uses an IUD.", "speaks of “IUD”"),
        ("A 28-year-old woman has an intrauterine device.", "speaks of “intrauterine”"),
        ("A 28-year-old woman is not sexually active.", "speaks of “not sexually active”"),
    ],
)
def test_who_cannot_be_pregnant_is_refused(stem, reason):
    with pytest.raises(CannotEdit, match=re.escape(reason)):
        pregnancy.pregnant(stem)


# Drugs


@pytest.mark.parametrize(
    ("stem", "edited"),
    [
        ("He takes Lasix and Coumadin.", "He takes furosemide and warfarin."),
        ("He takes lasix.", "He takes furosemide."),
        ("Lasix was given.", "Furosemide was given."),
        ("She took Crocin and Thyronorm.", "She took paracetamol and levothyroxine."),
        ("She took Augmentin.", "She took amoxicillin-clavulanate."),
    ],
)
def test_brand_names_become_generic_names(stem, edited):
    assert drugs.to_generic(stem).stem == edited


@pytest.mark.parametrize(
    ("stem", "edited"),
    [
        ("He takes warfarin, and furosemide.", "He takes Coumadin, and Lasix."),
        ("He takes insulin glargine; serum digoxin level is high.", "He takes Lantus; serum digoxin level is high."),
        ("She took acetaminophen, not paracetamol.", "She took Tylenol, not Crocin."),
        ("She took aspirin and warfarin.", "She took aspirin and Coumadin."),
    ],
)
def test_generic_names_become_brand_names(stem, edited):
    assert drugs.to_brand(stem).stem == edited


def test_a_brand_of_one_form_only_goes_to_its_generic_name_and_not_back():
    assert drugs.to_generic("He takes Ecotrin and OxyContin.").stem == "He takes aspirin and oxycodone."
    with pytest.raises(CannotEdit, match="no generic name of the table that has a brand"):
        drugs.to_brand("He chews aspirin and takes oxycodone.")


@pytest.mark.parametrize("stem", ["Oseltamivir (Tamiflu) is given.", "Tamiflu (oseltamivir) is given."])
def test_a_drug_that_is_named_both_ways_is_left_as_it_is(stem):
    for edit in (drugs.to_generic, drugs.to_brand):
        with pytest.raises(CannotEdit, match="stands beside its other name"):
            edit(stem)
    assert drugs.to_generic(f"{stem} He takes Lasix.").stem == f"{stem} He takes furosemide."


@pytest.mark.parametrize("edit", [drugs.to_generic, drugs.to_brand])
@pytest.mark.parametrize("stem", ["He takes nothing.", "He takes sitagliptin-metformin and a non-Lasix diuretic."])
def test_a_part_of_a_longer_name_is_no_drug_of_the_table(edit, stem):
    with pytest.raises(CannotEdit, match="The question has no"):
        edit(stem)


def test_every_brand_of_the_table_goes_to_one_generic_name_and_is_no_generic_name_itself():
    lines = [line for line in drugs.TABLE.read_text().splitlines() if not line.startswith("#")]
    assert len(lines) == len(drugs.brands()) > 60
    assert all(re.fullmatch(r"[A-Z][A-Za-z]+\t[a-z][a-z -]+\t(US|India)(\t[a-z-]+)?", line) for line in lines)
    generics = {name.casefold() for name in drugs.brands().values()}
    assert not generics & {brand.casefold() for brand in drugs.brands()}


def test_sentences_join_to_the_stem():
    stem = "Mr. Rao has 37.5 °C. He is well!  Is he? Yes"
    assert "".join(patient.sentences(stem)) == stem
    assert len(patient.sentences(stem)) == 4
