from types import SimpleNamespace

import pytest

from medqa.question import Answer, Explanation, Question
from medqa.ui.answering import Asked
from medqa.ui.panels import what_if

LONG = "A 45-year-old man has a fever. " * 300


@pytest.mark.parametrize(("name", "edit"), what_if.QUICK_EDITS)
def test_a_text_longer_than_any_vignette_is_edited_by_hand_alone(name, edit):
    text, _, said = what_if.edited_text(edit, LONG)
    assert text["__type__"] == "update"
    assert "value" not in text
    assert f"The text has {len(LONG):,} characters, more than 6,000" in said


def test_no_findings_are_offered_of_such_a_text():
    assert what_if.offered("A 45-year-old man comes in. He has a fever. What is it?")["choices"] == ["He has a fever"]
    assert what_if.offered(LONG)["choices"] == []


def test_the_receipt_tells_the_latest_comparison_also_when_it_was_explained():
    asked = Answer(Question("A woman has fever. Why?", ("Flu", "Malaria")), (-0.2, -2.0), "a rule")
    engine = SimpleNamespace(
        score=lambda question, adapter: Answer(question, (-0.2, -2.0), "a rule"),
        explain=lambda answer, adapter: iter([Explanation("Because.", ended=True)]),
    )
    shown = Asked(asked, None, Explanation("", ended=True), probes={what_if.TITLE: ("An older one.",)})
    engines = SimpleNamespace(of=lambda base: engine)
    list(what_if.explanation_pieces(engines, shown, "A man has fever. Why?", "Flu\nMalaria"))
    assert "Edited in the question: “woman” → “man”." in shown.probes[what_if.TITLE]


def test_a_question_that_was_not_edited_is_not_explained_a_second_time():
    asked = Answer(Question("A woman has fever. Why?", ("Flu", "Malaria")), (-0.2, -2.0), "a rule")
    engine = SimpleNamespace(score=lambda question, adapter: Answer(question, (-0.2, -2.0), "a rule"))
    shown = Asked(asked, None, Explanation("", ended=True))
    engines = SimpleNamespace(of=lambda base: engine)
    *_, (comparison, written, _), _ = what_if.explanation_pieces(engines, shown, asked.question.stem, "Flu\nMalaria")
    assert "Nothing is edited yet" in comparison
    assert written == ""
