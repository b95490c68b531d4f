import math
import re

from medqa.probes.compare import Compare
from medqa.question import Answer, Explanation, Question
from medqa.ui.probe_views.compare import view

QUESTION = Question("Which?", ("<b>Iron</b>", "Zinc"), answer=0)
ANSWERS = tuple(Answer(QUESTION, tuple(map(math.log, shares)), "nano") for shares in ((0.9, 0.1), (0.3, 0.7)))
NAMES = ("<i>mine</i>", "nano alone")


def test_both_bars_of_each_option_are_named_and_each_choice_is_marked_in_words():
    html = view(Compare(NAMES, ANSWERS))
    assert re.findall(r'class="share">([^<]+)<', html) == ["90 %", "30 %", "10 %", "70 %"]
    assert html.count('class="track base"') == 2
    assert html.count("&lt;i&gt;mine&lt;/i&gt;, its choice") == 1
    assert html.index("nano alone, its choice") > html.index("B) Zinc</span>")
    assert "&lt;b&gt;Iron&lt;/b&gt; ✓ key" in html
    assert "<b>" not in html and "<i>" not in html


def test_explanations_stand_under_their_own_names_and_say_when_they_were_cut():
    texts = (Explanation("Because <b>.", ended=True), Explanation("Since", cut=True))
    html = view(Compare(NAMES, ANSWERS, texts))
    assert html.index("explains A)") < html.index("Because &lt;b&gt;.") < html.index("nano alone explains B) Zinc")
    assert html.count("Cut at the length limit.") == 1
    assert "Fluent text is no evidence" in html
    assert "Fluent" not in view(Compare(NAMES, ANSWERS))
