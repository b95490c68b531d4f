import re

import pytest

from medqa.probes.edits import CannotEdit, age, drugs, negation, patient, pregnancy, sex

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
    ],
)
def test_an_age_that_is_unclear_or_would_not_fit_is_refused(stem, years, reason):
    with pytest.raises(CannotEdit, match=re.escape(reason)):
        age.aged(stem, years)


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
    ],
)
def test_what_only_one_sex_has_is_not_given_to_the_other(told, word):
    with pytest.raises(CannotEdit, match=f"“{word}” is said of a "):
        sex.other_sex(f"A 38-year-old {told}.")


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
    ],
)
def test_who_cannot_be_pregnant_is_refused(stem, reason):
    with pytest.raises(CannotEdit, match=re.escape(reason)):
        pregnancy.pregnant(stem)


# Findings in the negative


@pytest.mark.parametrize(
    ("stem", "finding", "edited"),
    [
        ("A 4-year-old boy with fever cries.", "with fever", "A 4-year-old boy without fever cries."),
        ("He has a rash.", "He has a rash", "He has no rash."),
        ("He has a rash.", "has a rash", "He has no rash."),
        ("He has a rash.", "rash", "He has no rash."),
        ("She is febrile.", "is febrile", "She is not febrile."),
        ("She is febrile and pale.", "She is febrile and pale.", "She is not febrile or pale."),
        ("There is a systolic murmur.", "There is a systolic murmur", "There is no systolic murmur."),
        ("On auscultation, there are crackles.", "there are crackles", "On auscultation, there are no crackles."),
        ("He has fever, chills, and a rash.", "He has fever, chills, and a rash", "He has no fever, chills, or rash."),
        ("He has fever, chills, and a rash.", "chills", "He has fever and a rash but no chills."),
        ("A 4-year-old boy with fever and cough.", "cough", "A 4-year-old boy with fever but without cough."),
        ("She has had cough for 3 days.", "She has had cough for 3 days", "She has had no cough."),
        ("She has a 9-year history of gout.", "She has a 9-year history of gout", "She has no history of gout."),
        ("She has been vomiting.", "She has been vomiting", "She has not been vomiting."),
        ("He takes warfarin.", "takes warfarin", "He does not take warfarin."),
        ("He appears ill.", "He appears ill", "He does not appear ill."),
        ("He smokes 1 pack a day.", "He smokes 1 pack a day", "He does not smoke."),
        ("He has smoked 1 pack daily for 9 years.", "He has smoked 1 pack daily for 9 years", "He has never smoked."),
        ("Examination shows a goitre.", "Examination shows a goitre", "Examination shows no goitre."),
        ("He reports chest pain.", "he reports CHEST pain", "He reports no chest pain."),
        ("He has type 2 diabetes.", "He has type 2 diabetes", "He has no type 2 diabetes."),
    ],
)  # fmt: skip
def test_a_finding_is_put_in_the_negative(stem, finding, edited):
    assert negation.negated(stem, finding).stem == edited


@pytest.mark.parametrize(
    ("stem", "finding", "reason"),
    [
        ("He has fever.", "", "Choose a finding"),
        ("He has fever.", "cough", "does not stand in the question"),
        ("He has fever. The fever is high.", "fever", "stands in the question 2 times"),
        ("He has fever.", "fever " * 70_000, "The finding has 420,000 characters, the question 13. Type fewer words."),
        ("He has no fever.", "He has no fever", "in the negative already"),
        ("The abdomen is nontender.", "The abdomen is nontender", "in the negative already"),
        ("Temperature is 39°C.", "Temperature is 39°C", "gives a number"),
        ("A 4-year-old boy has fever.", "A 4-year-old boy has fever", "introduces the patient"),
        ("He presents with fever.", "He presents with fever", "is why the patient comes"),
        ("He has fever and he is vomiting.", "He has fever and he is vomiting", "more than one thing"),
        ("He has a rash that itches.", "He has a rash that itches", "more than one thing"),
        ("The lesion is consistent with a cyst.", "with a cyst", "belongs to the words before it"),
        ("Which of these is true?", "these is true", "belongs to what is asked"),
        (
            "There are enlarged axillary and cervical nodes. He has axillary and cervical pain.",
            "cervical pain",
            "longer",
        ),
        ("A rash of the arm is seen.", "arm", "not in a form"),
    ],
)
def test_a_finding_without_a_plain_negative_is_refused(stem, finding, reason):
    with pytest.raises(CannotEdit, match=re.escape(reason)):
        negation.negated(stem, finding)


@pytest.mark.parametrize(
    ("stem", "finding", "because"),
    [
        ("He rarely drinks alcohol.", "He rarely drinks alcohol", "rarely"),
        ("He rarely drinks alcohol.", "drinks alcohol", "rarely"),
        ("He has hardly any pain.", "He has hardly any pain", "hardly"),
        ("He has little appetite.", "He has little appetite", "little"),
        ("He has a little pain.", "has a little pain", "little"),
        ("She seldom smokes.", "She seldom smokes", "seldom"),
        ("She has barely eaten.", "She has barely eaten", "barely"),
        ("There is scarcely a pulse.", "There is scarcely a pulse", "scarcely"),
        ("She has few bruises.", "She has few bruises", "few"),
        ("The reflex is almost absent on one side.", "reflex is almost", "almost"),
        ("He has lack of energy.", "He has lack of energy", "lack"),
        ("She lacks insight and has a tremor.", "has a tremor", "lacks"),
        ("He has failed to thrive.", "He has failed to thrive", "failed"),
        ("She often feels tired.", "She often feels tired", "often"),
        ("He occasionally takes aspirin.", "He occasionally takes aspirin", "occasionally"),
        ("The skin shows several bruises.", "The skin shows several bruises", "several"),
        ("He does not report fever and chills.", "fever", "not"),
        ("He never has fever and chills.", "chills", "never"),
    ],
)
def test_what_is_half_a_negative_or_stands_under_one_is_neither_negated_nor_offered(stem, finding, because):
    with pytest.raises(CannotEdit, match=rf"With “{because}” the negative of “{finding}” would not be plain"):
        negation.negated(stem, finding)
    assert negation.findings(stem) == []


@pytest.mark.parametrize(
    "stem",
    [
        "He has received erythromycin and topical benzoyl peroxide.",
        "She has been feeling tender and swollen.",
        "He has become bed bound and cannot walk.",
        "She has had fatigue and immediately called her daughter.",
        "The rash appeared and has progressively gotten worse.",
        "It shows low erythrocyte lysis and further workup confirms C8 deficiency.",
        "He has received erythromycin.",
        "She has offered help, and described the way.",
    ],
)
def test_what_was_done_is_no_thing_to_have_not(stem):
    for finding in negation.findings(stem):
        assert not re.search(
            r"\bno (?:been|\w{3,}ed|cannot|\w+ly|further workup)\b", negation.negated(stem, finding).stem
        )
    governed = re.split(r"\b(?:has had|has|shows) ", stem.rstrip("."))[1]
    for item in (governed, *governed.split(" and ")):
        with pytest.raises(CannotEdit):
            negation.negated(stem, item)


def test_a_thing_that_begins_like_a_participle_can_be_had_and_not_had():
    stem = "She has blurred vision and decreased skin turgor."
    assert negation.negated(stem, "blurred vision").stem == "She has decreased skin turgor but no blurred vision."


def test_a_few_days_and_what_another_clause_says_leave_the_negative_plain():
    lasting = "He has had pain for the past few days"
    assert negation.negated(f"{lasting}.", lasting).stem == "He has had no pain."
    stem = "He rarely drinks, but he has a rash."
    assert negation.findings(stem) == ["he has a rash"]
    assert negation.negated(stem, "he has a rash").stem == "He rarely drinks, but he has no rash."


def test_what_is_offered_can_be_negated_and_neither_the_introduction_nor_the_question_is_offered():
    stem = (
        "A 4-year-old boy with fever and cough comes to the physician because of pain for 2 days. He has a rash. "
        "His temperature is 39°C. An x-ray is performed. He does not smoke. What is the diagnosis?"
    )
    offered = negation.findings(stem)
    assert offered == ["fever", "cough", "He has a rash"]
    assert len({negation.negated(stem, finding).stem for finding in offered} | {stem}) == 4


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
        ("She took aspirin.", "She took Ecotrin."),
    ],
)
def test_generic_names_become_brand_names(stem, edited):
    assert drugs.to_brand(stem).stem == edited


@pytest.mark.parametrize("edit", [drugs.to_generic, drugs.to_brand])
@pytest.mark.parametrize("stem", ["He takes nothing.", "He takes sitagliptin-metformin and a non-Lasix diuretic."])
def test_a_part_of_a_longer_name_is_no_drug_of_the_table(edit, stem):
    with pytest.raises(CannotEdit, match="The question has no"):
        edit(stem)


def test_every_brand_of_the_table_goes_to_one_generic_name_and_is_no_generic_name_itself():
    lines = [line for line in drugs.TABLE.read_text().splitlines() if not line.startswith("#")]
    assert len(lines) == len(drugs.brands()) > 60
    assert all(re.fullmatch(r"[A-Z][A-Za-z]+\t[a-z][a-z -]+\t(US|India)", line) for line in lines)
    generics = {name.casefold() for name in drugs.brands().values()}
    assert not generics & {brand.casefold() for brand in drugs.brands()}


def test_sentences_join_to_the_stem():
    stem = "Mr. Rao has 37.5 °C. He is well!  Is he? Yes"
    assert "".join(patient.sentences(stem)) == stem
    assert len(patient.sentences(stem)) == 4
