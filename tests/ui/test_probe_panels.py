from types import SimpleNamespace

import pytest

from medqa.probes import unheard
from medqa.question import Answer, Explanation, Question
from medqa.ui.answering import Asked
from medqa.ui.panels import findings, order, why_not
from tests.probes.scorer import Scorer

QUESTION = Question("He has fever. He smokes. Which?", ("Flu", "Cold", "None"))
# Of the question among others this engine makes B: the card's A is a near tie.
CARD = Answer(QUESTION, (-1.0, -1.1, -5.0), "a rule")


@pytest.fixture
def engine():
    return Scorer(lambda question: (-1.1, -1.0, -5.0))


@pytest.fixture
def run(monkeypatch, engine):
    """run(panel, *values of its controls): the HTML it shows under the card's answer."""
    engines = SimpleNamespace(of=lambda base: engine)

    def call(panel, *values):
        for shared in ("probe_panel", "afresh_panel"):
            monkeypatch.setattr(panel, shared, lambda title, asked, work, *_: work, raising=False)
        return panel.panel(None, engines)(Asked(CARD, None, Explanation("")), unheard, *values)

    return call


def test_the_findings_are_told_of_the_answer_on_the_card(run, engine):
    html = run(findings)
    assert "A) Flu is chosen before B) Cold" in html
    assert QUESTION not in engine.scored


def test_the_orders_are_counted_from_the_answer_on_the_card(run, engine):
    assert "A) Flu in 2 of 3 orders" in run(order, False)
    assert QUESTION not in engine.scored


def test_no_option_that_the_panel_offers_is_refused(run):
    offered = [option for _, option in why_not.others(Asked(CARD, None, Explanation("")))[0]["choices"]]
    assert offered == [1, 2]
    for option in offered:
        assert f"{QUESTION.named(option)} lies" in run(why_not, option)
