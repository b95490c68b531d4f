"""A visitor fine-tunes the embedded model, and looks at what that changed."""

import re
import shutil

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_the_adapter_is_shown_beside_the_base_model_and_beside_a_newer_adapter(opened, page, trained, server):
    opened(page)
    answered(page, "medqa-nano alone")
    panel = page.locator("#probe-compare")
    title = panel.get_by_role("button", name="What did fine-tuning change?")
    title.click()
    expect(panel.get_by_role("alert")).to_contain_text("There is no adapter to compare with yet.")

    trained(page)
    page.locator("#use").click()
    answered(page, "with the adapter quick-1")
    title.click()
    expect(panel.locator(".mq-option")).to_have_count(4)
    expect(panel.locator("#compare-with input")).to_have_value("medqa-nano alone (no adapter)")
    expect(panel.locator(".mq-probe")).to_contain_text(re.compile(r"Both choose [A-D]\)|quick-1 chooses [A-D]\)"))
    expect(panel.locator(".side")).to_have_count(8)
    expect(panel.locator(".side strong")).to_have_count(2)
    # The sentence "The key is …" and the mark at its option: an example from the handbook has one.
    expect(panel.locator(".mq-probe")).to_contain_text("The key is")
    shares = [int(re.search(r"(\d+) %", text)[1]) for text in panel.locator(".share").all_inner_texts()]
    assert sum(shares) == pytest.approx(200, abs=6)

    page.set_viewport_size({"width": 390, "height": 844})
    panel.get_by_label("Show both explanations").check()
    expect(panel.locator(".mq-two .mq-explanation")).to_have_count(2)
    expect(panel.locator(".mq-two")).to_contain_text("medqa-nano alone explains")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390

    # A run that ends while the panel is closed is among the choices when it is opened again.
    title.click()
    shutil.copytree(server.runs / "quick-1", server.runs / "quick-2")
    title.click()
    expect(panel.locator(".mq-two .mq-explanation")).to_have_count(2)
    panel.locator("#compare-with input").click()
    page.get_by_role("option", name="quick-2").click()
    expect(panel.locator(".mq-two")).to_contain_text("quick-2 explains")


def answered(page, by):
    page.locator("#examples button").first.click()
    expect(page.locator("#stem textarea")).not_to_have_value("")
    page.locator("#answer").click()
    # The card of the answer before stands there for a moment.
    expect(page.locator('#card section[aria-busy="false"]')).to_contain_text(by)
    expect(page.locator("#probes")).to_be_visible()
