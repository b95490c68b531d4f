"""A clinician sees what an answer hung on, switches findings off, and asks why it was not another option."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

CASE = """A 60-year-old man has fatigue, pruritus after bathing, and splenomegaly. He smokes. What is the diagnosis?
A) Polycythaemia vera
B) Carbon monoxide poisoning
C) Dehydration
D) Scurvy"""
NEXT = CASE.replace("fatigue", "thirst")
OTHER = """Which vitamin deficiency causes scurvy?
A) Vitamin A
B) Vitamin C"""


def test_findings_are_marked_and_switched_off_and_another_option_is_asked_about(opened, page):
    opened(page)
    asked(page, CASE, 4)
    panel = page.locator("#probe-findings")
    panel.get_by_role("button", name="What did it hang on?").click()
    expect(panel).to_contain_text("Influence on the score")
    expect(panel.locator(".mq-marked")).to_contain_text("pruritus after bathing")
    expect(panel).to_contain_text("when two say the same, each shows little influence")
    expect(panel).to_contain_text("All findings on.")

    panel.get_by_role("button", name="Switch findings off by hand").click()
    panel.get_by_label("splenomegaly").check()
    expect(panel.locator("del")).to_have_text("splenomegaly")
    expect(panel.get_by_role("status")).to_contain_text("Without 1 finding,")
    panel.get_by_label("He smokes").check()
    expect(panel.get_by_role("status")).to_contain_text("Without 2 findings,")
    expect(panel.locator(".base-share")).to_have_text([re.compile("as asked")] * 4)

    why = page.locator("#probe-why-not")
    why.get_by_role("button", name="Why not …?").click()
    expect(why.get_by_role("radio")).to_have_count(3)
    expect(why.get_by_role("radio", checked=True)).to_have_count(1)
    expect(why).to_contain_text("in log-odds behind")
    last = why.get_by_role("radio").last
    last.check()
    letter = page.locator("#why-not-option label").last.inner_text().strip()[0]
    expect(why.locator("h4").first).to_contain_text(f"log-odds of {letter} against")
    expect(why).not_to_contain_text("If made to defend")
    why.get_by_label("Make the model defend each option").check()
    expect(why).to_contain_text(f"If made to defend {letter})")
    expect(why).to_contain_text("which it did not choose")

    # Another question: its own findings, all on, also behind switches that are folded in.
    panel.get_by_role("button", name="Switch findings off by hand").click()
    asked(page, NEXT, 4)
    panel.get_by_role("button", name="What did it hang on?").click()
    expect(panel).to_contain_text("All findings on.")
    panel.get_by_role("button", name="Switch findings off by hand").click()
    expect(panel.get_by_label("fatigue")).to_have_count(0)
    expect(panel.get_by_role("checkbox", checked=True)).to_have_count(0)
    panel.get_by_label("thirst").check()
    expect(panel.locator("del")).to_have_text("thirst")
    expect(panel.get_by_role("status")).to_contain_text("Without 1 finding,")

    asked(page, OTHER, 2)
    panel.get_by_role("button", name="What did it hang on?").click()
    expect(panel).to_contain_text("This question states no findings apart from what it asks")
    expect(panel.get_by_label("splenomegaly")).to_have_count(0)
    why.get_by_role("button", name="Why not …?").click()
    expect(why.get_by_role("radio")).to_have_count(1)
    expect(why.get_by_label("Make the model defend each option")).not_to_be_checked()
    expect(why).to_contain_text("in log-odds behind")


def asked(page, text, options):
    page.locator("#pasted textarea").fill(text)
    expect(page.locator("#read-as")).to_contain_text(f"{options} options")
    page.locator("#answer").click()
    expect(page.locator("#probes .mq-probe")).to_have_count(0)  # those of the question before have gone
    expect(page.locator("#card .mq-option")).to_have_count(options)
    expect(page.locator('#card section[aria-busy="false"]')).to_be_visible()
    expect(page.locator("#probes")).to_be_visible()
