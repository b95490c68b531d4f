"""A visitor comes to an empty page, fine-tunes the embedded model and asks it a question."""

import re
import time

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

# Ten seconds on an idle two-core machine; a busy one gets the rest.
FIRST_LOSS_SECONDS = 25
RECORD_LENGTHS = """() => {
  window.lengths = [];
  new MutationObserver(() => {
    const text = document.querySelector('#card .mq-explanation')?.textContent ?? '';
    if (text.length && text.length !== window.lengths.at(-1)) window.lengths.push(text.length);
  }).observe(document.querySelector('#card').parentElement, {subtree: true, childList: true, characterData: true});
}"""


def test_an_empty_page_says_what_it_is_and_that_there_is_no_adapter_yet(opened, page):
    opened(page)
    expect(page.get_by_text("Not medical advice").first).to_be_visible()
    expect(page.locator("#adapter-hint")).to_contain_text("No adapter yet")
    expect(page.locator("#adapter input")).to_have_value(re.compile("alone"))


def test_a_visitor_fine_tunes_the_embedded_model_and_sees_it_answer_and_explain(
    opened, page, watch, fine_tune, until_finished, undisturbed
):
    opened(page)
    with undisturbed():
        fine_tune(page, rows=64, batch_size=8, evaluation_questions=10, epochs=1)
        began = time.monotonic()
        page.locator("#curves polyline").first.wait_for(state="attached")
        seconds = time.monotonic() - began
    print(f"first loss point after {seconds:.1f} s")
    assert seconds < FIRST_LOSS_SECONDS
    expect(page.locator("#live")).to_contain_text("of 8")
    expect(page.locator("#live")).to_contain_text(re.compile(r"loss \d"))

    watch.reload(page)
    page.get_by_role("tab", name="Fine-tune").click()
    expect(page.locator("#live")).to_contain_text("quick-1 · running")
    expect(page.locator("#curves polyline").first).to_be_attached()
    until_finished(page)
    expect(page.locator("#live")).to_contain_text("step 8 of 8")
    expect(page.locator("#live table")).to_contain_text("unknown")

    page.locator("#use").click()
    expect(page.locator("#answer")).to_be_visible()
    expect(page.locator("#adapter input")).to_have_value(re.compile(r"quick-1 .*% → \d+ %"))
    expect(page.locator("#adapter-hint")).not_to_contain_text("No adapter yet")
    page.locator("#examples button").first.click()
    expect(page.locator("#stem textarea")).not_to_have_value("")
    page.evaluate(RECORD_LENGTHS)
    began = time.monotonic()
    page.locator("#answer").click()
    page.locator("#card .mq-option").first.wait_for()
    print(f"first bar after {time.monotonic() - began:.1f} s")

    expect(page.locator('#card section[aria-busy="false"]')).to_be_visible()
    print(f"whole explanation after {time.monotonic() - began:.1f} s")
    lengths = page.evaluate("window.lengths")
    assert len(lengths) > 2 and lengths == sorted(lengths)
    expect(page.locator("#card .fill")).to_have_count(4)
    assert sum(shares(page)) == pytest.approx(100, abs=3)
    said = page.locator("#card .mq-note").last.inner_text()
    assert re.search(r"medqa-nano with the adapter quick-1, trained on handbook: right on \d+ of 10 held-out", said)
    assert "Not medical advice" in said


def shares(page):
    """In percent; the ends are written "< 1 %" and "> 99 %"."""
    return [int(re.search(r"(\d+) %", text)[1]) for text in page.locator("#card .share").all_inner_texts()]
