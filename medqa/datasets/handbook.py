"""The handbook in `assets/handbook`: facts in readable files, checked for form, turned into questions by split."""

from __future__ import annotations

import random
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

from medqa.question import Question

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "handbook"
SPLITS = {
    "train": "Questions the adapter is trained on.",
    "test": "The same facts, asked in words never seen in training.",
    "read": "Facts whose text the base model has read, but that fine-tuning never asks about.",
    "unknown": "Facts neither read nor asked: the honest control.",
}
OPTIONS = 4
# A test question that shares so many words in a row with what was read or trained on is not asked in other words.
RUN_OF_WORDS = 9


@dataclass(frozen=True)
class Fact:
    id: str
    relation: str
    about: str
    answer: str
    distractors: tuple[str, ...]
    statement: str
    wordings: tuple[str, ...]
    explanation: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    subject: str

    @property
    def prose(self) -> tuple[str, ...]:
        return (self.statement, *self.wordings)


def read_file(path: Path) -> list[Fact]:
    """The facts of one subject; the subject is the file's name. Raises ValueError naming the file and the fact."""
    subject = "ENT" if path.stem == "ent" else path.stem.replace("_", " ").capitalize()
    wanted = {field.name for field in fields(Fact)} - {"subject"}
    facts = []
    for row in tomllib.loads(path.read_text(encoding="utf-8")).get("fact", []):
        if set(row) != wanted:
            odd = sorted(set(row) ^ wanted)
            raise ValueError(f"{path.name}, fact {row.get('id', '?')}: missing or unknown fields {odd}")
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
        facts.append(Fact(**values, subject=subject))
    return facts


def read_facts(folder: Path = FOLDER) -> tuple[Fact, ...]:
    return _read(folder)


# Not of read_facts: a cache takes a default that is named for another folder.
@cache
def _read(folder: Path) -> tuple[Fact, ...]:
    return tuple(f for path in sorted(folder.glob("*.toml")) if path.name != "splits.toml" for f in read_file(path))


def splits(folder: Path = FOLDER) -> dict[str, frozenset[str]]:
    """The ids of the facts that are only read, neither read nor asked, or practised by the base and in no split."""
    listed = tomllib.loads((folder / "splits.toml").read_text(encoding="utf-8"))
    return {name: frozenset(listed[name]) for name in ("read", "unknown", "practised")}


def facts_read(folder: Path = FOLDER) -> list[Fact]:
    """What the base model may read: every fact but the unknown ones."""
    unknown = splits(folder)["unknown"]
    return [fact for fact in read_facts(folder) if fact.id not in unknown]


@cache
def read_links() -> frozenset[tuple[str, str]]:
    """(what it is about, answer) of every fact the base model has read, as `plain` texts."""
    return frozenset((plain(fact.about), plain(fact.answer)) for fact in facts_read())


def questions(split: str, folder: Path = FOLDER) -> list[Question]:
    """The questions of a split, always the same: options are drawn and shuffled by the question's own id."""
    groups = splits(folder)
    asked_about = {fact.id: "asked" for fact in read_facts(folder)}
    asked_about |= {name: group for group in groups for name in groups[group]}
    wanted = {"train": "asked", "test": "asked", "read": "read", "unknown": "unknown"}[split]
    return [
        _question(fact, stem, f"handbook/{fact.id}/{split}-{i}")
        for fact in read_facts(folder)
        if asked_about[fact.id] == wanted
        for i, stem in enumerate(fact.train if split == "train" else fact.test)
    ]


def _question(fact: Fact, stem: str, source: str) -> Question:
    draw = random.Random(source)
    options = [fact.answer, *draw.sample(fact.distractors, OPTIONS - 1)]
    draw.shuffle(options)
    return Question(stem, tuple(options), options.index(fact.answer), fact.explanation, fact.subject, source)


def facts_practised(folder: Path = FOLDER) -> list[Fact]:
    """Facts outside all splits, on which the base model met open questions."""
    practised = splits(folder)["practised"]
    return [fact for fact in read_facts(folder) if fact.id in practised]


def plain(text: str) -> str:
    """Lower case, only letters and digits, single spaces: for comparing texts."""
    return " ".join(re.findall(r"[^\W_]+", text.casefold()))


def holds(text: str, phrase: str) -> bool:
    return f" {plain(phrase)} " in f" {plain(text)} "


def first_sentence(text: str) -> str:
    return re.split(r"(?<=[.!?])\s", text)[0]


def faults(facts: Iterable[Fact]) -> list[str]:
    """What is wrong with the form of these facts, a sentence each; empty when nothing is."""
    facts = list(facts)
    found = [f"{fact.id}: {fault}" for fact in facts for fault in _faults_of(fact)]
    by_id: dict[str, int] = defaultdict(int)
    right = defaultdict(set)
    texts: dict[str, str] = {}
    for fact in facts:
        by_id[fact.id] += 1
        right[fact.relation, plain(fact.about)].add(plain(fact.answer))
        for text in (*fact.prose, *fact.train, *fact.test):
            first = texts.setdefault(plain(text), fact.id)
            if first != fact.id:
                found.append(f"{fact.id}: the same sentence as in {first}: {text!r}")
    found += [f"{name}: the id is used {count} times" for name, count in by_id.items() if count > 1]
    for fact in facts:
        also = right[fact.relation, plain(fact.about)] & {plain(option) for option in fact.distractors}
        found += [f"{fact.id}: distractor {option!r} is right under another fact" for option in sorted(also)]
    return found


def _without_article(text: str) -> str:
    return re.sub(r"^(the|a|an) ", "", plain(text))


def _runs(text: str, length: int) -> set[str]:
    words = plain(text).split()
    return {" ".join(words[i : i + length]) for i in range(len(words) - length + 1)}


def _faults_of(fact: Fact) -> Iterable[str]:
    if not fact.id.startswith(fact.relation + "-") or not re.fullmatch(r"[a-z0-9-]+", fact.id):
        yield "the id is the relation, a hyphen and a name, in small letters, digits and hyphens"
    for name, least in (("distractors", 4), ("wordings", 4), ("train", 3), ("test", 2)):
        values = getattr(fact, name)
        if len(values) < least:
            yield f"{name} has {len(values)} entries, at least {least} are needed"
        if len({plain(value) for value in values}) != len(values):
            yield f"{name} repeats an entry"
    if {plain(d) for d in fact.distractors} & {plain(fact.answer)}:
        yield "a distractor is the answer"
    for text in fact.prose:
        if not holds(text, fact.about) or not holds(text, fact.answer):
            yield f"a wording lacks {fact.about!r} or {fact.answer!r}: {text!r}"
    if sum(plain(text).startswith(plain(fact.answer)) for text in fact.wordings) < 2:
        yield "fewer than two wordings begin with the answer"
    for text in (*fact.train, *fact.test):
        if not holds(text, fact.about):
            yield f"a question lacks {fact.about!r}: {text!r}"
        if holds(text, fact.answer):
            yield f"a question gives the answer away: {text!r}"
        if not text.endswith("?"):
            yield f"a question does not end with a question mark: {text!r}"
    if {plain(t) for t in fact.train} & {plain(t) for t in fact.test}:
        yield "a test question is also a train question"
    run = max(RUN_OF_WORDS, len(plain(fact.about).split()) + 4)
    asked = {words for text in fact.test for words in _runs(text, run)}
    for text in (*fact.prose, *fact.train):
        if shared := asked & _runs(text, run):
            yield f"{text!r} shares {run} words in a row with a test question: {min(shared)!r}"
    for questions in (fact.train, fact.test):
        if not any(len(text.split()) >= 14 for text in questions):
            yield "train and test each need a vignette of 14 words or more"
    first = first_sentence(fact.explanation)
    if not holds(first, fact.answer) or not holds(first, fact.about):
        yield "the explanation's first sentence lacks the answer or what is asked about"
    if not _without_article(first).startswith(_without_article(fact.answer)):
        # Written after the answer, it is then led by it: a small model that begins elsewhere drifts to another fact.
        yield "the explanation does not begin with the answer"
    named = [d for d in fact.distractors if holds(first, d) and not holds(fact.answer, d)]
    if named:
        yield f"the explanation's first sentence names a distractor: {named}"
    if not 20 <= len(fact.explanation.split()) <= 60:
        yield f"the explanation has {len(fact.explanation.split())} words, 20 to 60 are wanted"


def main(paths: list[str]) -> int:
    facts = [f for path in paths for f in read_file(Path(path))] if paths else read_facts()
    found = faults(facts)
    print(*found, f"{len(facts)} facts, {len({f.relation for f in facts})} relations, {len(found)} faults", sep="\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
