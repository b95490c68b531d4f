"""A clinician pastes a question, checks how it was read, and asks it; what can't be read is said in a sentence."""

import json
import re

import pytest
from playwright.sync_api import expect

from medqa.settings import ROOT

pytestmark = pytest.mark.browser

USMLE = ROOT.parent / "shared" / "data" / "medqa_usmle" / "validation.jsonl"
SMALL = """Which vitamin deficiency causes scurvy?
A) Vitamin A
B) Vitamin C
C) Vitamin D
D) Vitamin K
Answer: B"""
TAG = "<img src=x onerror=alert(1)>"


@pytest.fixture
def pasted(opened, page):
    """pasted(text): open the page and paste into its box."""

    def paste(text):
        opened(page)
        page.locator("#pasted textarea").fill(text)

    return paste


def test_a_small_question_is_read_and_answered_with_a_verdict(page, pasted):
    pasted(SMALL)
    expect(page.locator("#read-as")).to_contain_text("Read as a question with 4 options, key B kept aside.")
    expect(page.locator("#stem textarea")).to_have_value("Which vitamin deficiency causes scurvy?")
    assert options(page) == ["Vitamin A", "Vitamin C", "Vitamin D", "Vitamin K"]
    expect(page.locator("#key input")).to_have_value("B")
    answered(page)
    expect(page.locator("#card .mq-verdict")).to_contain_text(re.compile("agrees with the key|the key is B"))
    expect(page.locator("#card")).to_contain_text("medqa-nano alone, without an adapter")
    # For a screen reader, which can only watch what stays when the card's content is replaced.
    expect(page.locator("body > [role=status]")).to_contain_text("medqa-nano alone, without an adapter")
    accordion = page.get_by_role("button", name="Would it hold if the options moved?")
    expect(accordion).to_have_attribute("aria-expanded", "false")
    accordion.click()
    expect(accordion).to_have_attribute("aria-expanded", "true")


def test_a_real_exam_question_is_read_and_answered_with_a_verdict(page, pasted):
    if not USMLE.exists():
        pytest.skip(f"no {USMLE}")
    with USMLE.open(encoding="utf-8") as file:
        row = json.loads(next(file))
    lines = [row["question"], *(f"{letter}. {text}" for letter, text in row["options"].items())]
    pasted("\n".join([*lines, f"Answer: {row['answer_idx']}"]))
    expect(page.locator("#read-as")).to_contain_text(f"4 options, key {row['answer_idx']} kept aside")
    expect(page.locator("#stem textarea")).to_have_value(" ".join(row["question"].split()))
    assert options(page) == list(row["options"].values())
    answered(page)
    expect(page.locator("#card .mq-verdict")).to_be_visible()


def test_a_question_without_options_is_refused_under_the_box_and_the_fields_stay(page, pasted):
    pasted(SMALL)
    expect(page.locator("#stem textarea")).to_have_value("Which vitamin deficiency causes scurvy?")
    page.locator("#pasted textarea").fill("Which vitamin deficiency causes scurvy? I forgot the options.")
    expect(page.locator("#read-as [role=alert]")).to_contain_text("No options were found. Write each option")
    box, sentence = page.locator("#pasted").bounding_box(), page.locator("#read-as").bounding_box()
    assert 0 <= sentence["y"] - (box["y"] + box["height"]) < 60
    expect(page.locator("#stem textarea")).to_have_value("Which vitamin deficiency causes scurvy?")
    # They are not what was pasted last.
    page.locator("#answer").click()
    expect(page.locator("#problem [role=alert]")).to_contain_text(
        "What was pasted can't be read: No options were found."
    )
    expect(page.locator("#card .mq-option")).to_have_count(0)
    page.locator("#pasted textarea").fill("")
    answered(page)


def test_a_key_is_not_held_against_another_question_typed_over_its_own(page, pasted):
    pasted(SMALL)
    expect(page.locator("#key input")).to_have_value("B")
    page.locator("#stem textarea").fill("which vitamin deficiency  causes scurvy?")
    answered(page)
    expect(page.locator("#key input")).to_have_value("B")
    expect(page.locator("#card .mq-verdict")).to_contain_text(re.compile("agrees with the key|the key is B"))
    page.locator("#stem textarea").fill("A child who eats no liver sees badly at dusk. What is lacking?")
    page.locator("#answer").click()
    expect(page.locator("#left-out")).to_contain_text("The key “B” was given before the question was changed")
    expect(page.locator("#card section[aria-busy=false]")).to_contain_text("sees badly at dusk")
    expect(page.locator("#key input")).to_have_value("not known")
    expect(page.locator("#card")).not_to_contain_text(re.compile("agrees with the key|the key is B"))


def test_of_two_presses_the_card_shows_the_answer_to_the_second(page, pasted):
    pasted(SMALL)
    for between in (20, 300):  # ms: while the first is cleared away; while it is written
        stem = f"Which vitamin cures what a sailor has after {between} days at sea?"
        page.locator("#answer").click()
        page.wait_for_timeout(between)
        page.locator("#stem textarea").fill(stem)
        page.locator("#answer").click()
        expect(page.locator("#card section[aria-busy=false]")).to_contain_text(stem)
        expect(page.get_by_text("Test this answer")).to_be_visible()


def test_an_example_takes_the_place_of_what_could_not_be_read(page, opened):
    opened(page)
    page.locator("#pasted textarea").fill("Which vitamin deficiency causes scurvy? I forgot the options.")
    expect(page.locator("#read-as [role=alert]")).to_be_visible()
    page.locator("#examples button").first.click()
    expect(page.locator("#read-as [role=alert]")).to_have_count(0)
    expect(page.locator("#pasted textarea")).to_have_value("")
    expect(page.locator("#stem textarea")).not_to_have_value("")


def test_options_are_added_and_removed_up_to_their_bounds(opened, page):
    opened(page)
    more, fewer = (page.get_by_role("button", name=name) for name in ("Add an option", "Remove the last option"))
    for letter in "EFGH":
        more.click()
        expect(page.locator(f"#option-{letter}")).to_be_visible()
    expect(more).to_be_disabled()
    for letter in "HGFEDC":
        fewer.click()
        expect(page.locator(f"#option-{letter}")).to_be_hidden()
    expect(fewer).to_be_disabled()
    expect(more).to_be_enabled()
    page.locator("#examples button").first.click()
    expect(page.locator("#option-D")).to_be_visible()
    expect(fewer).to_be_enabled()


def test_an_empty_question_is_refused_in_a_sentence(opened, page):
    opened(page)
    page.locator("#answer").click()
    expect(page.locator("#problem [role=alert]")).to_contain_text("The question is empty. Write what is asked.")
    expect(page.locator("#card .mq-option")).to_have_count(0)


def test_a_stem_of_3000_words_is_refused_in_a_sentence_wherever_it_is_put(page, pasted):
    stem = "fever " * 3000
    pasted(SMALL.replace("Which", f"{stem}Which"))
    expect(page.locator("#read-as [role=alert]")).to_contain_text("the limit is 8,000. Shorten it.")
    page.locator("#pasted textarea").fill(SMALL)
    expect(page.locator("#read-as")).to_contain_text("4 options")
    page.locator("#stem textarea").fill(stem)
    page.locator("#answer").click()
    expect(page.locator("#problem [role=alert]")).to_contain_text("the limit is 1,500. Shorten the stem.")
    expect(page.locator("#card .mq-option")).to_have_count(0)


def test_markup_in_a_question_is_shown_as_text_and_runs_nothing(page, pasted, watch):
    pasted(f"What is {TAG}?\nA) {TAG} one\nB) <script>alert(2)</script>\nC) three\nD) four\nAnswer: A")
    expect(page.locator("#stem textarea")).to_have_value(f"What is {TAG}?")
    answered(page)
    expect(page.locator("#card .text").first).to_contain_text(f"A) {TAG} one")
    expect(page.locator("#card .text").nth(1)).to_contain_text("B) <script>alert(2)</script>")
    # Errors quote what was pasted.
    page.locator("#pasted textarea").fill(f"What?\nA) one\nB) two\nAnswer: {TAG}")
    expect(page.locator("#read-as [role=alert]")).to_contain_text(TAG)
    expect(page.locator("img[src=x]")).to_have_count(0)
    assert [url for url in watch.requests if url.endswith("/x")] == []
    assert watch.dialogs == []


@pytest.mark.parametrize(
    "text",
    [
        "Which city is the capital of France?\nA) Paris\nB) Rome\nC) Madrid\nD) Lisbon",
        "qxv zzkl brrt wpf?\nA) foo\nB) bar\nC) baz\nD) qux",
        "पैरासिटामोल विषाक्तता का प्रतिकारक क्या है?\nA) नालोक्सोन\nB) प्रोटामिन\nC) एट्रोपिन\nD) ग्लूकागन",
    ],
    ids=["general knowledge", "nonsense", "Hindi"],
)
def test_what_the_embedded_model_was_never_taught_is_answered_with_a_warning_in_words(page, pasted, text):
    pasted(text)
    expect(page.locator("#read-as")).to_contain_text("4 options")
    answered(page)
    expect(page.locator("#card .mq-doubt").first).to_contain_text("medqa-nano is not trained for this")


def options(page):
    return [page.locator(f"#option-{letter} input, #option-{letter} textarea").input_value() for letter in "ABCD"]


def answered(page):
    page.locator("#answer").click()
    expect(page.locator("#card .mq-option")).to_have_count(4)
    expect(page.locator('#card section[aria-busy="false"]')).to_be_visible()
