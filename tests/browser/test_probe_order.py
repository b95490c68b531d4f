"""A clinician asks whether an answer would hold if the options moved; the next answer begins with a closed panel."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_the_options_are_moved_and_more_orders_are_tried_on_demand(opened, page):
    opened(page)
    answered(page, example=0)
    expect(page.locator("#probe-order .mq-probe")).to_have_count(0)
    panel = page.locator("#probe-order")
    panel.get_by_role("button", name="Would it hold if the options moved?").click()
    expect(panel.locator(".mq-probe")).to_contain_text(re.compile(r"The choice (holds|does not hold): [A-D]\)"))
    expect(panel.locator(".mq-option")).to_have_count(4)
    assert chosen_of(panel, 4) == 4

    page.set_viewport_size({"width": 390, "height": 844})
    panel.get_by_label("Try up to 24 orders").check()
    expect(panel.locator(".mq-probe")).to_contain_text("24 orders")
    assert chosen_of(panel, 24) == 24
    assert page.evaluate("document.documentElement.scrollWidth") <= 390

    answered(page, example=1)
    expect(panel.locator(".mq-probe")).to_have_count(0)
    expect(panel.get_by_label("Try up to 24 orders")).not_to_be_visible()


def chosen_of(panel, orders):
    texts = panel.locator(".mq-option").all_inner_texts()
    return sum(int(re.search(rf"chosen in (\d+) of {orders} ", text)[1]) for text in texts)


def answered(page, example):
    page.locator("#examples button").nth(example).click()
    expect(page.locator("#stem textarea")).not_to_have_value("")
    page.locator("#answer").click()
    expect(page.locator('#card section[aria-busy="false"]')).to_be_visible()
    expect(page.locator("#probes")).to_be_visible()
