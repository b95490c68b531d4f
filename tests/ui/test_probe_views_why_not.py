import re

from medqa.probes.cutting import cut
from medqa.probes.findings import Findings
from medqa.probes.why_not import ALIKE, WhyNot
from medqa.question import Answer, Explanation, Question
from medqa.ui.probe_views.why_not import view

QUESTION = Question("He has fever. He smokes. Which?", ("Flu", "<b>Cold</b>", "None"))
WHOLE = Answer(QUESTION, (-1.0, -3.0, -9.0), "tiny")
RESULT = Findings(
    cut(QUESTION.stem),
    WHOLE,
    (Answer(QUESTION, (-2.0, -3.0, -9.0), "tiny"), Answer(QUESTION, (-1.0, -5.0, -9.0), "tiny")),
)
SAME = tuple(Explanation("It is <u>so</u>.", ended=True) for _ in QUESTION.options)


def test_what_pulls_each_way_is_marked_and_ranked_with_the_letter_it_pulls_towards():
    html = view(WhyNot(1, RESULT))
    rows = [re.sub("<[^>]+>", "", row) for row in re.findall(r"<li>(.*?)</li>", html)]
    assert rows == ["+2.00 towards B: He smokes", "−1.00 towards A: He has fever"]
    assert 'class="for size-3" title="rank 1: +2.00, towards B">He smokes' in html
    assert "Influence on the score: log-odds of B against A" in html
    assert "lies 2.00 in log-odds behind A) Flu" in html


def test_a_defence_is_labelled_as_written_on_demand_for_an_option_not_chosen():
    html = view(WhyNot(1, RESULT, SAME))
    assert "If made to defend B) &lt;b&gt;Cold&lt;/b&gt;" in html
    label = html.index("made to defend this option, which it did not choose. It is no answer")
    assert label < html.index('<div class="mq-explanation">It is &lt;u&gt;so&lt;/u&gt;.</div>')
    assert ALIKE in html
    assert "<b>" not in html and "<u>" not in html


def test_without_a_defence_none_is_shown():
    assert "made to defend" not in view(WhyNot(1, RESULT))


def test_a_defence_that_was_cut_or_never_came_is_told():
    texts = (Explanation("Fever."), Explanation("And so on", cut=True), Explanation("", ended=True))
    assert "cut at the length limit" in view(WhyNot(1, RESULT, texts))
    assert "It wrote nothing." in view(WhyNot(2, RESULT, texts))


def test_a_question_that_only_asks_shows_its_margin_alone():
    alone = Question("Which vitamin cures scurvy?", ("C", "D"))
    html = view(WhyNot(1, Findings(cut(alone.stem), Answer(alone, (-1.0, -2.0), "tiny"), ())))
    assert "lies 1.00 in log-odds behind" in html
    assert "mq-marked" not in html
