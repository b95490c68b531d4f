import re

from medqa.probes.cutting import cut
from medqa.probes.findings import LIMIT, Findings
from medqa.question import Answer, Question
from medqa.ui.probe_views.findings import view

QUESTION = Question("He has <b>fever</b>. He smokes. He is thirsty. He is tall. Which?", ("<i>Flu</i>", "Cold", "None"))


def answer(*scores):
    return Answer(QUESTION, scores, "tiny")


WHOLE = answer(-1.0, -3.0, -9.0)
RESULT = Findings(
    cut(QUESTION.stem), WHOLE, (answer(-4.0, -3.0, -9.0), answer(-1.0, -4.5, -9.0), answer(-1.0, -3.9, -9.0), WHOLE)
)  # fmt: skip
# Influences: 3, −1.5, −0.9, 0.


def test_each_finding_is_marked_by_line_size_and_rank_and_not_by_colour_alone():
    html = view(RESULT)
    marks = re.findall(r'<mark class="(\w+) size-(\d)" title="([^"]+)">(.*?)<sup aria-hidden="true">(\d)</sup>', html)
    assert marks == [
        ("for", "3", "rank 1: +3.00, towards A", "He has &lt;b&gt;fever&lt;/b&gt;", "1"),
        ("against", "2", "rank 2: −1.50, away from A", "He smokes", "2"),
        ("against", "1", "rank 3: −0.90, away from A", "He is thirsty", "3"),
    ]
    assert '<span class="mq-unseen"> (rank 2: −1.50, away from A)</span>' in html
    assert ". He is tall. <span class" in html  # hardly any influence: no mark


def test_the_findings_are_ranked_with_signed_numbers_and_words():
    rows = re.findall(r"<li>(.*?)</li>", view(RESULT))
    assert [re.sub("<[^>]+>", "", row) for row in rows] == [
        "+3.00 towards A: He has &lt;b&gt;fever&lt;/b&gt; (without it, B is chosen)",
        "−1.50 away from A: He smokes",
        "−0.90 away from A: He is thirsty",
    ]
    assert "Hardly any influence (below 0.2): 1 of 4." in view(RESULT)


def test_it_is_called_influence_on_the_score_and_its_limit_is_said():
    html = view(RESULT)
    assert "Influence on the score: log-odds of A against B" in html
    assert LIMIT in html
    assert not re.search("importan|attention", html, re.I)


def test_a_finding_switched_off_is_struck_through_and_the_bars_show_before_and_now():
    html = view(RESULT, [0], answer(-4.0, -3.0, -9.0))
    assert '<del title="switched off">He has &lt;b&gt;fever&lt;/b&gt;</del>' in html
    assert "Without 1 finding, B) Cold is chosen instead of A." in html
    assert re.findall(r'class="share">(\d+ %)<', html) == ["27 %", "73 %"]
    assert re.findall(r"as asked ([^<]+)<", html)[:2] == ["88 %", "12 %"]
    assert re.findall(r'mq-option chosen"><span class="text">([^<]+)<', html) == ["B) Cold"]


def test_with_all_findings_on_the_bars_are_those_of_the_answer():
    html = view(RESULT)
    assert "as asked" not in html
    assert "All findings on." in html


def test_the_text_of_people_is_escaped():
    html = view(RESULT, [1], WHOLE)
    assert "<b>" not in html and "<i>" not in html
    assert "&lt;i&gt;Flu&lt;/i&gt;" in html


def test_a_question_that_only_asks_shows_one_sentence_and_no_list():
    alone = Question("Which vitamin cures scurvy?", ("C", "D"))
    html = view(Findings(cut(alone.stem), Answer(alone, (-1.0, -2.0), "tiny"), ()))
    assert "states no findings" in html
    assert "mq-marked" not in html and "<ol" not in html
