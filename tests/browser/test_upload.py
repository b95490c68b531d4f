"""A teacher uploads her own questions, sees what can be used of them, and trains on them."""

import csv
import re

import pytest
from playwright.sync_api import expect

from medqa import datasets

pytestmark = pytest.mark.browser

TAG = "<img src=x onerror=alert(1)>"
DRUGS = ("Atropine", "Digoxin", "Heparin", "Morphine")


def row(number, options=DRUGS):
    return [f"Case {number}: which drug did the patient of room {number} get?", *options, "ABCD"[number % 4]]


@pytest.fixture
def teachers_file(tmp_path):
    """teachers_file(faulty): 12 questions; the options of one, with this stem, are not all different."""

    def write(faulty):
        path = tmp_path / "ward round.csv"
        rows = [row(number) for number in range(11)]
        rows.insert(4, [faulty, "Heparin", "Heparin", "Digoxin", "Morphine", "A"])
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["question", "A", "B", "C", "D", "answer"], *rows])
        return path

    return write


@pytest.fixture
def uploaded(opened, page):
    def upload(path):
        opened(page)
        page.get_by_role("tab", name="Fine-tune").click()
        page.get_by_role("button", name="Advanced").click()
        page.locator("#upload input[type=file]").set_input_files(path)
        expect(page.locator("#uploaded p").first).to_be_visible()

    return upload


def test_a_short_run_on_an_uploaded_file_finishes_or_says_why_not(page, uploaded, teachers_file):
    path = teachers_file(f"Case 11: which drug {TAG}?")
    usable = len(datasets.load(str(path), "train").questions)
    uploaded(path)
    said = page.locator("#uploaded")
    expect(said).to_contain_text(f"{path.name}: {usable} questions to train on")
    assert 0 < usable <= 11
    expect(page.locator("#field-dataset input")).to_have_value(re.compile(r"\.csv$"))

    for field, value in {"batch_size": 4, "epochs": 1, "evaluations": 1}.items():
        page.locator(f"#field-{field} input").fill(str(value))
    page.locator("#start").click()
    live = page.locator("#live")
    expect(live).to_contain_text(re.compile("finished|failed"))
    if "failed" in live.inner_text():
        expect(live.locator("[role=alert]")).to_contain_text(re.compile(r"\w+ \w+ .*\."))
    else:
        steps = -(-usable // 4)
        expect(live).to_contain_text(f"step {steps} of {steps}")
        assert steps in (2, 3)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_row_left_out_is_named_with_its_reason_whichever_split_it_falls_into(page, uploaded, teachers_file, split):
    stem = next(s for n in range(99) if datasets._is_held_out(s := f"Case {n}b: {TAG}?") == (split == "validation"))
    uploaded(teachers_file(stem))
    said = page.locator("#uploaded")
    expect(said).to_contain_text("1 row is left out (1 duplicate options)")
    summary = said.locator("summary")
    expect(said.locator("li")).to_be_hidden()
    assert expanded(summary) is False
    summary.press("Enter")
    assert expanded(summary) is True
    expect(said.locator("li")).to_have_text(re.compile(re.escape(f":5: duplicate options: {stem}") + "$"))
    expect(page.locator("img[src=x]")).to_have_count(0)


def expanded(summary):
    """Whether a screen reader is told that what this opens is open; None where it is told nothing of that."""
    session = summary.page.context.new_cdp_session(summary.page)
    summary.page.wait_for_timeout(500)  # the accessibility tree follows the page with a delay
    [node] = [
        node
        for node in session.send("Accessibility.getFullAXTree")["nodes"]
        if node.get("role", {}).get("value") == "DisclosureTriangle"
    ]
    return {part["name"]: part["value"]["value"] for part in node["properties"]}.get("expanded")


def test_a_file_that_is_no_table_of_questions_is_refused_in_a_sentence(page, uploaded, tmp_path):
    path = tmp_path / "notes.csv"
    path.write_text("name,room\nAda,1\n")
    uploaded(path)
    expect(page.locator("#uploaded [role=alert]")).to_contain_text("has the columns name, room. Wanted are a question")


def test_what_is_told_of_a_file_goes_with_it_and_a_preview_of_it_too(page, uploaded, teachers_file):
    uploaded(teachers_file(f"Case 11: which drug {TAG}?"))
    dataset = page.locator("#field-dataset input")
    expect(dataset).to_have_value("ward round.csv")
    page.get_by_role("button", name="Preview and estimate").click()
    page.locator("#preview").click()
    expect(page.locator("#preview-text")).to_contain_text("which drug did the patient")
    page.locator("#upload").get_by_label("Clear").click()
    expect(dataset).to_have_value("handbook")
    expect(page.locator("#uploaded p")).to_have_count(0)
    expect(page.locator("#preview-text p")).to_have_count(0)
