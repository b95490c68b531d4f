import math
import re
from dataclasses import replace

import pytest

from medqa.question import Answer, Explanation, Question
from medqa.receipt import Made, Receipt, Said
from medqa.reproduce import Reproduced
from medqa.ui import receipt_view
from tests.ui.tree import Tree

HOSTILE = "<script>alert(\"1\")</script>&lt;b&gt;</p></td><img src=x onerror='alert(2)'>"
MADE = Made(HOSTILE, "9860", HOSTILE, "e281", "cpu", HOSTILE, "float32", {HOSTILE: HOSTILE})
RECEIPT = Receipt(
    Question(HOSTILE, (HOSTILE, "B"), 1), (-0.1, -3.0), Explanation(HOSTILE, ended=True), MADE, HOSTILE,
    {HOSTILE: (HOSTILE,)}, Said((HOSTILE,), 0.5, HOSTILE, HOSTILE),
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
        RECEIPT, question=Question("Which?", ("one", "two"), 1, subject="ENT"),
        explanation=Explanation("So.", cut=True),
        made=Made("nano", "rev9860", "quick-1", "e281", "cpu", "2 cores", "float32", {"torch": "2.13"}), date="today",
        probes={"Would it hold?": ("It holds.",)},
    )  # fmt: skip
    text = Tree(receipt_view.page(receipt)).text
    for wanted in ("Which?", "Subject: ENT", "A) one (chosen)", "B) two (key)", "95 %", "-0.1000", "So.",
                   "cut at the length limit", "Would it hold?", "It holds.", "nano", "rev9860", "quick-1", "e281",
                   "cpu (2 cores)", "float32", "2.13", "today", "Not medical advice"):  # fmt: skip
        assert wanted in text, wanted
    alone = replace(receipt, probes={}, made=replace(receipt.made, adapter=None, adapter_sha256=None))
    text = Tree(receipt_view.page(alone)).text
    assert "None." in text
    assert "none, the base model alone" in text
    assert "SHA-256" not in text


SAID = Said(("Its answer is a guess.",), 0.5, "Right 3 of 7 times.", "It nowhere says “one”.")
PLAIN = replace(RECEIPT, question=Question("Which?", ("one", "two"), 1), said=SAID)


def test_the_page_repeats_what_the_card_said_against_the_answer():
    html = receipt_view.page(PLAIN)
    text = Tree(html).text
    assert "MedQA receipt: A) one" in text
    places = [html.index(said) for said in ("Its answer is a guess.", "<h2>Question", "Right 3 of 7 times.",
                                            "<h2>Explanation", "It nowhere says “one”.", "<h2>Probes")]  # fmt: skip
    assert places == sorted(places)
    assert "an option had to reach 50 %" in text
    assert "so none is named" not in text
    quiet = Tree(receipt_view.page(replace(PLAIN, said=Said()))).text
    assert "had to reach" not in quiet and "⚠" not in quiet
    assert Tree(receipt_view.page(replace(PLAIN, said=None))).text == quiet


def test_where_the_card_named_no_option_the_page_names_none():
    html = receipt_view.page(replace(PLAIN, said=replace(SAID, not_sure_below=0.99)))
    text = Tree(html).text
    assert "MedQA receipt: Not sure" in text
    assert "No option reaches the probability you asked for, so none is named." in text
    assert "an option had to reach 99 %" in text
    assert "What the model writes for the likeliest option" in text
    assert "receipt: A)" not in html and 'class="chosen"' not in html and "(chosen)" not in html
    assert "B) two (key)" in text


def test_a_check_says_in_words_and_by_a_sign_whether_the_answer_came_out_again():
    same = receipt_view.checked(result())
    assert "✓ The answer comes out again" in Tree(same).text
    assert "mq-doubt" not in same
    other = receipt_view.checked(result(base_revision="1234"))
    assert "✓ The answer comes out again" in Tree(other).text
    assert re.search('mq-doubt">⚠ The base model is another revision', other)
    differs = receipt_view.checked(replace(result(), explanation=Explanation("No.", ended=True)))
    assert "✗ The answer does not come out the same." in Tree(differs).text


def test_a_share_that_falls_just_short_is_not_shown_as_what_was_asked_for_alone():
    question = Question("Which?", ("one", "two"))
    short = replace(PLAIN, question=question, log_probabilities=(math.log(0.5997), math.log(0.4003)))
    text = Tree(receipt_view.page(replace(short, said=replace(SAID, not_sure_below=0.6)))).text
    assert "so none is named. The likeliest has 59.9 %." in text
