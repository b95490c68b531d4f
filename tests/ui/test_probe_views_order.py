import re

from medqa.probes.order import Order
from medqa.question import Question
from medqa.ui.probe_views.order import view

QUESTION = Question("Which?", ("<b>Iron</b>", "Zinc", "Lead"))
ROTATIONS = ((0, 1, 2), (1, 2, 0), (2, 0, 1))
STEADY = Order(QUESTION, ROTATIONS, ((0.6, 0.3, 0.1),) * 3)
LEANING = Order(QUESTION, ROTATIONS, ((0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8)))


def test_each_option_has_its_mean_and_how_often_it_was_chosen():
    html = view(STEADY)
    assert "&lt;b&gt;Iron&lt;/b&gt;" in html and "<b>" not in html
    assert re.findall(r'class="share">([^<]+)<', html) == ["60 %", "30 %", "10 %"]
    assert re.findall(r"chosen in (\d) of 3 orders", html) == ["3", "0", "0"]
    assert html.count('class="mq-option chosen"') == 1


def test_a_preferred_place_is_drawn_and_told_to_a_screen_reader():
    html = view(LEANING)
    assert 'aria-label="What each place got: A 80 %, B 10 %, C 10 %"' in html
    assert html.count('class="place preferred"') == 1
    assert re.findall(r'class="fill" style="height:(\d+)%"', html) == ["100", "12", "12"]
    assert html.count('style="bottom:42%"') == 3  # a third, where 80 % is the full height


def test_without_a_preference_no_picture_of_places_is_drawn():
    assert "mq-places" not in view(STEADY)
