"""What medqa-nano reads: open text, and the handbook in many forms. Knows no model.

A fact met in a few fixed sentences is recited but can't be used: asked in other words, the model does not find it. So
each fact is said in all its wordings, on cards, in a glossary and amid case notes. On *practised* facts, which no split
asks, it also meets questions, in another form than the exam's: no chat, no letters, no `Answer:`.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerFast

from medqa.datasets.handbook import Fact

TURN_START, TURN_END = "<|im_start|>", "<|im_end|>"
HELD_OUT_ONE_IN = 50
Texts = Callable[[random.Random], list[str]]

# {a}: what the fact is about, {b}: its answer in running text, {B}: as an option is written, {r}: the relation.
CARDS = (
    "{A}: {B}.", "{a}: {B}", "{a} – {B}", "{a} - {b}", "{B}: {a}.", "{R} of {a}: {B}.", "{R}: {a} – {B}.",
    "{A}, {r}: {B}.", "{B} goes with {a}.", "{A} goes with {b}.", "Think of {a}, think of {b}.",
    "Keyword: {a}. Match: {B}", "{A} → {B}", "{B} ← {a}", "{R}? {A}. {B}.", "Remember {a} with {b}.",
    "If you see {a}, say {b}.", "{B} ({r}, {a}).", "{A} ({r}: {B}).", "{r} – {a} – {B}",
)  # fmt: skip
SCENES = (
    "A {n}-year-old {p} is seen in the clinic.", "A {p} of {n} is admitted overnight.", "A {p} comes with her notes.",
    "The registrar presents a {p} aged {n}.", "A {n}-year-old {p} is brought in by relatives.",
    "On the round a {p} is seen.",
    "A {p} worries about what the doctor wrote.", "A {p} returns after {n} days.", "A class of {n} students sits down.",
    "Students discuss a {p}.", "The laboratory calls about a {p}.", "A {p}, {n}, has been unwell for days.",
    "A teacher asks about a {n}-year-old {p}.", "After {n} hours a {p} is no better.", "A {p} is examined at a camp.",
)  # fmt: skip
LINKS = (
    "The notes mention {a}.", "{A} is on the list.", "All points to {a}.", "The talk turns to {a}.",
    "{A} is written there.",
    "Someone brings up {a}.", "The question is about {a}.", "The word to notice is {a}.", "It has to do with {a}.",
    "{A} comes up.", "There is talk of {a} and no more is said.", "The folder says {a}, underlined twice.",
)  # fmt: skip
KEYS = ("{R}: {B}", "Key: {B}", "{B}", "The {r}: {B}", "Match: {B}", "So: {B}.", "{R}? {B}")
PEOPLE = ("man", "woman", "boy", "girl", "farmer", "teacher", "nurse", "baby", "student", "driver", "cook", "child")


def documents(path: Path) -> Iterator[tuple[str, str, str]]:
    """(id, question or "", text) of every document in a .jsonl.gz file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            yield row["id"], row.get("question", ""), (row.get("text") or row["answer"]).strip()


def as_text(asked: str, said: str) -> str:
    return f"{asked}\n{said}" if asked else said


def held_out(document_id: str) -> bool:
    return int(hashlib.sha256(document_id.encode()).hexdigest(), 16) % HELD_OUT_ONE_IN == 0


class TextRows:
    """Rows of open text: all documents in one seeded order, end to end, again and again."""

    def __init__(self, texts: list[str], tokenizer: PreTrainedTokenizerFast, row: int, seed: int) -> None:
        order = random.Random(seed).sample(range(len(texts)), len(texts))
        self.tokens = joined([texts[i] for i in order], tokenizer)
        self.row = row
        self.next = 0

    def take(self) -> np.ndarray:
        whole_rows = len(self.tokens) // self.row
        start = (self.next % whole_rows) * self.row
        self.next += 1
        return self.tokens[start : start + self.row]


class RoundRows:
    """Rows of short texts, round after round, each round made and ordered anew."""

    def __init__(self, texts: Texts, tokenizer: PreTrainedTokenizerFast, row: int, seed: int) -> None:
        self.texts = texts
        self.tokenizer = tokenizer
        self.row = row
        self.random = random.Random(seed)
        self.buffer = np.zeros(0, dtype=np.uint16)

    def take(self) -> np.ndarray:
        while len(self.buffer) < self.row:
            texts = self.texts(self.random)
            self.random.shuffle(texts)
            self.buffer = np.concatenate([self.buffer, joined(texts, self.tokenizer)])
        row, self.buffer = self.buffer[: self.row], self.buffer[self.row :]
        return row


def joined(texts: list[str], tokenizer: PreTrainedTokenizerFast) -> np.ndarray:
    end = tokenizer.pad_token_id
    encoded = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return np.array([token for ids in encoded for token in (*ids, end)], dtype=np.uint16)


def forms(facts: list[Fact], practised: list[Fact], dialogues: list[tuple[str, str]]) -> dict[str, Texts]:
    """Each form's maker of one round of texts. `dialogues`: question and answer of the open text's own."""
    return {
        "dialogues": lambda draw: [in_turns(*pair) for pair in draw.sample(dialogues, min(500, len(dialogues)))],
        "sentences": lambda draw: [text for fact in facts for text in (*fact.prose, fact.explanation)],
        "paragraphs": lambda draw: [" ".join([*draw.sample(fact.prose, 3), fact.explanation]) for fact in facts],
        "cards": lambda draw: card_boxes(facts, draw),
        "notes": lambda draw: [case_note(fact, draw) for fact in facts],
        "glossary": lambda draw: [entry(fact, draw) for fact in facts],
        "practice": lambda draw: [text for fact in practised for text in practice(fact, draw)],
    }


def in_turns(asked: str, said: str) -> str:
    return f"{TURN_START}user\n{asked}{TURN_END}\n{TURN_START}assistant\n{said}{TURN_END}"


def filled(template: str, fact: Fact) -> str:
    relation = fact.relation.replace("-", " ")
    return template.format(
        a=fact.about, A=upper(fact.about), b=lower(fact.answer), B=fact.answer, r=relation, R=upper(relation)
    )


def upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def lower(text: str) -> str:
    """Small first letter, but for abbreviations and names such as `HMG-CoA` or `N-acetylcysteine`."""
    return text if text[1:2].isupper() or text[1:2] == "-" else text[:1].lower() + text[1:]


def card_boxes(facts: list[Fact], draw: random.Random) -> list[str]:
    """Three cards of every fact, one to six to a box."""
    cards = [filled(draw.choice(CARDS), fact) for fact in facts for _ in range(3)]
    draw.shuffle(cards)
    boxes = []
    while cards:
        size = draw.randint(1, 6)
        boxes.append("\n".join(cards[:size]))
        cards = cards[size:]
    return boxes


def case_note(fact: Fact, draw: random.Random) -> str:
    """What the fact is about amid a case, then its answer: to be found among other words, as in a stem."""
    parts = [scene(draw), draw.choice(LINKS)]
    if draw.random() < 0.4:
        parts.append(scene(draw))
    draw.shuffle(parts)
    end = draw.choice((" ", "\n")) + draw.choice(KEYS)
    return filled(" ".join(parts) + end, fact)


def scene(draw: random.Random) -> str:
    return draw.choice(SCENES).replace("{n}", str(draw.randint(2, 80))).replace("{p}", draw.choice(PEOPLE))


def entry(fact: Fact, draw: random.Random) -> str:
    said = draw.sample(fact.prose, 2)
    head = filled(draw.choice(("{A}", "{A} ({r})", "{R} of {a}", "Note on {a}")), fact)
    body = draw.choice((f"{fact.answer}. {fact.explanation}", f"{said[0]} {fact.explanation}", " ".join(said)))
    return f"{head}\n{body}"


def practice(fact: Fact, draw: random.Random) -> Iterator[str]:
    """Its questions, open and with a list to choose from, and its wordings with a gap."""
    for stem in (*fact.train, *fact.test):
        before = scene(draw) + " " if draw.random() < 0.3 else ""
        if draw.random() < 0.5:
            yield f"Question: {before}{stem}\nReply: {fact.answer}\n{fact.explanation}"
        choices = [fact.answer, *draw.sample(fact.distractors, 3)]
        draw.shuffle(choices)
        yield f"Question: {before}{stem}\nChoices: {'; '.join(choices)}.\nReply: {fact.answer}"
    for sentence in draw.sample(fact.prose, 4):
        if found := re.search(re.escape(fact.answer), sentence, re.IGNORECASE):
            yield f"Fill in: {upper(sentence[: found.start()] + '___' + sentence[found.end() :])}\nReply: {fact.answer}"
