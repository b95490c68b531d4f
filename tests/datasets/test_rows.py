import pytest

from medqa.datasets.rows import DatasetError, Skipped, collected, cop_base, question_or_skipped, split_marker
from medqa.question import Question


def named(letter, cop):
    return {"cop": cop, "exp": f"Ans. is '{letter}' i.e., something"}


@pytest.mark.parametrize(
    ("options", "answer", "stem", "reason"),
    [
        (["x", "y"], None, "Which?", "no key"),
        (["x", "y"], 2, "Which?", "key outside the options"),
        (["x", "y"], -1, "Which?", "key outside the options"),
        (["x", " X "], 0, "Which?", "duplicate options"),
        (["x", None], 0, "Which?", "empty option"),
        (["x"], 0, "Which?", "too few options"),
        (list("abcdefghi"), 0, "Which?", "too many options"),
        (["x", "y" * 20_000], 0, "Which?", "too long"),
        (["x", "y"], 0, " ", "empty question"),
        (["x", "y"], 0, None, "empty question"),
    ],
)
def test_a_row_that_makes_no_question_is_skipped_with_a_reason(options, answer, stem, reason):
    assert question_or_skipped("a:1", stem, options, answer) == Skipped("a:1", reason, (stem or "").strip())


@pytest.mark.parametrize(
    "parts",
    [
        {"stem": "Which \ud800?"},
        {"options": ["x", "\udfffy"]},
        {"explanation": "Because \ud800."},
        {"subject": "\ud800"},
        {"source": "a:\ud800"},
    ],
    ids=lambda parts: next(iter(parts)),
)
def test_a_row_with_half_a_character_is_skipped_and_can_be_told_of(parts):
    row = {"source": "a:1", "stem": "Which?", "options": ["x", "y"], "answer": 0} | parts
    skipped = question_or_skipped(**row)
    assert skipped.reason == "half a character"
    assert f"{skipped.source} {skipped.stem}".encode()


def test_options_become_one_line_and_the_stem_keeps_its_lines():
    question = question_or_skipped("a:1", " Na 138\nK 4\n", ["x\ny", 3], 1, " because\nof ", "")
    assert question == Question("Na 138\nK 4", ("x y", "3"), 1, "because of", None, "a:1")


def test_a_skipped_row_keeps_the_start_of_its_stem():
    assert len(question_or_skipped("a:1", "long " * 100, ["x", "y"], None).stem) == 80


def test_skipped_rows_are_counted_by_reason():
    rows = [question_or_skipped("a:1", "Which?", ["x", "y"], answer) for answer in (0, None, None, 5)]
    loaded = collected(rows)
    assert len(loaded.questions) == 1
    assert loaded.skipped_by_reason == {"no key": 2, "key outside the options": 1}


@pytest.mark.parametrize(
    ("explanation", "letter", "rest"),
    [
        ("Ans. is 'b' i.e., Lupus vulgaris", 1, "Lupus vulgaris"),
        ("Ans: B. 5'-3' exonuclease", 1, "5'-3' exonuclease"),
        ("Answer- A (B- cell)MC type", 0, "(B- cell)MC type"),
        ("Answer:. d. Acquired inhibitors", 3, "Acquired inhibitors"),
        ("Ans.b). Variance of DBP", 1, "Variance of DBP"),
        ("Ans. 'D' Cori's disease", 3, "Cori's disease"),
        ("The answer is (d). Because", 3, "Because"),
        ("Answer-C- M. Indicus", 2, "M. Indicus"),
        ("(c) i.e., Lupus", 2, "Lupus"),
        ("B i.e. Lupus", 1, "Lupus"),
        ("Ans: D. -70 mV at rest", 3, "-70 mV at rest"),
        ("Ans: D.+85 mV", 3, "+85 mV"),
        ("Ans. b. .5 mg/kg", 1, ".5 mg/kg"),
    ],
)
def test_a_leading_answer_letter_is_taken_off(explanation, letter, rest):
    assert split_marker(explanation) == (letter, rest)


@pytest.mark.parametrize(
    "explanation",
    ["A history of pneumonia", "Ans. All are true", "Ans: B & C both", "Ans: A is false & b is true", "DNA is", ""],
)
def test_text_that_names_no_single_letter_is_left_alone(explanation):
    assert split_marker(explanation) == (None, explanation)


def test_a_zero_means_counting_from_zero():
    assert cop_base([{"cop": 0}, {"cop": 3}]) == (0, "`cop` counts from 0: a 0 occurs.")


def test_a_four_means_counting_from_one():
    assert cop_base([{"cop": "4"}, {"cop": 1.0}])[0] == 1


def test_zero_and_four_together_are_refused():
    with pytest.raises(DatasetError, match=r"two countings are mixed.*cop_base=0"):
        cop_base([{"cop": 0}, {"cop": 4}])


@pytest.mark.parametrize("base", [0, 1])
def test_explanations_that_name_their_letter_decide(base):
    rows = [named("bcb"[i % 3], (1, 2, 1)[i % 3] + base) for i in range(9)] + [named("a", 3)]
    assert cop_base(rows) == (base, f"`cop` counts from {base}: 9 of 9 explanations that name their letter agree.")


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"cop": 1}, {"cop": 2}],
        [named("b", 1), named("c", 2)],  # two are too few
        [named("b", 1)] * 5 + [named("a", 1)] * 5,
    ],
)
def test_without_clear_evidence_the_base_is_asked_for(rows):
    with pytest.raises(DatasetError, match="cop_base=0 when 0 means option A, cop_base=1 when 1 does"):
        cop_base(rows)
