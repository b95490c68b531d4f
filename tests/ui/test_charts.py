import math
import random
import re
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import pytest

from medqa.ui.charts import (
    POINTS,
    SPIKES_DRAWN,
    STEP_FIGURES,
    WIDTHS,
    Series,
    accuracy_series,
    chart,
    clock,
    loss_series,
    smoothed,
    spike_series,
    step_figures,
    thinned,
    ticks,
    time_ticks,
)

HOSTILE = "<script>alert(\"1\")</script> & 'more'"


def line(points, **parts):
    return Series("loss", "raw", range(points), [1.0 + i % 7 for i in range(points)], **parts)


def step(number, loss=1.0):
    return {"step": number, "seconds": 0.5 * number, "loss": loss}


def evaluated(number, correct, total=100):
    return {"step": number, "seconds": 0.5 * number, "correct": correct, "total": total, "loss": 2.0 - correct / 100}


def svgs(figure):
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", figure, re.S)]


def numbers(svg, *attributes):
    return [float(value) for element in svg.iter() for name, value in element.items() if name in attributes]


def points(polyline):
    return [tuple(map(float, point.split(","))) for point in polyline.get("points").split()]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (0.13, 2.4, [0.5, 1.0, 1.5, 2.0]),
        (0.1, 0.3, [0.1, 0.15, 0.2, 0.25, 0.3]),
        (1234, 5678, [2000, 3000, 4000, 5000]),
        (2.5, 3.5, [2.6, 2.8, 3.0, 3.2, 3.4]),
    ],
)
def test_ticks_are_the_round_numbers_of_the_range(low, high, expected):
    assert ticks(low, high, 5) == pytest.approx(expected)


def test_ticks_are_round_in_range_evenly_apart_and_neither_few_nor_many_wherever_the_range_is():
    for exponent in range(-4, 6):
        for low, width in ((0.0, 1.0), (0.3, 0.7), (1.9, 8.8), (9.7, 3.3), (0.06, 11.4)):
            low, high = low * 10**exponent, (low + width) * 10**exponent
            found = ticks(low, high, 5)
            assert 2 <= len(found) <= 6
            assert all(low - 1e-9 <= tick <= high * (1 + 1e-9) for tick in found)
            apart = {f"{b - a:.3g}" for a, b in pairwise(found)}
            assert len(apart) == 1
            assert f"{float(apart.pop()):e}"[0] in "125"


@pytest.mark.parametrize("last", [1, 7, 59, 60, 61, 300, 3600, 86_400, 5_000_000])
@pytest.mark.parametrize("about", [4, 8])
def test_time_ticks_start_at_nothing_stay_in_range_and_are_not_many(last, about):
    found = time_ticks(last, about)
    assert found[0] == 0
    assert found[-1] <= last
    assert len(found) <= about + 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (5.4, "0:05"), (59.7, "1:00"), (750, "12:30"), (3599.6, "1:00:00"), (7500, "2:05:00")],
)
def test_a_time_reads_as_on_a_clock(seconds, text):
    assert clock(seconds) == text


def test_a_constant_smoothed_is_that_constant_from_the_first_point_on():
    assert smoothed([3.7] * 50) == pytest.approx([3.7] * 50)


def test_smoothing_lies_between_the_lowest_and_highest_so_far():
    values = [4.0, 1.0, 3.0, 0.5, 2.0]
    for i, value in enumerate(smoothed(values), start=1):
        assert min(values[:i]) - 1e-9 <= value <= max(values[:i]) + 1e-9


def test_nothing_smoothed_is_nothing():
    assert smoothed([]) == []


@pytest.mark.parametrize("count", [1, POINTS - 1, POINTS])
def test_few_points_are_all_kept(count):
    assert thinned(line(count)) == line(count)


@pytest.mark.parametrize("count", [POINTS + 1, 2 * POINTS, 999, 10_000])
def test_many_points_are_thinned_to_the_limit_the_first_and_last_among_them(count):
    thin = thinned(line(count))
    assert len(thin.x) == len(thin.y) <= POINTS
    assert (thin.x[0], thin.x[-1]) == (0, count - 1)
    assert all(y == 1.0 + x % 7 for x, y in zip(thin.x, thin.y, strict=True))
    assert list(thin.x) == sorted(set(thin.x))


def test_marked_points_are_never_thinned():
    assert len(thinned(line(3 * POINTS, marks=True)).x) == 3 * POINTS


def test_a_run_of_ten_thousand_steps_draws_at_most_the_limit_of_points():
    steps = [step(i, 5.0 / (1 + i)) for i in range(1, 10_001)]
    lines = [polyline for svg in svgs(chart("Loss", loss_series(steps, []))) for polyline in svg.iter("polyline")]
    assert len(lines) == 2 * len(WIDTHS)
    assert all(2 <= len(points(polyline)) <= POINTS for polyline in lines)


def test_nothing_to_draw_is_no_chart():
    assert chart("Loss", []) == ""
    assert chart("Loss", [Series("loss", "raw", [], [])]) == ""
    assert chart("Loss", loss_series([], [])) == ""
    assert chart("Accuracy", accuracy_series([])) == ""


@pytest.mark.parametrize(
    "series",
    [
        [line(1)],
        [Series("flat", "raw", [0, 9], [0.0, 0.0])],
        [Series("at once", "raw", [0, 0], [1.0, 2.0])],
        loss_series([step(1), step(2)], [evaluated(0, 27), evaluated(2, 97)]),
        accuracy_series([evaluated(0, 0), evaluated(5, 50), evaluated(10, 100)]),
        accuracy_series([evaluated(5, 1, total=1)]),
    ],
    ids=["one point", "flat at nothing", "no time passed", "loss", "accuracy", "one evaluation"],
)
def test_every_chart_is_well_formed_at_both_widths_and_draws_inside_its_frame(series):
    drawn = svgs(chart("Title", series))
    assert [svg.get("class") for svg in drawn] == list(WIDTHS)
    for svg, width in zip(drawn, WIDTHS.values(), strict=True):
        _, _, across, down = map(float, svg.get("viewBox").split())
        assert across == width
        places = [point for polyline in svg.iter("polyline") for point in points(polyline)]
        assert places
        assert all(0 <= x <= across and 0 <= y <= down for x, y in places)
        assert all(0 <= value <= across for value in numbers(svg, "x1", "x2", "cx"))
        assert all(0 <= value <= down for value in numbers(svg, "y1", "y2", "cy"))


def test_the_last_point_is_at_the_right_edge_unless_the_run_goes_on_further():
    half = Series("loss", "raw", [0, 50], [1.0, 2.0])
    [(_, _), (edge, _)] = points(svgs(chart("Loss", [half]))[0].find("polyline"))
    [(start, _), (middle, _)] = points(svgs(chart("Loss", [half], x_end=100))[0].find("polyline"))
    assert middle == pytest.approx((start + edge) / 2, abs=0.2)


def test_a_higher_value_is_drawn_higher():
    [low, high] = points(svgs(chart("Loss", [Series("loss", "raw", [0, 1], [1.0, 2.0])]))[0].find("polyline"))
    assert high[1] < low[1]


def test_titles_labels_and_tips_are_escaped():
    label = f"{HOSTILE} of a line"
    figure = chart(HOSTILE, [Series(label, "raw", [0, 1], [1, 2], marks=True, tips=[HOSTILE, HOSTILE])])
    assert "<script" not in figure
    whole = ElementTree.fromstring(figure)
    assert whole.find("figcaption").text == HOSTILE
    assert whole.find("div/span").text == label
    assert {title.text for title in whole.iter("title")} == {HOSTILE}
    assert all(svg.get("aria-label").startswith(HOSTILE) for svg in whole.iter("svg"))


def test_a_chart_says_in_words_where_each_line_starts_and_ends():
    [wide, _] = svgs(chart("Loss", [Series("held-out loss", "held-out", [0, 9], [2.0, 0.5])], unit=" nats"))
    assert wide.get("aria-label") == "Loss. held-out loss: from 2 nats to 0.5 nats."


def test_the_loss_chart_has_each_step_their_mean_and_the_held_out_measures():
    each, mean, held_out = loss_series([step(1, 4.0), step(2, 2.0)], [evaluated(0, 27), evaluated(2, 97)])
    assert (each.x, each.y) == ([0.5, 1.0], [4.0, 2.0])
    assert mean.y == pytest.approx(smoothed([4.0, 2.0]))
    assert held_out.y == pytest.approx([1.73, 1.03])
    assert held_out.tips[1] == "held-out loss 1.030 at step 2"


def test_an_evaluation_without_questions_is_not_drawn():
    assert loss_series([], [evaluated(0, 0, total=0)]) == []
    assert accuracy_series([evaluated(0, 0, total=0)]) == []


def test_the_accuracy_chart_has_the_base_model_as_a_level_line_and_the_adapter_with_its_interval():
    base, adapter = accuracy_series([evaluated(0, 27), evaluated(10, 97)])
    assert (base.x, base.y) == ([0.0, 5.0], [27.0, 27.0])
    assert adapter.y == pytest.approx([27.0, 97.0])
    assert all(low < y < high for low, y, high in zip(adapter.low, adapter.y, adapter.high, strict=True))
    assert adapter.tips[1] == "97 of 100 right at step 10 (95 % interval 92 to 99 %)"


def test_without_a_measure_before_the_first_step_there_is_no_line_of_the_base_model():
    assert [series.style for series in accuracy_series([evaluated(5, 50), evaluated(10, 97)])] == ["adapter"]


# Spikes


def noisy(count, falling=0.0, seed=0):
    """Losses around 1 with normal noise of 0.1; with `falling`, from that much above at first."""
    noise = random.Random(seed)
    return [step(i, 1 + falling * math.exp(-i / 10) + noise.gauss(0, 0.1)) for i in range(1, count + 1)]


def raised(steps, at, by=2.0):
    return [{**event, "loss": event["loss"] + by} if event["step"] == at else event for event in steps]


@pytest.mark.parametrize("falling", [0.0, 4.0], ids=["level", "falling fast"])
@pytest.mark.parametrize("at", [12, 30, 60])
def test_a_loss_far_above_those_before_it_is_marked_as_a_spike(falling, at):
    steps = raised(noisy(100, falling), at)
    [spikes] = spike_series(steps)
    assert (spikes.x, spikes.y) == ([0.5 * at], [steps[at - 1]["loss"]])
    assert spikes.tips[0].startswith(f"loss {steps[at - 1]['loss']:.3f} at step {at}, smoothed before it ")
    assert spikes.label == "spike (1)"


def test_noise_is_hardly_ever_taken_for_a_spike():
    found = [len(series.x) for seed in range(20) for series in spike_series(noisy(500, 4.0, seed))]
    assert sum(found) <= 5


def test_before_ten_losses_nothing_is_called_a_spike():
    assert spike_series(raised(noisy(10), 10)) == []


def test_of_many_spikes_the_highest_are_drawn_and_all_are_counted():
    steps = noisy(2000)
    for i, at in enumerate(range(20, 2000, 20)):
        steps = raised(steps, at, by=2 + i / 100)
    [spikes] = spike_series(steps)
    assert spikes.label == "spike (99)"
    assert len(spikes.x) == SPIKES_DRAWN
    assert min(spikes.y) > 2.4
    assert spikes.x == sorted(spikes.x)


def test_spikes_are_points_without_a_line_between_them():
    steps = raised(raised(noisy(60), 30), 50)
    [wide, _] = svgs(chart("Loss", spike_series(steps)))
    assert list(wide.iter("polyline")) == []
    assert [circle.get("class") for circle in wide.iter("circle")] == ["spike run-3"] * 2


# Figures of each step


def figured(count):
    figures = {"gradient_norm": 0.5, "learning_rate": 2e-4, "tokens_per_second": 4100, "memory": 3 * 2**30}
    return [{**step(i), **figures} for i in range(1, count + 1)]


def captions(html):
    return re.findall("<figcaption>(.*?)</figcaption>", html)


def test_only_the_figures_chosen_are_drawn_in_the_order_they_are_offered():
    steps = figured(20)
    assert captions(step_figures(steps, ["memory", "gradient norm"], 10.0)) == ["Gradient norm", "Memory in GB"]
    assert len(captions(step_figures(steps, list(STEP_FIGURES), 10.0))) == len(STEP_FIGURES) == 4
    assert step_figures(steps, [], 10.0) == ""


def test_a_figure_tells_its_value_in_its_unit():
    [wide, _] = svgs(step_figures(figured(20), ["memory"], 10.0))
    assert wide.get("aria-label").endswith("from 3 to 3.")


def test_steps_without_a_figure_are_left_out_of_its_line():
    steps = figured(20)
    steps[7]["gradient_norm"] = None
    [wide, _] = svgs(step_figures(steps, ["gradient norm"], 10.0))
    assert len(points(wide.find("polyline"))) == 19
    assert step_figures([step(1), step(2)], list(STEP_FIGURES), 10.0) == ""


def test_figures_of_ten_thousand_steps_draw_at_most_the_limit_of_points():
    lines = [p for svg in svgs(step_figures(figured(10_000), list(STEP_FIGURES), 5000.0)) for p in svg.iter("polyline")]
    assert len(lines) == 2 * 4
    assert all(len(points(line)) <= POINTS for line in lines)


@pytest.mark.parametrize("highest", [0.0, 1e-7, 1.5e-4, 2e-4, 3e-3, 0.7, 45_000, 1_200_000])
def test_the_numbers_beside_an_axis_fit_into_its_margin_and_read_as_their_values(highest):
    steps = [{**step(1), "learning_rate": 0.0}, {**step(2), "learning_rate": highest}]
    [wide, _] = svgs(step_figures(steps, ["learning rate"], 1.0))
    texts = [text.text for text in wide.iter("text") if text.get("text-anchor") == "end"]
    assert all(len(text) <= 6 for text in texts)
    values = [float(text) for text in texts]
    apart = [b - a for a, b in pairwise(values)]
    assert len(values) >= 2
    assert apart == pytest.approx([apart[0]] * len(apart))
