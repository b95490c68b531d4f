"""The Fine-tune tab: presets, settings, preview, start, stop, resume, and the run as it goes."""

from __future__ import annotations

import time
from dataclasses import dataclass

import gradio as gr

from medqa import export, launch, offered, runs, visitors
from medqa.datasets import handbook
from medqa.errors import UserError
from medqa.folders import each_text_without
from medqa.runs import Run, RunError
from medqa.settings import Settings
from medqa.spec import PRESETS, SpecError, without_folders
from medqa.ui import charts, views
from medqa.ui.downloads import file_of
from medqa.ui.shown_run import look
from medqa.ui.spec_form import allowed_spec, form, from_preset
from medqa.ui.telling import folders, told_error
from medqa.ui.upload_box import READING, upload_box

POLL_SECONDS = 1.0
STOP, STOP_AT_ONCE = "Stop", "Stop at once"
# The second click of somebody impatient must not end the run where it is, nor be told that the device is busy.
SECOND_CLICK_SECONDS = 3.0
ENDED = "The run has ended. What it had saved by then is kept."
EMPTY = "() => ''"


@dataclass(frozen=True)
class Begun:
    """The run that this page has started last, the form it came from, and when, by the monotonic clock."""

    run_name: str
    values: tuple
    seconds: float

    def again(self, run_name: str, values: tuple) -> bool:
        """Whether a press of Start belongs to the one that began it. The first has emptied the box of the name."""
        same = values == self.values and run_name in ("", self.run_name)
        return same and time.monotonic() - self.seconds < SECOND_CLICK_SECONDS


def fine_tune_tab(settings: Settings) -> tuple[gr.Dropdown, gr.Button]:
    """Builds the tab. Returns the run shown, and the button that answers with its adapter."""
    labels = [(preset.label, name) for name, preset in offered.presets(settings).items()]
    preset = gr.Radio(labels, value="quick", label="Preset", elem_id="preset")
    summary = gr.HTML(views.note(PRESETS["quick"].summary), padding=False)
    with gr.Accordion("Advanced", open=False):
        inputs = form(settings)
        upload_box(preset, inputs, settings)
    with gr.Accordion("Preview and estimate", open=False):
        look = gr.Button("Show three training examples and an estimate", size="sm", elem_id="preview")
        preview = gr.HTML(elem_id="preview-text")
        gr.HTML(views.splits_explained(handbook.SPLITS))
    # What a visitor of a public page wrote there, all others would read.
    name = gr.Textbox(
        label="Run name", placeholder="empty: the next free name, such as quick-1", max_lines=1, elem_id="run-name",
        visible=not settings.public,
    )  # fmt: skip
    with gr.Row(equal_height=True):
        start = gr.Button("Start fine-tuning", variant="primary", elem_id="start")
        stop = gr.Button(STOP, variant="stop", interactive=False, elem_id="stop")
        resume = gr.Button("Resume", visible=False, elem_id="resume")
        use = gr.Button("Answer with this adapter", visible=False, elem_id="use")
    problem = gr.HTML(elem_id="start-problem", elem_classes="mq-message", padding=False)
    shown = gr.Dropdown(_run_names(settings), value=_newest(settings), label="Run shown", elem_id="run-shown")
    live = gr.HTML(elem_id="live", padding=False)
    also = gr.CheckboxGroup(
        [charts.SPIKES, *charts.STEP_FIGURES], value=[charts.SPIKES], label="Also show", elem_id="also-show"
    )
    curves = gr.HTML(elem_id="curves", padding=False)
    with gr.Accordion("Log", open=False):
        log = gr.HTML(elem_id="log")
    save = gr.Button("Export this run (JSON)", size="sm", elem_id="export")
    exported = gr.DownloadButton("Exported run", visible="hidden", elem_id="exported")
    sent = gr.State(())
    begun = gr.State(None)
    timer = gr.Timer(POLL_SECONDS)

    boxes = list(inputs.values())
    private = {"api_visibility": "private"}
    quiet = {"show_progress": "hidden", **private}
    panel = [shown, live, curves, log, stop, resume, use, sent]

    preset.change(lambda chosen: from_preset(chosen, settings), preset, [summary, *boxes], **quiet)
    previewed = look.click(lambda *values: shown_preview(settings, values), boxes, preview, **READING)
    # What it tells is of another run then. In the browser, as a preset changes many boxes at once.
    changed = [box.change for box in boxes]
    gr.on(changed, None, None, preview, js=EMPTY, cancels=previewed, **quiet)
    # What was said of the run before is not said of this one.
    shown.change(None, None, problem, js=EMPTY, **quiet)

    def begin(last: Begun | None, preset_name: str, run_name: str, *values):
        return started(settings, last, preset_name, run_name, values)

    def poll(run_name: str | None, chosen: list[str], already: tuple):
        return panel_of(settings, run_name, chosen, already)

    start.click(
        begin, [begun, preset, name, *boxes], [problem, shown, name, begun], concurrency_id="launch", **quiet
    ).then(poll, [shown, also, sent], panel, **quiet)
    stop.click(lambda run_name, pressed: stopped(settings, run_name, pressed), [shown, stop], [problem, stop], **quiet)
    resume.click(lambda run_name: resumed(settings, run_name), shown, problem, concurrency_id="launch", **quiet).then(
        poll, [shown, also, sent], panel, **quiet
    )
    shown.change(lambda run_name, chosen: panel_of(settings, run_name, chosen, ()), [shown, also], panel, **quiet)
    also.change(poll, [shown, also, sent], panel, **quiet)
    timer.tick(poll, [shown, also, sent], panel, queue=False, **quiet)
    # Made when asked for, so that it is never older than the click; a download button offers what it already has.
    save.click(lambda run_name: export_file(settings, run_name), shown, [problem, exported], **quiet).success(
        None, js="() => document.querySelector('#exported').click()"
    )
    return shown, use


def started(settings: Settings, last: Begun | None, preset_name: str, run_name: str, values: tuple) -> tuple:
    chosen = "" if settings.public else run_name.strip()
    if last and last.again(chosen, values):
        return "", gr.update(choices=_run_names(settings), value=last.run_name), "", last
    try:
        spec = allowed_spec(values, settings, chosen or launch.free_name(preset_name, settings.runs))
        if settings.public:
            visitors.make_room(settings.runs)
        run = launch.start(spec, settings.runs, by_visitor=settings.public)
    except UserError as error:
        return told_error(error, settings), gr.skip(), gr.skip(), last
    return "", gr.update(choices=_run_names(settings), value=run.name), "", Begun(run.name, values, time.monotonic())


def shown_preview(settings: Settings, values: tuple) -> str:
    from medqa import device
    from medqa.estimate import preview

    try:
        spec = allowed_spec(values, settings)
    except SpecError as error:
        return told_error(error, settings)
    try:
        made = preview(spec, settings.runs, device.choose(settings.device))
    except UserError as error:
        return told_error(without_folders(str(error), spec), settings)
    return views.preview(made)


def stopped(settings: Settings, run_name: str | None, pressed: str) -> tuple:
    """`pressed`: what stood on the button. Of two who press Stop at the same time neither ends the run at once."""
    at_once = pressed == STOP_AT_ONCE
    try:
        launch.stop(_ones_own(runs.named(settings.runs, run_name), settings), at_once)
    except RunError as error:
        return told_error(error, settings), gr.skip()
    # That a run is stopping its panel says, for as long as it does.
    return views.note(ENDED) if at_once else "", gr.update(interactive=False)


def _ones_own(run: Run, settings: Settings) -> Run:
    """Raises RunError for a visitor who is to stop or resume a run of the host: its adapter may answer everybody."""
    if settings.public and not run.visitor_file.exists():
        raise RunError(f"The run {run.name} was begun by this page's host, who alone can stop or resume it.")
    return run


def resumed(settings: Settings, run_name: str | None) -> str:
    try:
        run = _ones_own(runs.named(settings.runs, run_name), settings)
        # Resumed a moment ago, by the first of two clicks or by somebody else: the panel says that it goes on.
        if look(run).progress.status == "running":
            return ""
        if settings.public:
            offered.check(run.spec, settings)
        launch.resume(run)
    except UserError as error:
        return told_error(error, settings)
    return ""


def export_file(settings: Settings, run_name: str | None) -> tuple:
    try:
        run = runs.named(settings.runs, run_name)
        record = export.record(run)
    except RunError as error:
        return told_error(error, settings), gr.skip()
    if settings.public:
        record = each_text_without(export.without_folders(record), folders(settings))
    return "", file_of(export.as_json(record), run.name, ".json")


def panel_of(settings: Settings, run_name: str | None, chosen: list[str], already: tuple) -> list:
    """What the page shows of a run. `already` is what it was sent last: nothing is sent while nothing has changed.

    The choice of runs is part of it: a run started in another browser turns up here too. It is sent only when it has
    changed, because that closes an open list.
    """
    found = {run.name: run for run in runs.all_runs(settings.runs)}
    names, run = list(found), found.get(run_name)
    choices = gr.skip() if already and already[0] == names else gr.update(choices=names)
    if run is None:
        if already == (names,):
            return [gr.skip()] * 8
        hidden = gr.update(visible=False)
        newest = gr.update(choices=names, value=_newest(settings))
        return [newest, "", "", "", gr.update(value=STOP, interactive=False), hidden, hidden, (names,)]
    try:
        seen = look(run)
    except RunError:
        # The next poll no longer finds it among the others.
        return [gr.skip()] * 8
    progress = seen.progress
    running = progress.status == "running"
    stopping = running and seen.told_to_stop
    at_once = stopping and _asked_a_while_ago(run)
    # Its last word said, a process still takes seconds to leave on a busy machine, and holds the device till then.
    resumable = progress.resumable and not run.alive
    counts = (progress.step, len(progress.steps), len(progress.evaluations), len(progress.messages))
    version = (names, run.name, progress.status, counts, stopping, at_once, run.has_adapter, resumable, tuple(chosen))
    if version == already:
        return [gr.skip()] * 8
    drawn = seen.drawn(chosen, settings)
    return [
        choices,
        drawn.panel,
        drawn.curves,
        drawn.log,
        gr.update(value=STOP_AT_ONCE if at_once else STOP, interactive=running and stopping == at_once),
        gr.update(visible=resumable),
        gr.update(visible=run.has_adapter and not running),
        version,
    ]


def _asked_a_while_ago(run: Run) -> bool:
    try:
        asked = run.stop_file.stat().st_mtime
    except FileNotFoundError:
        return False
    # A clock that was set back meanwhile keeps nobody waiting.
    return abs(time.time() - asked) >= SECOND_CLICK_SECONDS


def _run_names(settings: Settings) -> list[str]:
    return [run.name for run in runs.all_runs(settings.runs)]


def _newest(settings: Settings) -> str | None:
    """The run that is going on, else the newest."""
    found = runs.all_runs(settings.runs)
    return next((run.name for run in found if run.alive), found[0].name if found else None)


def on_page_load(settings: Settings) -> dict:
    return gr.update(choices=_run_names(settings), value=_newest(settings))
