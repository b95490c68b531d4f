import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from medqa import disputes
from medqa.adapters import WEIGHTS, Adapter
from medqa.engine import Engine
from medqa.question import Explanation
from medqa.receipt import read, weights_sha256
from medqa.settings import Settings
from medqa.ui import answer_tab
from medqa.ui.answering import Asked
from medqa.ui.panels import dispute, receipt
from medqa.ui.views import NOT_NAMED
from tests.ui.tree import Tree

pytestmark = pytest.mark.model
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def engines(loaded, tiny_base, tmp_path):
    engine = Engine(loaded, max_explanation_tokens=6)
    return SimpleNamespace(of=lambda base: engine, settings=Settings(runs=tmp_path / "runs", base_model=tiny_base))


@pytest.fixture
def asked(engines, questions, make_adapter, tmp_path):
    folder = make_adapter(tmp_path / "adapter")
    answer = engines.of("").score(questions[5], folder, "mine")
    *_, explanation = engines.of("").explain(answer, folder)
    return Asked(answer, Adapter("mine", folder, answer.base, {}), explanation, weights_sha256(folder))


def alone(asked, engines):
    """The same question answered by the base model."""
    answer = engines.of("").score(asked.answer.question)
    *_, explanation = engines.of("").explain(answer)
    return Asked(answer, None, explanation)


def test_a_saved_answer_has_the_probes_run_until_then(asked, engines):
    assert read(Path(receipt.save(engines, ".json", asked)[1])).probes == {}
    asked.probes["Would it hold?"] = ("It holds.",)
    said, file = receipt.save(engines, ".json", asked)
    assert said == ""
    assert read(Path(file)).probes == {"Would it hold?": ("It holds.",)}
    _, page = receipt.save(engines, ".html", asked)
    assert "It holds." in Path(page).read_text()


def test_a_saved_answer_has_every_caution_of_its_card(engines, asked, questions):
    tops = " ".join(str(10 * i + 5) for i in range(100))  # of every hundredth, ten in each tenth
    adapter = replace(asked.adapter, card={"certainty": {"test": {"": {"right": tops, "wrong": ""}}}})
    *_, (_, card, shown) = answer_tab.answer_pieces(engines, asked.answer.base, adapter, questions[5], 0.999)
    card_text = Tree(card).text
    said = read(Path(receipt.save(engines, ".json", shown)[1])).said
    page = Tree(Path(receipt.save(engines, ".html", shown)[1]).read_text()).text
    assert said.record.startswith("When it was ") and said.explanation_doubt
    for sentence in ("Not sure", NOT_NAMED, *said.doubts, said.record, said.explanation_doubt):
        assert sentence in card_text
        assert sentence in page
    assert card_text.count("⚠") == page.count("⚠")
    assert said.not_sure_below == 0.999


def test_two_answers_are_saved_as_two_files_and_one_answer_twice_as_one(asked, engines):
    first = receipt.save(engines, ".json", asked)[1]
    assert receipt.save(engines, ".json", asked)[1] == first
    assert receipt.save(engines, ".json", replace(asked, explanation=Explanation("No.", ended=True)))[1] != first


def test_an_answer_of_an_adapter_that_was_replaced_since_is_not_kept(asked, engines, make_adapter, tmp_path):
    # Written before the answer, moved there after it: as a run does that went on.
    weights = asked.folder / WEIGHTS
    other = make_adapter(tmp_path / "other", seed=1) / WEIGHTS
    os.utime(other, (asked.when.timestamp() - 5,) * 2)
    other.replace(weights)
    said, file = receipt.save(engines, ".json", asked)
    assert "mine has been replaced since this answer" in said
    assert not isinstance(file, str)
    assert "has been replaced" in dispute.kept(engines, asked, "agree", dispute.NOT_SAID, "")[0]
    weights.unlink()
    assert "The adapter mine is gone" in receipt.save(engines, ".json", asked)[0]


def test_a_receipt_from_the_page_is_checked_by_the_page(asked, engines):
    _, file = receipt.save(engines, ".json", alone(asked, engines))
    *_, found = receipt.check(engines, file)
    assert "✓ The answer comes out again" in found


def test_what_cannot_be_checked_is_said_in_a_sentence(asked, engines, tmp_path):
    _, file = receipt.save(engines, ".json", asked)
    *_, found = receipt.check(engines, file)
    assert "is not among the finished runs here" in found
    broken = tmp_path / "broken.json"
    broken.write_text(f'{{"medqa_receipt": 1, "question": "{HOSTILE}"}}')
    *_, found = receipt.check(engines, str(broken))
    assert "The receipt is damaged" in found
    assert "<img" not in found
    long = replace(asked.answer.question, stem="word " * 3000)
    too_long = replace(alone(asked, engines), answer=replace(alone(asked, engines).answer, question=long))
    *_, found = receipt.check(engines, receipt.save(engines, ".json", too_long)[1])
    assert "Shorten the stem" in found


def test_a_mark_is_kept_with_the_option_held_right_and_the_form_is_emptied(asked, engines):
    said, *form = dispute.kept(engines, asked, "wrong answer", "B", f"  {HOSTILE} ")
    assert "Kept: The answer is wrong." in said
    assert form == [None, dispute.NOT_SAID, ""]
    [mark] = disputes.read(engines.settings.runs)
    assert (mark.verdict, mark.right, mark.words) == ("wrong answer", 1, HOSTILE)
    assert mark.receipt.answer.log_probabilities == asked.answer.log_probabilities
    assert mark.receipt.explanation == asked.explanation
    assert mark.receipt.made.adapter == "mine"


@pytest.mark.parametrize(
    ("verdict", "right", "words", "said"),
    [
        (None, dispute.NOT_SAID, "", "Choose a mark first."),
        ("agree", dispute.NOT_SAID, "x" * 2001, "the limit is 2,000"),
        ("agree", "H", "", "number 8, and there are"),
    ],
)
def test_a_mark_that_is_refused_leaves_the_form_as_it_is(asked, engines, verdict, right, words, said):
    told, *form = dispute.kept(engines, asked, verdict, right, words)
    assert said in told
    assert not any(value in (None, "", dispute.NOT_SAID) for value in form)
    assert disputes.read(engines.settings.runs) == []


def test_the_options_to_choose_from_are_those_of_the_question(asked):
    options = asked.answer.question.options
    not_said, *listed = dispute.choices(asked)["choices"]
    assert not_said == dispute.NOT_SAID
    assert listed == [(f"{letter}) {option}", letter) for letter, option in zip("ABCDEFGH", options, strict=False)]


def built(engines, **settings):
    import gradio as gr

    engines.settings = replace(engines.settings, **settings)
    with gr.Blocks() as page:
        reset = dispute.panel(gr.State(None), engines)
    return {getattr(block, "elem_id", None) for block in page.blocks.values()}, reset


def test_where_the_host_wants_no_marks_there_is_nothing_to_mark_with(engines):
    there, reset = built(engines, disputes=False)
    assert "dispute" not in there
    assert reset == {}


def test_what_visitors_of_a_public_page_wrote_is_not_given_to_each_other(engines):
    assert "export-marks" in built(engines)[0]
    there, _ = built(engines, public=True)
    assert "dispute" in there
    assert "export-marks" not in there
