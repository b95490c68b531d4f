"""A clinician edits the question under an answer and sees what the edit does, on a narrow screen too."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

STEM = (
    "A 28-year-old woman comes to the physician because of dysuria for 2 days. She has a fever. "
    "Which drug is the most appropriate treatment?"
)
OPTIONS = ("Ciprofloxacin", "Cefalexin", "Doxycycline", "Gentamicin")


@pytest.fixture
def editing(opened, new_page):
    """editing(width): a page with an answer, and the what-if panel open under it."""

    def ask(width=1280):
        page = opened(new_page(width=width))
        page.locator("#stem textarea").fill(STEM)
        for letter, text in zip("ABCD", OPTIONS, strict=True):
            page.locator(f"#option-{letter} textarea, #option-{letter} input").fill(text)
        page.locator("#answer").click()
        page.locator("#probe-what-if button").first.click()
        expect(box(page)).to_have_value(STEM)
        return page

    return ask


def box(page):
    return page.locator("#what-if-stem textarea")


def test_a_quick_edit_rewrites_the_question_and_both_answers_stand_side_by_side(editing):
    page = editing()
    panel = page.locator("#probe-what-if")
    panel.get_by_role("button", name="Add “pregnant”").click()
    expect(box(page)).to_have_value(STEM.replace("woman", "pregnant woman"))
    panel.get_by_role("button", name="10 years older").click()
    expect(box(page)).to_have_value(STEM.replace("28-year-old woman", "38-year-old pregnant woman"))

    page.locator("#what-if-compare").click()
    expect(panel.locator(".mq-whatif-verdict")).to_contain_text(re.compile("The answer (changed from|stays) "))
    expect(panel.locator("ins")).to_contain_text("38-year-old pregnant")
    expect(panel.locator("del")).to_contain_text("28-year-old")
    expect(panel.locator(".mq-whatif .track")).to_have_count(8)

    # What contradicts is refused in a sentence, and the text stays.
    panel.get_by_role("button", name="Other sex").click()
    expect(panel.locator("#what-if-done [role=alert]")).to_contain_text("“pregnant” is said of a woman")
    expect(box(page)).to_have_value(STEM.replace("28-year-old woman", "38-year-old pregnant woman"))


def test_a_finding_is_chosen_and_negated_and_the_edited_question_explained(editing):
    page = editing(width=390)
    finding = page.locator("#what-if-finding input")
    finding.click()
    page.get_by_role("option", name="She has a fever").click()
    page.get_by_role("button", name="Negate it").click()
    expect(box(page)).to_have_value(STEM.replace("has a fever", "has no fever"))

    page.locator("#what-if-explain").click()
    columns = page.locator("#probe-what-if .mq-pair")
    expect(columns.last).to_contain_text("Explanation of the edited question")
    expect(columns.last).to_have_attribute("aria-busy", "false")
    asked, edited = columns.first.locator("section").all()
    assert asked.bounding_box()["y"] + asked.bounding_box()["height"] <= edited.bounding_box()["y"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_what_was_typed_survives_an_error_and_closing_but_not_the_next_question(editing):
    page = editing()
    typed = "fever " * 3000
    box(page).fill(typed)
    page.locator("#what-if-compare").click()
    expect(page.locator("#probe-what-if [role=alert]")).to_contain_text("the limit is 1,500. Shorten the stem.")
    expect(box(page)).to_have_value(typed)
    head = page.locator("#probe-what-if button").first
    head.click()
    expect(box(page)).to_be_hidden()
    head.click()
    expect(box(page)).to_have_value(typed)

    page.locator("#stem textarea").fill("Which vitamin deficiency causes scurvy?")
    page.locator("#answer").click()
    expect(box(page)).to_be_hidden()
    expect(page.locator("#probes")).to_be_visible()
    head.click()
    expect(box(page)).to_have_value("Which vitamin deficiency causes scurvy?")
    expect(page.locator("#probe-what-if [role=alert]")).to_have_count(0)
