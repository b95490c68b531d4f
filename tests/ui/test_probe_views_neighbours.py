import re

from medqa.probes.neighbours import Neighbour, Neighbours
from medqa.question import Question
from medqa.ui.probe_views.neighbours import MOST_NAMED, view
from tests.ui.tree import Tree

HOSTILE = "<img src=x onerror='alert(1)'> & \"β-blocker\""
ROW = Question("Which β-blocker helps?", ("Propranolol", HOSTILE), 0, f"Because {HOSTILE}", "Medicine", "cases:<1>")
NEAR = Neighbour(ROW, 12.34, 0.9, ("propranolol", "beta", "blocker"))
FAR = Neighbour(Question("Other?", ("One", "Two"), None), 1.2, 0.1, ())
ASKED = Question("Which beta blocker?", ("Propranolol", "Atenolol"))
RESULT = Neighbours(ASKED, 1234, (NEAR, FAR))


def test_text_of_rows_is_escaped_and_every_tag_is_closed():
    html = view(RESULT)
    assert "img" not in Tree(html).tags
    assert "&lt;img src=x" in html
    assert "cases:&lt;1&gt;" in html


def test_shared_words_are_marked_as_the_row_writes_them_and_named_beside():
    html = view(RESULT)
    assert "Which <mark>β</mark>-<mark>blocker</mark> helps?" in html
    assert "A) <mark>Propranolol</mark>" in html
    assert "Shared, rarest first: propranolol, beta, blocker." in html
    assert "Underlined" in html


def test_each_row_folds_its_options_and_explanation_under_its_stem_and_key():
    html = view(RESULT)
    assert html.count("<li><details><summary>") == 2
    first = re.search(r"<summary>(.*?)</summary>", html)[1]
    assert "Key: A) Propranolol" in first and "helps?" in first
    assert "Because" not in first
    assert "not by the model" in html and "Because &lt;img" in html
    assert "✓ key" in html


def test_a_row_without_key_or_explanation_says_so():
    html = view(Neighbours(ASKED, 9, (FAR,)))
    assert "no key" in html and "without an explanation" in html
    assert "✓" not in html


def test_a_repeat_is_warned_of_above_and_named_in_its_row():
    html = view(RESULT)
    assert html.count('class="mq-doubt"') == 1
    assert html.count("is nearly a training row") == 1
    assert html.count("⚠ nearly this question") == 1
    assert "⚠" not in view(Neighbours(ASKED, 9, (FAR,)))


def test_many_shared_words_are_counted_not_listed():
    words = tuple(f"w{i}" for i in range(MOST_NAMED + 3))
    html = view(Neighbours(ASKED, 9, (Neighbour(ROW, 1.0, 0.5, words),)))
    assert f"w{MOST_NAMED - 1} and 3 more" in html
    assert f"w{MOST_NAMED}" not in html


def test_without_rows_only_the_reason_is_shown():
    html = view(Neighbours(ASKED, 0, (), "There are none."))
    assert Tree(html).tags == ["div", "p"]
    assert "There are none." in html
