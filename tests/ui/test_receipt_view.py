import re
from dataclasses import replace

import pytest

from medqa.question import Answer, Explanation, Question
from medqa.receipt import Made, Receipt
from medqa.reproduce import Reproduced
from medqa.ui import receipt_view
from tests.ui.tree import Tree

HOSTILE = "<script>alert(\"1\")</script>&lt;b&gt;</p></td><img src=x onerror='alert(2)'>"
MADE = Made(HOSTILE, "9860", HOSTILE, "e281", "cpu", HOSTILE, "float32", {HOSTILE: HOSTILE})
RECEIPT = Receipt(
    Question(HOSTILE, (HOSTILE, "B"), 1), (-0.1, -3.0), Explanation(HOSTILE, ended=True), MADE, HOSTILE,
    {HOSTILE: (HOSTILE,)},
)  # fmt: skip


def result(**made):
    answer = Answer(RECEIPT.question, RECEIPT.log_probabilities, HOSTILE, HOSTILE)
    return Reproduced(RECEIPT, answer, RECEIPT.explanation, replace(MADE, **made))


@pytest.mark.parametrize("html", [receipt_view.page(RECEIPT), receipt_view.checked(result(base_revision="1"))])
def test_texts_of_people_models_and_files_are_shown_as_text(html):
    tree = Tree(html)
    assert not {"script", "img", "b"} & {*tree.tags}
    assert HOSTILE in tree.text


def test_the_page_needs_nothing_but_itself():
    html = receipt_view.page(RECEIPT)
    tree = Tree(html)
    assert not {"script", "link", "img", "iframe"} & {*tree.tags}
    assert not {"src", "href", "onclick", "onload"} & {name for name, _ in tree.attributes}
    assert "http" not in html.replace("http-equiv", "")
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in tree.attributes
    for wanted in ("@media print", "prefers-color-scheme: dark"):
        assert wanted in html


def test_the_page_holds_everything_a_receipt_holds():
    receipt = replace(
        RECEIPT, question=Question("Which?", ("one", "two"), 1), explanation=Explanation("So.", cut=True),
        made=Made("nano", "rev9860", "quick-1", "e281", "cpu", "2 cores", "float32", {"torch": "2.13"}), date="today",
        probes={"Would it hold?": ("It holds.",)},
    )  # fmt: skip
    text = Tree(receipt_view.page(receipt)).text
    for wanted in ("Which?", "A) one (chosen)", "B) two (key)", "95 %", "-0.1000", "So.", "cut at the length limit",
                   "Would it hold?", "It holds.", "nano", "rev9860", "quick-1", "e281", "cpu (2 cores)", "float32",
                   "2.13", "today", "Not medical advice"):  # fmt: skip
        assert wanted in text, wanted
    alone = replace(receipt, probes={}, made=replace(receipt.made, adapter=None, adapter_sha256=None))
    text = Tree(receipt_view.page(alone)).text
    assert "None." in text
    assert "none, the base model alone" in text
    assert "SHA-256" not in text


def test_a_check_says_in_words_and_by_a_sign_whether_the_answer_came_out_again():
    same = receipt_view.checked(result())
    assert "✓ The answer comes out again" in Tree(same).text
    assert "mq-doubt" not in same
    other = receipt_view.checked(result(base_revision="1234"))
    assert "✓ The answer comes out again" in Tree(other).text
    assert re.search('mq-doubt">⚠ The base model is another revision', other)
    differs = receipt_view.checked(replace(result(), explanation=Explanation("No.", ended=True)))
    assert "✗ The answer does not come out the same." in Tree(differs).text
