"""Curves as SVG text: loss, held-out accuracy, figures of each step, on one time axis. Loads neither gradio nor torch.

SVG in the page instead of a plotting component: it is redrawn in place without a flicker, shows intervals, takes its
colours from the theme by CSS, and prints.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from medqa.evaluate import Accuracy

POINTS = 240
# A chart is drawn at both widths and CSS shows one: text in a scaled-down SVG is too small on a phone.
WIDTHS = {"wide": 760, "narrow": 356}
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 10, 26
SPIKES = "loss spikes"
# What is shown beside the loss when chosen: title, field of a step's event, what it is divided by.
STEP_FIGURES = {
    "gradient norm": ("Gradient norm", "gradient_norm", 1),
    "learning rate": ("Learning rate", "learning_rate", 1),
    "tokens/s": ("Tokens per second", "tokens_per_second", 1),
    "memory": ("Memory in GB", "memory", 2**30),
}
# A spike is a loss that is higher above the smoothed loss before it than the 50 losses before were: above their upper
# quartile by three times their interquartile range (Tukey's outer fence). It needs 10 before it. Measured from the
# smoothed loss, because a loss that falls fast spreads so widely over 50 steps that nothing would stand out.
SPIKE_WINDOW, SPIKE_LEAST, SPIKE_RANGES = 50, 10, 3.0
SPIKES_DRAWN = 40  # the highest ones


@dataclass(frozen=True)
class Series:
    """`style` is CSS classes; `low` and `high` bound each point, where given. x is seconds of training."""

    label: str
    style: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    marks: bool = False
    tips: Sequence[str] = ()
    line: bool = True


def smoothed(values: Sequence[float], weight: float = 0.9) -> list[float]:
    """Exponential moving average without the pull towards zero at the start (Adam's bias correction)."""
    result, mean = [], 0.0
    for i, value in enumerate(values, start=1):
        mean = weight * mean + (1 - weight) * value
        result.append(mean / (1 - weight**i))
    return result


def thinned(series: Series, points: int = POINTS) -> Series:
    """At most this many points, the last one always among them."""
    if len(series.x) <= points or series.marks:
        return series
    step = len(series.x) / (points - 1)
    kept = sorted({min(len(series.x) - 1, int(i * step)) for i in range(points - 1)} | {len(series.x) - 1})
    return Series(series.label, series.style, [series.x[i] for i in kept], [series.y[i] for i in kept])


def loss_series(steps: Sequence[dict], evaluations: Sequence[dict]) -> list[Series]:
    seconds = [event["seconds"] for event in steps]
    losses = [event["loss"] for event in steps]
    held_out = [event for event in evaluations if event.get("total")]
    found = []
    if steps:
        found = [
            Series("training loss, each step", "raw", seconds, losses),
            Series("smoothed", "smooth", seconds, smoothed(losses)),
        ]
    if held_out:
        tips = [f"held-out loss {e['loss']:.3f} at step {e['step']}" for e in held_out]
        found.append(
            Series(
                "held-out loss",
                "held-out",
                [e["seconds"] for e in held_out],
                [e["loss"] for e in held_out],
                marks=True,
                tips=tips,
            )
        )
    return found


def spike_series(steps: Sequence[dict]) -> list[Series]:
    spikes = sorted(_spikes([event["loss"] for event in steps]), key=lambda spike: steps[spike[0]]["loss"])
    drawn = sorted(spikes[-SPIKES_DRAWN:])
    if not drawn:
        return []
    events = [steps[i] for i, _ in drawn]
    tips = [
        f"loss {steps[i]['loss']:.3f} at step {steps[i]['step']}, smoothed before it {mean:.3f}" for i, mean in drawn
    ]
    x, y = [e["seconds"] for e in events], [e["loss"] for e in events]
    # In the colour of a fourth run: held-out points share this chart.
    return [Series(f"spike ({len(spikes)})", "spike run-3", x, y, marks=True, line=False, tips=tips)]


def _spikes(losses: Sequence[float]) -> list[tuple[int, float]]:
    """Where a loss is a spike, and the smoothed loss before it."""
    before = smoothed(losses)
    heights = [loss - mean for loss, mean in zip(losses[1:], before, strict=False)]
    found, window = [], []
    for i, height in enumerate(heights):
        count = len(window)
        if count >= SPIKE_LEAST:
            lower, upper = window[count // 4], window[3 * count // 4]
            if height > upper + SPIKE_RANGES * (upper - lower):
                found.append((i + 1, before[i]))
        # Kept in order: sorting 50 numbers for each of 10,000 steps at every poll would be felt.
        insort(window, height)
        if count == SPIKE_WINDOW:
            del window[bisect_left(window, heights[i - SPIKE_WINDOW])]
    return found


def step_figures(steps: Sequence[dict], chosen: Sequence[str], x_end: float) -> str:
    """A small chart, from zero up, for each chosen figure that the steps have."""
    drawn = []
    for name, (title, field, divisor) in STEP_FIGURES.items():
        known = [(e["seconds"], e[field] / divisor) for e in steps if e.get(field) is not None]
        if name in chosen and known:
            x, y = zip(*known, strict=True)
            drawn.append(chart(title, [Series(title, "smooth", x, y)], "", (0, 1.06 * max(y) or 1), x_end, 120))
    return "".join(drawn)


def accuracy_series(evaluations: Sequence[dict]) -> list[Series]:
    """The adapter's held-out accuracy in percent with its 95 % interval, and the base model's own as a flat line."""
    measured = [(e, Accuracy(e["correct"], e["total"])) for e in evaluations if e.get("total")]
    if not measured:
        return []
    x = [event["seconds"] for event, _ in measured]
    low, high = zip(*[(100 * a.interval_95[0], 100 * a.interval_95[1]) for _, a in measured], strict=True)
    tips = [
        f"{a.correct} of {a.total} right at step {e['step']} (95 % interval {lo:.0f} to {hi:.0f} %)"
        for (e, a), lo, hi in zip(measured, low, high, strict=True)
    ]
    base = 100 * measured[0][1].share
    found = [
        Series("adapter, with 95 % interval", "adapter", x, [100 * a.share for _, a in measured], low, high, True, tips)
    ]
    if measured[0][0]["step"] == 0:
        found.insert(0, Series("base model alone", "base", [min(x), max(x)], [base, base]))
    return found


def chart(
    title: str,
    series: Sequence[Series],
    unit: str = "",
    y_range: tuple[float, float] | None = None,
    x_end: float | None = None,
    height: int = 220,
) -> str:
    """A figure, drawn at both widths, with a legend unless its line is what the title says; "" without points."""
    drawn = [thinned(s) for s in series if s.x]
    if not drawn:
        return ""
    x_last = max([x_end or 0.0, 1.0, *(x for s in drawn for x in s.x)])
    low, high = y_range or _range([v for s in drawn for v in (*s.y, *s.low, *s.high)])
    legend = "".join(f'<span class="mq-key {s.style}">{escape(s.label)}</span>' for s in drawn if s.label != title)
    plots = "".join(_svg(title, drawn, x_last, low, high, unit, width, height, name) for name, width in WIDTHS.items())
    caption = f"<figcaption>{escape(title)}</figcaption>"
    return f'<figure class="mq-chart">{caption}{plots}<div class="mq-legend">{legend}</div></figure>'


def _svg(title, series, x_last, low, high, unit, width, height, name) -> str:
    def across(value: float) -> float:
        return round(LEFT + value / x_last * (width - LEFT - RIGHT), 1)

    def down(value: float) -> float:
        return round(TOP + (high - value) / (high - low) * (height - TOP - BOTTOM), 1)

    parts = []
    for tick in ticks(low, high, 5):
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{width - RIGHT}" y1="{down(tick)}" y2="{down(tick)}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{down(tick) + 4}" text-anchor="end">{_tick_text(tick)}{unit}</text>')
    for tick in time_ticks(x_last, 4 if width < 500 else 8):
        parts.append(f'<text x="{across(tick)}" y="{height - 8}" text-anchor="middle">{clock(tick)}</text>')
    for s in series:
        points = [(across(x), down(y)) for x, y in zip(s.x, s.y, strict=True)]
        bounds = zip(points, s.low, s.high, strict=False)
        parts += [
            f'<line class="bar {s.style}" x1="{x}" x2="{x}" y1="{down(lo)}" y2="{down(hi)}"/>'
            for (x, _), lo, hi in bounds
        ]
        path = " ".join(f"{x},{y}" for x, y in points)
        if s.line:
            parts.append(f'<polyline class="{s.style}" points="{path}"/>')
        tips = s.tips or [""] * len(points)
        if s.marks or len(points) == 1:
            parts += [
                f'<circle class="{s.style}" cx="{x}" cy="{y}" r="4"><title>{escape(tip)}</title></circle>'
                for (x, y), tip in zip(points, tips, strict=True)
            ]
    spoken = escape(_spoken(title, series, unit))
    opening = f'<svg class="{name}" viewBox="0 0 {width} {height}" role="img" aria-label="{spoken}">'
    return f"{opening}{''.join(parts)}</svg>"


def _spoken(title: str, series: Sequence[Series], unit: str) -> str:
    return f"{title}. " + " ".join(f"{s.label}: from {s.y[0]:.3g}{unit} to {s.y[-1]:.3g}{unit}." for s in series)


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = (high - low) * 0.06 or 0.5
    return max(0.0, low - margin), high + margin


def ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) within the range, roughly `about` of them."""
    raw = (high - low) / about
    power = 10 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= raw)
    first = math.ceil(low / step)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _tick_text(value: float) -> str:
    """`0.5`, `45000`, `1.5e-4`: what fits into the margin."""
    short = f"{value:g}"
    if len(short) <= 5 and "e" not in short:
        return short
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def time_ticks(last: float, about: int) -> list[float]:
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400)
    step = next((s for s in steps if last / s <= about), 86_400 * math.ceil(last / 86_400 / about))
    return [i * step for i in range(int(last // step) + 1)]


def clock(seconds: float) -> str:
    """`0:05`, `12:30`, `2:05:00`"""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
