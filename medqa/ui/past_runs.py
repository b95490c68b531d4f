"""All runs with their settings and scores, and the curves of chosen ones on one chart."""

from __future__ import annotations

import gradio as gr

from medqa import runs
from medqa.runs import RunError
from medqa.settings import Settings
from medqa.ui import charts, run_views
from medqa.ui.shown_run import look

CURVES = 4


def past_runs(settings: Settings) -> None:
    """An accordion whose content is read when it is opened or refreshed."""
    with gr.Accordion("All runs", open=False, elem_id="all-runs") as box:
        refresh = gr.Button("Refresh", size="sm")
        table = gr.HTML(elem_id="runs-table")
        chosen = gr.Dropdown(
            [], multiselect=True, max_choices=CURVES, label="Compare the curves of", elem_id="compare-runs"
        )
        overlay = gr.HTML(elem_id="overlay")
    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    for event in (box.expand, refresh.click):
        event(lambda: listed(settings), None, [table, chosen], **quiet)
    chosen.change(lambda names: compared(settings, names or []), chosen, overlay, **quiet)


def listed(settings: Settings) -> tuple:
    rows = []
    for run in runs.all_runs(settings.runs):
        try:
            run.spec  # noqa: B018 - a run whose spec can't be read is left out of the table
            rows.append((run, look(run).progress))
        except RunError:
            continue
    return run_views.runs_table(rows), gr.update(choices=[run.name for run, _ in rows])


def compared(settings: Settings, names: list[str]) -> str:
    loss, accuracy = [], []
    for i, name in enumerate(names[:CURVES]):
        try:
            progress = look(runs.named(settings.runs, name)).progress
        except RunError:
            continue
        style = f"run-{i}"
        steps, measured = (progress.steps, [e for e in progress.evaluations if e["total"]])
        values = charts.smoothed([e["loss"] for e in steps])
        loss.append(charts.Series(name, style, [e["seconds"] for e in steps], values))
        shares = [100 * e["correct"] / e["total"] for e in measured]
        accuracy.append(charts.Series(name, style, [e["seconds"] for e in measured], shares, marks=True))
    return charts.chart("Training loss, smoothed", loss) + charts.chart(
        "Right on held-out questions", accuracy, "%", (0, 100), height=180
    )
