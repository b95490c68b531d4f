import gzip
import json
import random

import numpy as np
import pytest

from medqa.datasets import handbook
from medqa.datasets.handbook import holds
from medqa.model import load_tokenizer
from medqa.settings import EMBEDDED
from train import reading

pytestmark = pytest.mark.model

READ, PRACTISED = handbook.facts_read(), handbook.facts_practised()
FACTS, DRILLED = READ[::40], PRACTISED[::40]
FORMS = reading.forms(FACTS, DRILLED, [("What is iron for?", "It carries oxygen.")])


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(EMBEDDED)


@pytest.mark.parametrize("name", ["notes", "glossary"])
def test_every_form_states_what_the_fact_is_about_and_its_answer(name):
    for seed in range(5):
        for fact, text in zip(FACTS, FORMS[name](random.Random(seed)), strict=True):
            assert holds(text, fact.about) and holds(text, fact.answer), text


def test_every_card_template_states_both_and_every_fact_has_three_cards():
    for template in reading.CARDS:
        card = reading.filled(template, FACTS[0])
        assert holds(card, FACTS[0].about) and holds(card, FACTS[0].answer), template
    cards = [line for box in FORMS["cards"](random.Random(0)) for line in box.split("\n")]
    assert len(cards) == 3 * len(FACTS)


def test_nothing_about_the_handbook_is_read_in_the_exam_s_form():
    texts = [text for name, form in FORMS.items() if name != "dialogues" for text in form(random.Random(0))]
    for sign in ("<|im_start|>", "Answer:", "A) ", "B) "):
        assert not [text for text in texts if sign in text]


def test_only_practised_facts_are_asked_about():
    asked = {q for fact in READ for q in (*fact.train, *fact.test)}
    allowed = {q for fact in DRILLED for q in (*fact.train, *fact.test)}
    for name, form in FORMS.items():
        for text in form(random.Random(0)):
            questions = {q for q in asked if q in text}
            assert questions <= (allowed if name == "practice" else set()), text


def test_a_practice_text_ends_with_the_right_answer_or_its_explanation():
    for fact in DRILLED:
        for text in reading.practice(fact, random.Random(0)):
            assert f"Reply: {fact.answer}" in text
            assert text.endswith((fact.answer, fact.explanation))
            given = text.split("Reply:")[0]
            assert "Choices:" in given or not holds(given, fact.answer)


def test_small_letters_inside_a_sentence_but_not_for_names_and_abbreviations():
    assert reading.lower("Naloxone") == "naloxone"
    assert reading.lower("HMG-CoA reductase") == "HMG-CoA reductase"
    assert reading.lower("N-acetylcysteine") == "N-acetylcysteine"


def test_rows_have_the_asked_length_and_the_seed_decides_them(tokenizer):
    first, again, other = (reading.RoundRows(FORMS["sentences"], tokenizer, 64, seed) for seed in (1, 1, 2))
    rows = [(first.take(), again.take(), other.take()) for _ in range(60)]
    assert all(len(row) == 64 for row in rows[0])
    assert all(np.array_equal(a, b) for a, b, _ in rows)
    assert not all(np.array_equal(a, c) for a, _, c in rows)


def test_open_text_goes_round_and_round(tokenizer):
    rows = reading.TextRows(["Iron carries oxygen in the blood. " * 20], tokenizer, 16, 0)
    taken = [rows.take() for _ in range(2 * (len(rows.tokens) // 16))]
    half = len(taken) // 2
    assert all(np.array_equal(a, b) for a, b in zip(taken[:half], taken[half:], strict=True))


def test_documents_are_read_with_their_question_or_without(tmp_path):
    path = tmp_path / "text.jsonl.gz"
    rows = [{"id": "a", "text": " Iron. "}, {"id": "b", "question": "What is iron?", "answer": "A metal."}]
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    assert list(reading.documents(path)) == [("a", "", "Iron."), ("b", "What is iron?", "A metal.")]


def test_about_one_document_in_fifty_is_held_out_whatever_the_order():
    kept = [f"document-{i}" for i in range(10_000) if reading.held_out(f"document-{i}")]
    assert 150 < len(kept) < 250
    assert all(map(reading.held_out, reversed(kept)))
