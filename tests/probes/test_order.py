from itertools import permutations

import pytest

from medqa.probes import Cancelled
from medqa.probes.order import arrangements, order
from medqa.question import Answer, Question, QuestionError
from tests.probes.scorer import by_shares

FOUR = Question("Which is in haemoglobin?", ("Iron", "Zinc", "Copper", "Lead"), answer=0)
PREFERRED = (0.1, 0.7, 0.1, 0.1)


def place_b(question):
    """Whatever stands in place B gets 70 %."""
    return PREFERRED[: len(question.options)]


def content(question):
    """Iron gets as much as all the others together, wherever it stands."""
    weights = [len(question.options) - 1 if option == "Iron" else 1 for option in question.options]
    return [weight / sum(weights) for weight in weights]


def test_a_scorer_that_prefers_a_place_is_found_out_with_its_own_figures():
    found = order(by_shares(place_b), FOUR)
    assert found.choices == (1, 2, 3, 0)
    assert found.survived == 1
    assert found.averaged == pytest.approx([0.25] * 4)
    assert found.by_position == pytest.approx(PREFERRED)
    assert found.preferred_place == 1
    holds, _, place = found.sentences
    assert holds == (
        "The choice does not hold: B) Zinc in 1 of 4 orders of the options, C) Copper in 1, D) Lead in 1, A) Iron in 1."
    )
    assert place == (
        "The model leans towards place B in the list: whatever stood there got 70 % on average, 25 % would be even."
    )


@pytest.mark.parametrize("many", [False, True])
def test_a_scorer_that_reads_only_the_content_survives_every_order_and_leans_to_no_place(many):
    found = order(by_shares(content), FOUR, many=many)
    assert found.survived == len(found.orders) == (24 if many else 4)
    assert found.averaged == pytest.approx([1 / 2, 1 / 6, 1 / 6, 1 / 6])
    assert found.by_position == pytest.approx([0.25] * 4)
    assert found.sentences == (
        f"The choice holds: A) Iron in all {len(found.orders)} orders of the options. It can still be wrong.",
        "Averaged over the orders A) Iron is still first, with 50 % (in the order asked: 50 %).",
        "No preference for a place in the list is visible.",
    )


@pytest.mark.parametrize("options", range(2, 9))
def test_a_strong_option_makes_no_place_look_preferred_however_many_options_there_are(options):
    question = Question("Which?", ("Iron", *(f"option {i}" for i in range(1, options))))
    for many in (False, True):
        found = order(by_shares(content), question, many=many)
        assert found.by_position == pytest.approx([1 / options] * options)
        assert found.preferred_place is None


def test_the_steadier_answer_may_be_another_one_than_the_order_asked_gives():
    def half_and_half(question):
        """Copper is right for it, but the first place adds something."""
        weights = [3 if option == "Copper" else 1 for option in question.options]
        weights[0] += 2.5
        return [weight / sum(weights) for weight in weights]

    found = order(by_shares(half_and_half), FOUR)
    assert (found.choices[0], found.steadier_choice, found.survived) == (0, 2, 1)
    assert found.sentences[1].startswith("Averaged over the orders C) Copper comes first, with ")
    assert "place A" in found.sentences[2]


def test_the_probabilities_are_those_of_the_original_options_in_every_order():
    found = order(by_shares(content), FOUR, many=True)
    for shares in found.probabilities:
        assert shares == pytest.approx(found.probabilities[0])


@pytest.mark.parametrize("many", [False, True])
def test_the_order_asked_has_the_figures_of_the_card(many):
    card = Answer(FOUR, (-0.5, -0.6, -4.0, -4.0), "a rule")
    engine = by_shares(place_b)
    found = order(engine, FOUR, many=many, answer=card)
    assert found.probabilities[0] == pytest.approx(card.probabilities)
    assert found.choices[:2] == (0, found.orders[1][1])
    assert FOUR not in engine.scored and len(engine.scored) == len(found.orders) - 1
    assert found.sentences[0].startswith("The choice does not hold: A) Iron in ")


def test_rotations_put_every_option_once_in_every_place():
    assert arrangements(4, many=False) == [(0, 1, 2, 3), (1, 2, 3, 0), (2, 3, 0, 1), (3, 0, 1, 2)]


def test_on_demand_four_options_are_tried_in_all_24_orders():
    orders = arrangements(4, many=True)
    assert orders[0] == (0, 1, 2, 3)
    assert sorted(orders) == sorted(permutations(range(4)))


@pytest.mark.parametrize(("options", "count"), [(2, 2), (3, 6), (5, 20), (6, 24), (7, 21), (8, 24)])
def test_on_demand_other_numbers_of_options_are_tried_in_up_to_24_different_orders(options, count):
    orders = arrangements(options, many=True)
    assert len(orders) == len(set(orders)) == count
    assert orders[0] == tuple(range(options))
    assert all(sorted(places) == list(range(options)) for places in orders)
    assert orders == arrangements(options, many=True)


def test_progress_counts_the_orders_and_can_end_the_probe():
    heard = []
    order(by_shares(content), FOUR, tell=lambda done, of: heard.append((done, of)))
    assert heard == [(1, 4), (2, 4), (3, 4), (4, 4)]

    def gone(done, of):
        raise Cancelled

    with pytest.raises(Cancelled):
        order(by_shares(content), FOUR, tell=gone)


@pytest.mark.model
def test_a_real_model_is_asked_each_order_as_if_it_were_asked_alone(loaded, make_adapter, tmp_path):
    from medqa.engine import Engine

    engine, adapter = Engine(loaded), make_adapter(tmp_path / "one", seed=1)
    found = order(engine, FOUR, adapter)
    moved = Question(FOUR.stem, ("Copper", "Lead", "Iron", "Zinc"))
    alone = engine.score(moved, adapter).probabilities
    assert found.orders[2] == (2, 3, 0, 1)
    assert found.probabilities[2] == pytest.approx([alone[2], alone[3], alone[0], alone[1]], abs=1e-4)
    assert found.probabilities[0] == pytest.approx(engine.score(FOUR, adapter).probabilities, abs=1e-4)


def moved(*options, stem="Which is it?"):
    return order(by_shares(content), Question(stem, options))


@pytest.mark.parametrize("last", ["None of the above", "All of these", "any of the above.", "Both of the above"])
@pytest.mark.parametrize("many", [False, True])
def test_an_option_about_the_others_stays_last(last, many):
    found = order(by_shares(content), Question("Which?", ("Zinc", "Iron", "Lead", last)), many=many)
    assert len(found.orders) == (6 if many else 3)
    assert {places[3] for places in found.orders} == {3}
    assert all(sorted(column) == sorted(found.orders[0][:3] * (len(found.orders) // 3)) for column in
               list(zip(*found.orders, strict=True))[:3])  # fmt: skip
    assert found.preferred_place is None
    assert f"D) {last} stayed in place: moved, it would speak of other options." in found.sentences


@pytest.mark.parametrize(
    "options",
    [
        ("Iron", "Zinc", "Both A and B", "Lead"),
        ("Iron", "Zinc", "Lead", "A & C"),
        ("Iron", "Zinc", "Lead", "Options 1 and 2"),
        ("Iron", "Zinc", "both a, b", "Lead"),
        ("Iron", "All of the above", "Zinc", "Lead"),
    ],
)
def test_options_that_point_at_places_cannot_move(options):
    with pytest.raises(QuestionError, match=r"The options can't change places: “.+” points at places of others"):
        moved(*options)


def test_where_only_one_option_can_move_there_is_no_other_order():
    with pytest.raises(QuestionError, match="Fewer than two options can change places"):
        moved("Iron", "None of the above")


@pytest.mark.parametrize(
    "options",
    [
        ("Iron", "Vitamins A and D", "B and K", "Both", "None"),
        ("A and B", "A and C", "B only", "A, B and C"),
        ("1 and 2", "2 to 3", "Type A and B", "above the joint"),
    ],
)
def test_letters_and_words_that_point_at_no_option_let_it_move(options):
    assert len(moved(*options).orders) == len(options)
