"""A clinician asks where the model learnt an answer, and is told when the question is one it was trained on."""

import json

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_the_nearest_training_rows_are_shown_and_a_trained_question_is_recognised(opened, page, trained, server):
    opened(page)
    asked(page)
    expect(panel(page)).to_contain_text("The base model alone has no training rows to search.")

    trained(page)
    page.locator("#use").click()
    asked(page)
    expect(panel(page)).to_contain_text("of the 64 questions the adapter was trained on")
    expect(panel(page)).to_contain_text("not cause")
    expect(panel(page).locator("li")).to_have_count(5)
    expect(panel(page)).not_to_contain_text("⚠")
    first = panel(page).locator("details").first
    expect(first.locator(".mq-explanation")).not_to_be_visible()
    first.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(first.locator(".mq-explanation")).to_be_visible()
    expect(first).to_contain_text("Shared, rarest first")

    page.set_viewport_size({"width": 390, "height": 844})
    rows = (server.runs / "quick-1" / "adapter" / "training_rows" / "rows.jsonl").read_text().splitlines()
    row = next(row for row in map(json.loads, rows) if len(row["options"]) == 4)
    page.locator("#stem textarea").fill(row["stem"])
    for letter, text in zip("ABCD", reversed(row["options"]), strict=True):
        page.locator(f"#option-{letter} textarea, #option-{letter} input").fill(text)
    asked(page, example=False)
    expect(panel(page).locator(".mq-doubt")).to_contain_text("has the very words of a training row")
    expect(panel(page).locator("li").first).to_contain_text("⚠ the same words")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def panel(page):
    return page.locator("#probe-neighbours")


def asked(page, example=True):
    """Answered, and the panel opened under it."""
    if example:
        page.locator("#examples button").first.click()
        expect(page.locator("#stem textarea")).not_to_have_value("")
    # The card of the answer before stands there for a moment, and the panel under it closes only then.
    page.evaluate("document.querySelector('#card section')?.classList.add('before')")
    page.locator("#answer").click()
    expect(page.locator('#card section[aria-busy="false"]:not(.before)')).to_be_visible()
    panel(page).get_by_role("button").first.click()
    expect(panel(page).locator(".mq-probe")).to_be_visible()
