"""A clinician marks a key as wrong, takes the marks home, and her correction can be trained on."""

import json

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

WORDS = "See the 2024 guideline. <img src=x onerror=alert(1)>"


def test_a_wrong_key_is_marked_exported_and_becomes_a_row_to_train_on(opened, page, server, tmp_path):
    opened(page)
    page.locator("#examples button").first.click()
    expect(page.locator("#key input")).not_to_have_value("not known")
    key = page.locator("#key input").input_value()
    held = "B" if key == "A" else "A"
    page.locator("#answer").click()
    expect(page.locator("#probes")).to_be_visible()

    page.locator("#dispute button").first.click()
    page.locator("#keep-mark").click()
    expect(page.locator("#mark-said [role=alert]")).to_contain_text("Choose a mark first.")
    page.get_by_label("The key is wrong").check()
    page.locator("#held-right input").click()
    page.get_by_role("option", name=f"{key})").click()
    page.locator("#words textarea").fill(WORDS)
    page.locator("#keep-mark").click()
    expect(page.locator("#mark-said [role=alert]")).to_contain_text(f"{key} is the key already")
    expect(page.locator("#words textarea")).to_have_value(WORDS)
    page.locator("#held-right input").click()
    page.get_by_role("option", name=f"{held})").click()
    page.locator("#keep-mark").click()
    expect(page.locator("#mark-said")).to_contain_text("Kept: The key is wrong.")
    expect(page.locator("#words textarea")).to_have_value("")

    with page.expect_download() as download:
        page.locator("#export-marks").click()
    download.value.save_as(tmp_path / "marks.jsonl")
    [mark] = [json.loads(line) for line in (tmp_path / "marks.jsonl").read_text().splitlines()]
    assert (mark["verdict"], mark["right"], mark["words"]) == ("wrong key", held, WORDS)
    assert mark["receipt"]["question"]["key"] == key

    page.get_by_role("tab", name="Fine-tune").click()
    page.get_by_role("button", name="Advanced").click()
    page.locator("#field-dataset input").click()
    page.get_by_role("option", name="disputes").click()
    page.get_by_role("button", name="Preview and estimate").click()
    page.locator("#preview").click()
    said = page.locator("#preview-text")
    # With a single mark its row is trained on or held out, by its stem's hash.
    expect(said).not_to_be_empty()
    if "no usable question in train" not in said.inner_text():
        expect(said).to_contain_text(f"Answer: {held})")
    expect(page.locator("img[src=x]")).to_have_count(0)
