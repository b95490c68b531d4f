"""A clinician keeps an answer with a probe she has run, reads it offline, and has it checked."""

import json
import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

TAG = "<img src=x onerror=alert(1)>"


@pytest.fixture
def offline(chromium):
    """A phone without a network, and every address it asks for."""
    context = chromium.new_context(viewport={"width": 390, "height": 800}, offline=True, color_scheme="dark")
    asked_for = []
    context.on("request", lambda request: asked_for.append(request.url))
    yield context.new_page(), asked_for
    context.close()


def test_an_answer_is_kept_read_offline_and_comes_out_again(opened, page, offline, tmp_path):
    opened(page)
    page.locator("#examples button").first.click()
    expect(page.locator("#stem textarea")).not_to_have_value("")
    page.locator("#option-D textarea, #option-D input").fill(f"None {TAG}")
    page.locator("#answer").click()
    expect(page.locator("#probes")).to_be_visible()
    page.locator("#probe-order button").first.click()
    expect(page.locator("#probe-order .mq-probe")).to_be_visible()

    page.locator("#keep button").first.click()
    for suffix in ("json", "html"):
        with page.expect_download() as download:
            page.locator(f"#save-{suffix}").click()
        assert re.fullmatch(rf"medqa-receipt-\w{{12}}\.{suffix}", download.value.suggested_filename)
        download.value.save_as(tmp_path / f"kept.{suffix}")
    kept = json.loads((tmp_path / "kept.json").read_text())
    assert kept["question"]["options"][3] == f"None {TAG}"
    assert len(kept["probes"]["Would it hold if the options moved?"]) >= 2

    paper, asked_for = offline
    paper.goto((tmp_path / "kept.html").as_uri())
    assert asked_for == [(tmp_path / "kept.html").as_uri()]
    expect(paper.locator("body")).to_contain_text(kept["question"]["stem"])
    expect(paper.locator("body")).to_contain_text(f"D) None {TAG}")
    expect(paper.locator("body")).to_contain_text(kept["made"]["base_revision"])
    expect(paper.locator("img")).to_have_count(0)
    assert paper.evaluate("document.documentElement.scrollWidth") <= 390

    page.locator("#check button").first.click()
    page.locator("#check input[type=file]").set_input_files(tmp_path / "kept.json")
    expect(page.locator("#checked")).to_contain_text("✓ The answer comes out again")
    expect(page.locator("#checked")).to_contain_text("Base model, adapter, device and versions are the receipt's own.")


def test_a_receipt_of_another_base_or_a_damaged_one_is_told_without_an_answer_of_ones_own(opened, page, tmp_path):
    opened(page)
    page.locator("#check button").first.click()
    (tmp_path / "half.json").write_text('{"medqa_receipt": 1, "quest')
    page.locator("#check input[type=file]").set_input_files(tmp_path / "half.json")
    expect(page.locator("#checked [role=alert]")).to_contain_text("half.json is not readable as JSON")
