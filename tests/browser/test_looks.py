"""The page on a phone in the dark and on a desk in the light, by keyboard and by a screen reader's names."""

import json
import re
import time

import pytest
from playwright.sync_api import expect

from medqa.runs import EventWriter, Run
from medqa.spec import PRESETS, RunSpec

pytestmark = pytest.mark.browser

LONG_NAME = "w" * 64
WIDER = "document.scrollingElement.scrollWidth - window.innerWidth"
TOO_WIDE = """() => [...document.querySelectorAll('body *')]
  .filter(e => e.getBoundingClientRect().right > window.innerWidth + 1)
  .slice(0, 5).map(e => `${e.tagName}#${e.id}.${e.className}`)"""
FOCUSED = "document.activeElement?.closest('button')?.id ?? ''"
NAMED_ROLES = ("textbox", "combobox", "checkbox", "radio", "button", "slider", "spinbutton", "tab", "listbox")


@pytest.fixture
def finished(server):
    """A run of the longest name allowed, as a trainer records it, with an adapter to choose."""
    run = Run(server.runs / LONG_NAME)
    if run.folder.exists():
        return run
    run.folder.mkdir(parents=True)
    spec = PRESETS["quick"].spec.to_json() | {"name": LONG_NAME, "dataset": "/data/" + "d" * 80 + ".jsonl"}
    run.write_spec(RunSpec.from_json(spec))
    before, after = {"correct": 27, "total": 100}, {"correct": 97, "total": 100}
    scores = {"test": {"before": before, "after": after}, "read": {"before": before, "after": after}}
    write = EventWriter(run)
    write("started")
    facts = {"rows": 480, "left_out": {}, "too_long": 0, "cut": 0, "held_out": 100, "held_out_split": "test"}
    facts |= {
        "parameters": 7_286_784,
        "trainable": 466_944,
        "micro_batch": 16,
        "device": "CPU",
        "device_reason": "test",
    }
    write("prepared", from_step=0, total_steps=30, **facts)
    write("evaluated", step=0, seconds=1.0, loss=5.0, **before)
    for step in range(1, 31):
        write("step", step=step, loss=5 - step / 10, seconds=1.0 + step, tokens_per_second=4100, memory=2**30)
    write("evaluated", step=30, seconds=32.0, loss=2.0, **after)
    write("saved", step=30)
    write("done", step=30, seconds=33.0, scores=scores)
    run.adapter.mkdir()
    # Of another base than the one that is loaded: no visitor is answered by it unless told so.
    config = {"peft_type": "LORA", "base_model_name_or_path": "Qwen/Qwen3-1.7B"}
    (run.adapter / "adapter_config.json").write_text(json.dumps(config))
    (run.adapter / "medqa.json").write_text(json.dumps({"base_model": "Qwen/Qwen3-1.7B", "scores": scores}))
    (run.adapter / "adapter_model.safetensors").touch()
    return run


@pytest.mark.parametrize(("width", "theme"), [(390, "dark"), (1280, "light")])
def test_no_tab_scrolls_sideways_with_everything_opened(opened, new_page, finished, width, theme):
    page = new_page(width=width, color_scheme=theme)
    opened(page, f"?__theme={theme}")
    expect(page.locator("#answer")).to_be_visible()
    assert page.evaluate("document.body.classList.contains('dark')") == (theme == "dark")
    page.locator("#examples button").first.click()
    page.locator("#answer").click()
    expect(page.locator('#card section[aria-busy="false"]')).to_be_visible()
    page.locator("#pasted textarea").fill("m" * 300)
    expect(page.locator("#read-as [role=alert]")).to_be_visible()
    assert_fits(page)
    open_everything(page)
    expect(page.locator("#live")).to_contain_text("finished")
    expect(page.locator("#live table")).to_be_visible()
    assert_fits(page)
    page.get_by_role("tab", name="About").click()
    expect(page.get_by_role("heading", name="medqa-nano")).to_be_visible()
    expect(page.locator("#about")).to_contain_text("MedQuAD")
    assert_fits(page)


def test_on_a_phone_a_run_takes_a_few_lines_of_all_runs_with_its_accuracy_named(opened, new_page, finished):
    page = new_page(width=390)
    opened(page)
    page.get_by_role("tab", name="Fine-tune").click()
    page.get_by_role("button", name=re.compile("^All runs")).click()
    row = page.locator("#runs-table tbody tr").first
    expect(row).to_be_visible()
    # Its name and its data set's are each as long as names can be.
    assert row.bounding_box()["height"] < 300
    heights = page.locator("#runs-table td").evaluate_all("cells => cells.map(e => e.offsetHeight)")
    assert heights[1] < 30 and heights[5] < 30
    label = "e => getComputedStyle(e, '::before').content"
    assert "Held-out accuracy" in row.locator("td").last.evaluate(label)


def test_the_label_of_the_upload_covers_nothing_on_a_phone(opened, new_page):
    page = new_page(width=390)
    opened(page)
    page.get_by_role("tab", name="Fine-tune").click()
    page.get_by_role("button", name=re.compile("^Advanced")).click()
    label, icon = (page.locator("#upload").get_by_test_id(part) for part in ("block-label", "upload-icon"))
    expect(icon).to_be_visible()
    below = label.bounding_box()["y"] + label.bounding_box()["height"]
    assert icon.bounding_box()["y"] >= below


def test_the_answer_button_is_reached_and_pressed_by_keyboard(opened, page):
    opened(page)
    expect(page.locator("#answer")).to_be_visible()
    tab_to(page, "document.activeElement?.closest('#examples') ? 'yes' : ''", "yes")
    page.keyboard.press("Space")
    expect(page.locator("#stem textarea")).not_to_have_value("")
    tab_to(page, FOCUSED, "answer")
    page.keyboard.press("Enter")
    expect(page.locator("#card .mq-option")).to_have_count(4)
    expect(page.locator('#card section[aria-busy="false"]')).to_be_visible()
    first = page.locator("#card").inner_text()
    page.locator("#stem textarea").fill("")
    page.locator("#answer").focus()
    page.keyboard.press("Space")
    expect(page.locator("#problem [role=alert]")).to_contain_text("The question is empty.")
    assert first


def test_every_input_and_button_has_an_accessible_name(opened, page, finished):
    opened(page)
    expect(page.locator("#answer")).to_be_visible()
    page.get_by_role("button", name="An adapter from the Hub").click()
    expect(page.get_by_label("Hub id of a PEFT LoRA adapter")).to_be_visible()
    assert nameless(page) == []
    open_everything(page)
    assert nameless(page) == []


def open_everything(page):
    page.get_by_role("tab", name="Fine-tune").click()
    for title in ("Advanced", "Preview and estimate", "Log", "All runs"):
        # Its accessible name ends in the arrow that shows whether it is open.
        page.get_by_role("button", name=re.compile(f"^{title}\\b")).click()
    expect(page.locator("#runs-table table")).to_be_visible()
    page.locator("#preview").click()
    expect(page.locator("#preview-text .mq-example").first).to_be_visible()
    expect(page.locator("#log .mq-log")).to_be_visible()


def assert_fits(page):
    assert page.evaluate(WIDER) <= 1, page.evaluate(TOO_WIDE)


def tab_to(page, where, wanted, presses=80):
    for _ in range(presses):
        page.keyboard.press("Tab")
        if page.evaluate(where) == wanted:
            return
    pytest.fail(f"{presses} presses of Tab did not reach {wanted}")


def nameless(page):
    """The form's elements that a screen reader could only call by their role, as HTML."""
    session = page.context.new_cdp_session(page)
    time.sleep(0.5)  # the accessibility tree follows the page with a delay
    found = []
    for node in session.send("Accessibility.getFullAXTree")["nodes"]:
        role, name = (node.get(part, {}).get("value", "") for part in ("role", "name"))
        if not node.get("ignored") and role in NAMED_ROLES and not name.strip():
            html = session.send("DOM.getOuterHTML", {"backendNodeId": node["backendDOMNodeId"]})["outerHTML"]
            found.append(f"{role}: {html[:200]}")
    return found
