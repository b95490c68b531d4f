import re

from medqa.probes.explanation import Carried, Reading
from medqa.question import Question
from medqa.ui.probe_views.explanation import view

HOSTILE = "<script>alert(1)</script>"
QUESTION = Question("Which?", ("Iron <b>x</b>", "Zinc"))
WITHOUT = Reading("", (0.6, 0.4))
CONVINCED = Carried(
    QUESTION,
    1,
    WITHOUT,
    Reading(f"Iron. {HOSTILE}", (0.9, 0.1)),
    Reading("Iron.", (0.8, 0.2)),
    Reading("Zn", (0.2, 0.8)),
)


def test_each_reading_has_the_share_of_the_option_shown_and_what_it_chooses():
    html = view(CONVINCED)
    assert re.findall(r'class="share">([^<]+)<', html) == ["60 %", "90 %", "80 %", "20 %"]
    assert html.count('class="mq-option chosen"') == 3
    assert html.count('<span class="base-share">chooses A) Iron') == 3
    assert "chooses B) Zinc, 80 %: another option" in html


def test_warnings_are_marked_and_other_sentences_are_not():
    html = view(CONVINCED)
    assert html.count("⚠") == 1
    assert html.index("⚠") < html.index("explanation convinces it too")


def test_the_texts_read_can_be_opened_and_are_shown_as_text():
    html = view(CONVINCED)
    assert "<script" not in html and "<b>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html.split("<summary>")[1]


def test_without_an_explanation_there_are_no_bars():
    html = view(Carried(QUESTION, 1, *[WITHOUT] * 4))
    assert "nothing to test" in html
    assert "mq-option" not in html and "<details" not in html
