from medqa.probes.what_if import WhatIf
from medqa.question import Answer, Explanation, Question
from medqa.ui.probe_views import what_if
from tests.ui.tree import Tree

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"
OPTIONS = ("Ciprofloxacin", "Cefalexin")
ASKED = Answer(Question("A woman has fever. Why?", OPTIONS), (-0.2, -2.0), "a rule")
EDITED = Answer(Question("A pregnant woman has fever. Why?", OPTIONS), (-2.0, -0.2), "a rule")


def test_what_was_added_is_marked_as_an_insertion_and_named_for_a_screen_reader():
    shown = Tree(what_if.view(WhatIf(ASKED, EDITED)))
    assert shown.inside["ins"] == "added: pregnant, end of added"
    assert "del" not in shown.inside
    assert "The answer changed from A) Ciprofloxacin to B) Cefalexin." in shown.text


def test_what_was_taken_out_stands_with_the_question_as_asked_only():
    shown = Tree(what_if.view(WhatIf(EDITED, ASKED)))
    assert shown.inside["del"] == "removed: pregnant, end of removed"
    assert "ins" not in shown.inside
    assert shown.inside["section"].count("pregnant") == 1


def test_each_option_has_its_bar_and_its_figure_before_and_after():
    html = what_if.view(WhatIf(ASKED, EDITED))
    assert html.count('class="fill"') == 4
    text = Tree(html).text
    assert "as asked 86 % · chosen" in text and "edited 14 % (▼ −71.6)" in text
    assert "as asked 14 %" in text and "edited 86 % (▲ +71.6) · chosen" in text


def test_an_edited_option_shows_both_its_texts():
    other = Answer(Question(ASKED.question.stem, ("Ofloxacin", "Cefalexin")), (-0.2, -2.0), "a rule")
    shown = Tree(what_if.view(WhatIf(ASKED, other)))
    assert "Ciprofloxacin" in shown.inside["del"] and "Ofloxacin" in shown.inside["ins"]
    assert "The answer stays A) Ofloxacin." in shown.text


def test_a_question_that_was_not_edited_shows_one_sentence():
    assert Tree(what_if.view(WhatIf(ASKED, ASKED))).text == "Nothing is edited yet: this is the question as asked."


def test_explanations_stand_side_by_side_and_a_growing_one_is_busy():
    html = what_if.explanations(Explanation("One", ended=True), Explanation("Tw"), WhatIf(ASKED, EDITED))
    assert 'aria-busy="true"' in html
    shown = Tree(html)
    assert "Explanation as asked: A" in shown.text and "Explanation of the edited question: B" in shown.text
    ended = what_if.explanations(Explanation("", ended=True), Explanation("Two", cut=True), WhatIf(ASKED, EDITED))
    assert 'aria-busy="false"' in ended
    assert "wrote no explanation" in ended and "Cut at the length limit" in ended


def test_hostile_text_is_shown_as_text():
    asked = Answer(Question(HOSTILE, (HOSTILE, "two")), (-0.2, -2.0), "a rule")
    edited = Answer(Question(f"{HOSTILE} now", (f"{HOSTILE} now", "two")), (-2.0, -0.2), "a rule")
    html = what_if.view(WhatIf(asked, edited)) + what_if.explanations(
        Explanation(HOSTILE), Explanation(HOSTILE), WhatIf(asked, edited)
    )
    shown = Tree(html)
    assert not {"script", "img"} & set(shown.inside)
    assert "onerror" in shown.text
