import pytest

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
