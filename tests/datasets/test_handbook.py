from collections import Counter
from dataclasses import replace

import pytest

from medqa.datasets import handbook
from medqa.datasets.handbook import Fact, plain

FACT = Fact(
    id="antidote-paracetamol",
    relation="antidote",
    about="paracetamol",
    answer="N-acetylcysteine",
    distractors=("Naloxone", "Flumazenil", "Atropine", "Pralidoxime"),
    statement="The antidote for paracetamol is N-acetylcysteine.",
    wordings=(
        "N-acetylcysteine is the antidote for paracetamol.",
        "N-acetylcysteine treats poisoning by paracetamol.",
        "Too much paracetamol is treated with N-acetylcysteine.",
        "A girl who took paracetamol was given N-acetylcysteine.",
    ),
    explanation="N-acetylcysteine is the antidote for paracetamol. It restores glutathione, which binds the toxic "
    "metabolite before liver cells die. Naloxone reverses opioids instead.",
    train=(
        "Which antidote is given for paracetamol?",
        "Poisoning by paracetamol is treated with what?",
        "A woman of 19 swallowed thirty tablets of paracetamol six hours ago and feels well. What should she get?",
    ),
    test=(
        "What counteracts a toxic dose of paracetamol?",
        "A teenager with rising liver enzymes admits to an overdose of paracetamol. Which agent protects his liver?",
    ),
    subject="Pharmacology",
)
PARROTED = "A man with rising liver enzymes admits to an overdose of paracetamol and needs N-acetylcysteine."


def test_a_sound_fact_has_no_faults():
    assert handbook.faults([FACT]) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": "Paracetamol"}, "the id is the relation"),
        ({"distractors": FACT.distractors[:3]}, "distractors has 3 entries"),
        ({"distractors": (*FACT.distractors[:3], "naloxone")}, "distractors repeats an entry"),
        ({"distractors": (*FACT.distractors, "n acetylcysteine")}, "a distractor is the answer"),
        ({"statement": "The antidote is N-acetylcysteine."}, "a wording lacks 'paracetamol'"),
        ({"wordings": (*FACT.wordings[2:], *("Give N-acetylcysteine for paracetamol.",) * 2)}, "begin with the answer"),
        ({"train": ("Which antidote?", *FACT.train[1:])}, "a question lacks 'paracetamol'"),
        ({"test": ("Is N-acetylcysteine for paracetamol?", FACT.test[1])}, "gives the answer away"),
        ({"test": ("Name the paracetamol antidote.", FACT.test[1])}, "does not end with a question mark"),
        ({"test": (FACT.train[0], FACT.test[1])}, "a test question is also a train question"),
        ({"test": (FACT.test[0], "What else counteracts paracetamol?")}, "a vignette of 14 words"),
        ({"explanation": "It is naloxone. " + FACT.explanation}, "first sentence lacks the answer"),
        (
            {"explanation": "N-acetylcysteine, not naloxone, is given for paracetamol. " + FACT.explanation},
            "first sentence names a distractor",
        ),
        ({"explanation": "For paracetamol, " + FACT.explanation}, "does not begin with the answer"),
        ({"explanation": "N-acetylcysteine is the antidote for paracetamol."}, "20 to 60 are wanted"),
        ({"wordings": (*FACT.wordings, PARROTED)}, "shares 9 words in a row with a test question"),
    ],
)  # fmt: skip
def test_each_fault_is_found_and_named(change, said):
    found = handbook.faults([replace(FACT, **change)])
    assert any(said in fault and fault.startswith(change.get("id", FACT.id)) for fault in found), found


def test_a_distractor_that_is_right_under_another_fact_is_found():
    other = replace(FACT, id="antidote-paracetamol-2", answer="Naloxone", distractors=("Water", "Salt", "Tea", "Milk"))
    assert any("distractor 'naloxone' is right under another fact" in fault for fault in handbook.faults([FACT, other]))


def test_facts_with_one_id_or_one_sentence_are_found():
    found = " ".join(handbook.faults([FACT, FACT]))
    assert "the id is used 2 times" in found
    assert "the same sentence as in" in " ".join(handbook.faults([FACT, replace(FACT, id="antidote-other")]))


# The handbook itself


def test_the_handbook_is_read_once_however_its_folder_is_named():
    assert handbook.read_facts() is handbook.read_facts(handbook.FOLDER)


def test_the_handbook_has_no_faults():
    assert handbook.faults(handbook.read_facts()) == []


def test_the_handbook_covers_what_it_claims():
    facts = handbook.read_facts()
    assert len(facts) >= 800
    assert len({fact.relation for fact in facts}) >= 25
    assert len({fact.subject for fact in facts}) == 20


def test_the_groups_are_disjoint_and_of_the_sizes_that_are_promised():
    known = {fact.id for fact in handbook.read_facts()}
    groups = handbook.splits()
    for name, ids in groups.items():
        assert ids <= known, f"{name} lists facts that do not exist: {sorted(ids - known)[:3]}"
    assert sum(map(len, groups.values())) == len(frozenset.union(*groups.values()))
    assert abs(len(groups["read"]) - len(known) / 5) < 5
    assert len(groups["unknown"]) >= 60


def test_facts_about_the_same_thing_are_in_one_group():
    groups = handbook.splits()
    group_of = {fact: name for name, ids in groups.items() for fact in ids}
    by_subject = {}
    for fact in handbook.read_facts():
        by_subject.setdefault(plain(fact.about), set()).add(group_of.get(fact.id, "asked"))
    assert [about for about, found in by_subject.items() if len(found) > 1] == []


def test_train_and_test_ask_about_the_same_facts_in_other_words_and_the_others_about_other_facts():
    facts = {split: {q.source.split("/")[1] for q in handbook.questions(split)} for split in handbook.SPLITS}
    assert facts["train"] == facts["test"]
    assert not facts["train"] & facts["read"]
    assert not facts["unknown"] & (facts["train"] | facts["read"])
    stems = [plain(q.stem) for split in handbook.SPLITS for q in handbook.questions(split)]
    assert len(stems) == len(set(stems))


def test_no_text_of_a_fact_that_was_read_states_an_unknown_fact():
    unknown = handbook.splits()["unknown"]
    # As `holds` compares, with each of the thousands of texts made plain once and not for every fact.
    read = [f" {plain(text)} " for fact in handbook.facts_read() for text in (*fact.prose, fact.explanation)]
    for fact in handbook.read_facts():
        if fact.id in unknown:
            about, answer = f" {plain(fact.about)} ", f" {plain(fact.answer)} "
            assert not [text for text in read if about in text and answer in text], fact.id


def test_questions_are_the_same_every_time_and_their_keys_evenly_spread():
    first, second = handbook.questions("test"), handbook.questions("test")
    assert first == second
    keys = Counter(question.answer for question in first)
    assert all(0.2 < keys[i] / len(first) < 0.3 for i in range(4))
    assert all(question.options[question.answer] not in question.stem for question in first)


def test_a_file_with_a_missing_field_is_refused_by_name(tmp_path):
    path = tmp_path / "ent.toml"
    path.write_text('[[fact]]\nid = "sign-x"\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"ent\.toml, fact sign-x: missing or unknown fields"):
        handbook.read_file(path)
