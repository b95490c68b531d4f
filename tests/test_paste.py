import json
import time
from pathlib import Path

import pytest

from medqa.datasets import medqa_usmle
from medqa.paste import read_pasted
from medqa.question import QuestionError

USMLE = Path(__file__).parents[1] / "../shared/data/medqa_usmle"
LINE_FORMS = [
    "{L}) {o}",
    "{L}. {o}",
    "({L}) {o}",
    "{L}- {o}",
    "{L}: {o}",
    "{n}. {o}",
    "{n}) {o}",
    "{l}) {o}",
    "{l}. {o}",
]
ROW_FORMS = ["({L}) {o}", "{L}) {o}", "{L}. {o}", "{n}. {o}", "{l}) {o}"]


def written(options, form, separator):
    marks = zip("ABCDEFGH", "abcdefgh", "12345678", options, strict=False)
    return separator.join(form.format(L=L, l=small, n=n, o=o) for L, small, n, o in marks)


@pytest.mark.parametrize("form", LINE_FORMS)
def test_options_on_their_own_lines_are_read_in_every_form(form):
    question = read_pasted("Which drug?\n" + written(["Aspirin", "Heparin", "C-reactive protein"], form, "\n"))
    assert (question.stem, question.options) == ("Which drug?", ("Aspirin", "Heparin", "C-reactive protein"))
    assert question.answer is None


@pytest.mark.parametrize("form", ROW_FORMS)
def test_options_in_a_row_are_read(form):
    question = read_pasted("Which drug? " + written(["Aspirin", "Heparin", "Warfarin"], form, " "))
    assert question.options == ("Aspirin", "Heparin", "Warfarin")


def test_options_two_a_line_are_read():
    assert read_pasted("Which?\nA) x  B) y\nC) z  D) w").options == ("x", "y", "z", "w")


def test_commas_between_options_in_a_row_are_dropped():
    assert read_pasted("Which? A) x, B) y; C) z").options == ("x", "y", "z")


def test_an_option_may_run_over_several_lines():
    assert read_pasted("Which?\nA) a long\n   option\nB) y").options == ("a long option", "y")


@pytest.mark.parametrize("text", ["A) ans: ", "ans: ", "1. 2. ", "explanation: "])
def test_more_beginnings_of_options_and_keys_than_a_question_has_are_refused_at_once(text):
    began = time.monotonic()
    with pytest.raises(QuestionError, match=r"In \d+ places something like an option or a key begins, more than 100"):
        read_pasted(text * (7900 // len(text)))
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("lead_in", ["12. ", "Q12. ", "Q. 12) ", "Question 12: ", "12) ", "Q: "])
def test_a_leading_question_number_is_dropped(lead_in):
    assert read_pasted(f"{lead_in}A 45-year-old man. Which?\nA) x\nB) y").stem == "A 45-year-old man. Which?"


@pytest.mark.parametrize(
    "line", ["Answer: B", "Ans. B", "Correct answer: (B)", "Answer: B) Heparin", "Key: 2", "ANSWER - b)", "Answer B",
             "The correct answer is B", "Answer: Heparin", "Ans: option B"]
)  # fmt: skip
def test_the_key_is_kept_aside(line):
    question = read_pasted(f"Which?\nA) Aspirin\nB) Heparin\nC) Warfarin\n{line}")
    assert question.options == ("Aspirin", "Heparin", "Warfarin")
    assert (question.key, question.explanation) == ("B", None)


SCAN = "Which test comes first?\nA. CT\nB. MRI\nC. PET\nD. USG"


@pytest.mark.parametrize(
    "ending",
    [
        "Answer key: 1-D", "Ans. 1 (D)", "Answers: 1. D", "Answer key\n1. D", "12. D", "Ans. is 'd' i.e., USG",
        "Answer\nD", "Solution: D", "Correct: D", "Sol. (D)", "D", "(D)", "d", "उत्तर: D", "Respuesta: D",
        "Right answer: D", "Correct option: D. USG", "Option D is correct.", "Hence, the answer is D", "[Ans: d]",
        "✅ Answer: D", "**Answer:** D", "*Answer: D*",
    ],
)  # fmt: skip
def test_a_key_is_no_part_of_the_last_option_however_it_is_written(ending):
    question = read_pasted(f"{SCAN}\n{ending}")
    assert (question.options, question.key, question.explanation) == (("CT", "MRI", "PET", "USG"), "D", None)


@pytest.mark.parametrize(
    "ending", ["[Ans: d]", "(Ans. D)", "Answer: D", "Right answer: D", "Correct Answer: D", "Ans D"]
)
def test_nor_is_one_behind_it_on_its_line(ending):
    question = read_pasted(f"{SCAN} {ending}")
    assert (question.options[-1], question.key) == ("USG", "D")


@pytest.mark.parametrize(
    "about",
    ["Difficulty: easy", "Topic: Blood\nTags: haematology, drugs", "Source : NEET 2019", "* Subject: A", "Year: 2020"],
)
@pytest.mark.parametrize("order", ["{about}\nAnswer: B", "Answer: B\n{about}", "{about}"])
def test_what_a_question_bank_says_about_a_question_is_no_part_of_it(about, order):
    below = order.format(about=about)
    question = read_pasted(f"Which drug?\nA) Aspirin\nB) Heparin\nC) Warfarin\n{below}")
    assert question.options == ("Aspirin", "Heparin", "Warfarin")
    assert question.key == ("B" if "Answer" in below else None)
    assert not question.explanation


def test_the_rest_of_such_a_line_is_no_part_of_the_last_option_either():
    with pytest.raises(QuestionError, match="Below the options stands “21st edition”, which is no option"):
        read_pasted("Which?\nA) Iron\nB) Zinc\nSource: Harrison,\n21st edition")


def test_within_the_options_such_a_line_is_an_options_own():
    question = read_pasted("Which?\nA) the liver,\nsource: of bile\nB) the spleen")
    assert question.options == ("the liver, source: of bile", "the spleen")


def test_options_behind_bullets_may_have_such_lines_below_them():
    assert read_pasted("Which?\n• Iron\n• Zinc\nTopic: Metals\nTags: a, b").options == ("Iron", "Zinc")


def test_other_colons_within_an_option_are_its_own():
    options = ("Aspirin: 75 mg\na day", "Heparin\nRoute of choice: subcutaneous")
    question = read_pasted(f"Source: a ward.\nWhich drug?\nA) {options[0]}\nB) {options[1]}\nAnswer: A")
    assert question.options == ("Aspirin: 75 mg a day", "Heparin Route of choice: subcutaneous")
    assert question.stem.startswith("Source: a ward.")


def test_the_end_of_an_option_is_not_taken_for_a_key_name():
    question = read_pasted("Which? A) Deviation to the left B) Deviation to the right Answer: A")
    assert (question.options[-1], question.key) == ("Deviation to the right", "A")


@pytest.mark.parametrize("text", [f"Answer: D\n12. {SCAN}", SCAN.replace("\nA.", "\nAnswer: D\nA.")])
def test_a_key_above_the_question_or_its_options_does_not_stay_there(text):
    question = read_pasted(text)
    assert (question.stem, question.key) == ("Which test comes first?", "D")


def test_a_value_in_the_stem_is_no_key():
    stem = "Weight: 60 kg\nBioavailability: 1\nBlood group: A\nWhich dose?"
    assert read_pasted(f"{stem}\nA) 1 g\nB) 2 g\nAnswer: B").stem == stem


@pytest.mark.parametrize("last", ["Deficiency of vitamin\nD", "Blood group\nB", "Reacts with\nhepatitis: B"])
def test_a_letter_that_belongs_to_the_word_before_it_ends_the_option(last):
    question = read_pasted(f"Which?\nA) x\nB) y\nC) z\nD) {last}")
    assert (question.options[-1], question.key) == (" ".join(last.split()), None)


def test_labels_on_lines_of_their_own_are_no_keys():
    for stem in ("Which?", "Which?\n1. fever\n2. rash", "Which?\na. fever\nb. rash", "Which?\nA. fever\nB. rash"):
        question = read_pasted(f"{stem}\n(A)\nCT\n(B)\nMRI\n(C)\nPET")
        assert (question.stem, question.options) == (stem, ("CT", "MRI", "PET"))


@pytest.mark.parametrize("ending", ["\nIt is cheap.\nAnswer: D", "Explanation: It is cheap. Answer: D",
                                    "Solution: D\nIt is cheap.",
                                    "Answer: D\n\nExplanation:\nIt is cheap."])  # fmt: skip
def test_what_explains_the_key_may_stand_before_or_behind_it(ending):
    question = read_pasted(f"{SCAN}\n{ending}")
    assert (question.options[-1], question.key, question.explanation) == ("USG", "D", "It is cheap.")


@pytest.mark.parametrize("ending", ["Sol. It is cheap.", "Solution\nIt is cheap.", "Rationale: It is cheap."])
def test_a_solution_without_a_letter_is_an_explanation(ending):
    question = read_pasted(f"{SCAN}\n{ending}")
    assert (question.options[-1], question.key, question.explanation) == ("USG", None, "It is cheap.")


DECORATED = [
    "• {L}. {o}", "○ {L}. {o}", "> {L}. {o}", "- {L}) {o}", "* {L}. {o}", "Option {L}: {o}", "**{L})** {o}",
    "**{L}. {o}**", "[{L}] {o}", "{L}）{o}", "（{L}） {o}", "\u200b{L}. {o}\u200b", "• {o}", "- {o}", "* {o}",
]  # fmt: skip


@pytest.mark.parametrize("form", DECORATED)
def test_what_decorates_the_labels_gets_into_no_text(form):
    question = read_pasted("Which test?\n" + written(["CT", "MRI", "PET"], form, "\n") + "\nAnswer: MRI")
    assert (question.stem, question.options, question.key) == ("Which test?", ("CT", "MRI", "PET"), "B")


def test_nor_do_those_of_options_in_a_row():
    for text in (
        "Which? Option A: x Option B: y Option C: z",
        "Which? • A) x • B) y • C) z",
        "Which? A) x | B) y | C) z",
    ):
        question = read_pasted(text)
        assert (question.stem, question.options) == ("Which?", ("x", "y", "z"))


def test_a_list_of_findings_is_not_taken_for_options():
    with pytest.raises(QuestionError, match="No options were found"):
        read_pasted("Findings:\n• fever\n• rash\n\nWhich disease is it?")


@pytest.mark.parametrize("last", ["*D. USG", "D*. USG", "D. USG ✓", "✅ D. USG", "D. USG (correct)", "[x] D. USG"])
def test_the_one_option_with_a_star_or_tick_is_the_key(last):
    question = read_pasted(SCAN.replace("D. USG", last))
    assert (question.options, question.key) == (("CT", "MRI", "PET", "USG"), "D")


def test_stars_that_belong_to_the_options_stay():
    question = read_pasted("Which genotype?\nA) *1/*1\nB) *1/*2\nC) *2/*2")
    assert (question.options, question.key) == (("*1/*1", "*1/*2", "*2/*2"), None)


def test_the_explanation_is_kept_aside():
    question = read_pasted("Which?\nA) x\nB) y\nAnswer: A\nExplanation: A. is right.\nB. is wrong.")
    assert (question.key, question.explanation) == ("A", "A. is right. B. is wrong.")


def test_an_explanation_needs_no_key():
    question = read_pasted("Which?\nA) x\nB) y\nExplanation: It is so.")
    assert (question.options, question.key, question.explanation) == (("x", "y"), None, "It is so.")


def test_what_follows_the_key_explains_it():
    question = read_pasted("Which?\nA) Aspirin\nB) Heparin\nAnswer: B. Heparin binds antithrombin.\nIt is fast.")
    assert (question.key, question.explanation) == ("B", "Heparin binds antithrombin. It is fast.")


def test_a_blank_answer_line_is_no_key():
    question = read_pasted("Which?\nA) x\nB) y\nAnswer:")
    assert (question.options, question.key) == (("x", "y"), None)


@pytest.mark.parametrize(
    "stem",
    [
        "He takes vitamin A. and has hepatitis B) and type 1. diabetes. Which?",
        "Na 138, K 4.1, pH 7. 2. His platelets are low. Which?",
        "Findings: (1) fever, (2) rash. Which?",
        "Which are right?\n1. fever\n2. rash\n3. cough",
        "Statement A. is old. Statement B. is new. Which holds?",
        "Choose the best answer:",
        "a. fever\nb. rash\nWhich of these?",
    ],
)
def test_letters_and_lists_in_the_stem_are_no_options(stem):
    question = read_pasted(f"{stem}\nA) one\nB) two\nC) three")
    assert (question.stem, question.options) == (stem, ("one", "two", "three"))


def test_lists_inside_an_option_are_no_options():
    options = ("1 and 2", "2 only", "both 1. and 2. are")
    assert read_pasted("Which?\n1. x\n2. y\n" + written(options, "{L}. {o}", "\n")).options == options


def test_species_names_are_no_options():
    question = read_pasted("Which? A. E. coli B. H. pylori C. C. difficile D. Klebsiella")
    assert question.options == ("E. coli", "H. pylori", "C. difficile", "Klebsiella")


def test_a_letter_after_a_name_is_an_option_where_one_is_due():
    assert read_pasted("Which? A) Viral hepatitis B) Drug level C) Hepatitis C D) None").options[1] == "Drug level"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" \n ", "The text is empty."),
        ("Which drug is it?", "No options were found. Write each option on its own line"),
        ("Which?\nA) x", "Only option A was found."),
        ("Which?\nA) x\nB) y\nD) z", "After option B comes D: option C is missing."),
        ("Which?\n1. x\n2. y\n4. z", "After option 2 comes 4: option 3 is missing."),
        ("Which?\nA) x\nC) y", "After option A comes C: option B is missing."),
        ("Which? A) x B) y D) z", "After option B comes D: option C is missing."),
        ("Which?\nB) x\nC) y", "The options start at B: option A is missing."),
        ("Which?\nA) x\nB) y\nB) z", "Option B appears twice."),
        ("Which? A) x B) y B) z", "Option B appears twice."),
        ("Which?\nA) x\nB)\nC) z", "Option B is empty."),
        ("Which?\nA) x\nB) X", "Options A and B are the same"),
        ("A) x\nB) y", "The question is empty."),
        ("Which?\n" + written("abcdefgh", "{L}) {o}", "\n") + "\nI) i", "There are 9 options"),
        ("Which?\nA) x\nB) y\nAnswer: E", "The key is E, and there are 2 options (A to B)."),
        ("Which?\nA) x\nB) y\nAnswer: A, B", "names more than one option"),
        ("Which?\nA) x\nB) y\nAnswer: none", "The key “none” names none of the options."),
        ("Which?\nA) x\nB) y\nAnswer: B) x", "The key is B, but the text after it is option A."),
        ("Which?\nA) 2\nB) 1\nAnswer: 2", "The key 2 is the place of one option and the text of option A."),
        ("Which?\nA) x\nB) y\nAnswers: 1. B 2. A", "names more than one option"),
        ("Which?\nA) x\nB) y\nAnswer: A patient with pain", "names none of the options"),
        ("Which?\n1) x\n2) y\nAnswer: 1. B", "has a number and a letter, and the options have numbers"),
        ("Which?\nA) x\nB) y\nAnswer: 1. y", "The key is A, but the text after it is option B."),
        ("Answer: A\nWhich?\nA) x\nB) y\nAnswer: B", "A and B are both given as the key."),
        ("Which?\nA) x\n*B) y\nAnswer: A", "A and B are both given as the key."),
        ("Which?\n*A) x\n*B) y\nC) z", "Options A, B are marked with a star or tick."),
        ("Which?\nA) x\nB) y\n\nIt is so.", "Below the options stands “It is so.”, which is no option."),
        ("Which?\nA) x\nB) y\n2", "“2” stands alone under the options."),
        ("x" * 8001, "The text has 8,001 characters, the limit is 8,000."),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(text, message):
    with pytest.raises(QuestionError) as error:
        read_pasted(text)
    assert message in str(error.value)


@pytest.mark.skipif(not USMLE.is_dir(), reason="the real data are not here")
@pytest.mark.parametrize(
    ("forms", "separator", "at_least"), [(LINE_FORMS, "\n", 1.0), (ROW_FORMS, " ", 0.99)], ids=["lines", "row"]
)
def test_real_vignettes_read_back_as_they_were(forms, separator, at_least):
    rows = [json.loads(line) for path in USMLE.glob("*.jsonl") for line in path.open(encoding="utf-8")]
    questions = medqa_usmle.to_questions(rows, "usmle").questions
    same = 0
    for i, question in enumerate(questions):
        form = forms[i % len(forms)]
        text = separator.join([question.stem, written(question.options, form, separator), f"Answer: {question.key}"])
        try:
            read = read_pasted(text)
        except QuestionError:
            continue
        same += (read.stem.split(), read.options, read.key) == (question.stem.split(), question.options, question.key)
    assert same >= at_least * len(questions)
