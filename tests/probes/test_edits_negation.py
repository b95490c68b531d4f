import re

import pytest

from medqa.probes.edits import CannotEdit, negation


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
    assert negation.negated(f"{stem} Why?", finding).stem == f"{edited} Why?"


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
    stem = "She has blurred vision and decreased skin turgor. Why?"
    assert negation.negated(stem, "blurred vision").stem == "She has decreased skin turgor but no blurred vision. Why?"


def test_a_few_days_and_what_another_clause_says_leave_the_negative_plain():
    lasting = "He has had pain for the past few days"
    assert negation.negated(f"{lasting}. Why?", lasting).stem == "He has had no pain. Why?"
    stem = "He rarely drinks, but he has a rash. Why?"
    assert negation.findings(stem) == ["he has a rash"]
    assert negation.negated(stem, "he has a rash").stem == "He rarely drinks, but he has no rash. Why?"


def test_what_is_offered_can_be_negated_and_neither_the_introduction_nor_the_question_is_offered():
    stem = (
        "A 4-year-old boy with fever and cough comes to the physician because of pain for 2 days. He has a rash. "
        "His temperature is 39°C. An x-ray is performed. He does not smoke. What is the diagnosis?"
    )
    offered = negation.findings(stem)
    assert offered == ["fever", "cough", "He has a rash"]
    assert len({negation.negated(stem, finding).stem for finding in offered} | {stem}) == 4


@pytest.mark.parametrize(
    "asked",
    [
        "Treatment of choice is:",
        "The rash is seen in",
        "Diagnosis is -",
        "The drug of choice for this fever is:-",
        "He has",
        "What is seen here?",
    ],
)
def test_what_is_asked_is_neither_offered_nor_negated_however_it_ends(asked):
    stem = f"A 4-year-old boy cries. He has a rash. {asked}"
    assert negation.findings(stem) == ["He has a rash"]
    assert negation.findings(asked) == []
    with pytest.raises(CannotEdit):
        negation.negated(stem, asked.rstrip("?"))


@pytest.mark.parametrize(
    ("finding", "because"),
    [
        ("He has a rash and eats bread", "more than one thing"),
        ("He reports having pain", "no plain negative"),
        ("He reports feeling tired", "no plain negative"),
        ("His heart has a regular rate", "no regular"),
        ("Examination shows a normal retina", "no normal"),
        ("There is good muscle tone", "no good"),
        ("He is active or plays football", "more than one thing"),
        ("His history is irrelevant", "in the negative already"),
        ("The mass is non-palpable", "in the negative already"),
        ("He has been unsteady", "not been unsteady"),
        ("He has an inability to walk", "no inability"),
        ("He is afebrile", "in the negative already"),
        ("Crackles are heard in both lungs", "both"),
        ("There is bilateral edema", "bilateral"),
        ("He is otherwise healthy", "otherwise"),
        ("He has gout and his wife died", "more than one thing"),
        ("He fell and has been limping", "more than one thing"),
        ("He drinks one beer", "gives a number"),
        ("She believes this is a tumor", "more than one thing"),
        ("He is a baker and describes a cough", "more than one thing"),
        ("There is nothing wrong", "in the negative already"),
        ("Tests show a long PT and normal PTT", "normal"),
    ],
)
def test_a_negative_that_would_be_absurd_or_said_twice_is_refused_with_its_reason(finding, because):
    stem = f"{finding}. Why?"
    with pytest.raises(CannotEdit, match=re.escape(because)):
        negation.negated(stem, finding)
    assert finding not in negation.findings(stem)


@pytest.mark.parametrize(
    ("listed", "item"),
    [
        ("He has celiac disease and eats a gluten-free diet", "eats a gluten-free diet"),
        ("He reports thirst and having pain", "having pain"),
        ("It has a regular rate and rhythm and his lungs are clear", "rhythm"),
        ("It reveals right upper and lower limb weakness", "lower limb weakness"),
        ("It shows bilateral upper and lower facial palsy", "lower facial palsy"),
        ("It shows an enlarged liver and spleen", "spleen"),
        ("It shows normal tone and stool", "stool"),
        ("He has difficulty walking and feeding himself", "feeding himself"),
        ("A man with fever, and pulse is high", "pulse"),
        ("It shows ankle and knee swelling", "knee swelling"),
        ("It has a regular rate and rhythm", "rhythm"),
        ("It shows pigmented skin and nails", "nails"),
        ("The sense of pain, and position is reduced", "position is reduced"),
    ],
)
def test_an_item_that_shares_a_word_with_its_list_or_is_no_thing_is_refused(listed, item):
    stem = f"{listed}. Why?"
    with pytest.raises(CannotEdit):
        negation.negated(stem, item)
    assert item not in negation.findings(stem)


@pytest.mark.parametrize(
    ("stem", "item", "edited"),
    [
        ("It shows an enlarged liver and a rash.", "a rash", "It shows an enlarged liver but no rash."),
        ("It shows an enlarged liver and fever.", "fever", "It shows an enlarged liver but no fever."),
        ("He has mild tenderness.", "He has mild tenderness", "He has no tenderness."),
        ("The pain is slightly relieved by rest.", "The pain is slightly relieved by rest",
         "The pain is not relieved by rest."),
        ("He has unintentional thirst.", "He has unintentional thirst", "He has no unintentional thirst."),
        ("His gait is normal.", "His gait is normal", "His gait is not normal."),
    ],
)  # fmt: skip
def test_what_has_a_plain_negative_keeps_it(stem, item, edited):
    assert negation.negated(f"{stem} Why?", item).stem == f"{edited} Why?"


@pytest.mark.parametrize(
    "sentence",
    [
        "A stain is applied",
        "The result is still pending",
        "Current medications are metformin and aspirin",
        "The following findings were seen",
        "The curve is shown below",
    ],
)
def test_what_was_done_or_is_shown_is_not_offered(sentence):
    assert negation.findings(f"{sentence}. Why?") == []
