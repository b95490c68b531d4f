"""What every probe's panel shares: it opens in place, runs once opened, says how far it is, and can be cancelled."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue

import gradio as gr
from gradio.blocks import Block
from gradio.events import Dependency

from medqa.errors import UserError
from medqa.probes import Cancelled, Tell
from medqa.ui import views
from medqa.ui.answering import Asked
from medqa.ui.telling import told_error

# Shorter work shows no progress: a line that flashes by is a flicker. Longer work says so often how far it is.
SECONDS_BETWEEN_NEWS = 0.5
Work = Callable[..., str]
# What to put back when another question is answered: component to value or update.
Reset = dict[Block, object]


def probe_panel(
    title: str,
    asked: gr.State,
    work: Work,
    elem_id: str,
    controls: Callable[[], Sequence[Block]] = list,
    refreshed: Callable[..., object] | None = None,
) -> Reset:
    """`work(asked, tell, *values of the controls)` returns the HTML to show.

    It runs in a thread of its own when the panel opens and when a control is changed. `controls` builds them in place;
    `refreshed(asked, *values)` returns an update for each when the panel opens.
    """
    with gr.Accordion(title, open=False, elem_id=elem_id) as accordion:
        inputs = controls()
        found = gr.HTML(elem_classes="mq-message", padding=False)
        cancel = gr.Button("Cancel", size="sm", visible=False)
    if refreshed:
        accordion.expand(
            refreshed, [asked, *inputs], inputs, show_progress="hidden", queue=False, api_visibility="private"
        )
    running = run_on([accordion.expand, *(control.input for control in inputs)], asked, work, found, cancel, inputs)
    # Also when `Reset` closes it for the next question.
    accordion.collapse(None, cancels=running, api_visibility="private")
    return {accordion: gr.update(open=False), found: "", cancel: gr.update(visible=False)}


def run_on(
    events: Sequence[Callable], asked: gr.State, work: Work, found: gr.HTML, cancel: gr.Button, inputs: Sequence[Block]
) -> Dependency:
    """Wire `work` to events such as a button's click; returns what runs, so that others may cancel it."""

    def begin(question_asked: Asked | None, *values: object) -> Iterator[tuple]:
        if question_asked is None:
            yield views.note("Ask a question first."), gr.skip()
            return
        yield from ((html, gr.update(visible=busy)) for html, busy in stages(work, question_asked, *values))

    # One dependency for all events: of two, the one begun first may end last, and show what no longer holds.
    running = gr.on(
        events, begin, [asked, *inputs], [found, cancel], show_progress="hidden", concurrency_limit=4,
        concurrency_id="probe", trigger_mode="always_last", api_visibility="private",
    )  # fmt: skip
    cancel.click(
        lambda: (views.note("Cancelled."), gr.update(visible=False)), None, [found, cancel],
        cancels=running, queue=False, api_visibility="private",
    )  # fmt: skip
    return running


def stages(work: Work, asked: Asked, *values: object) -> Iterator[tuple[str, bool]]:
    """(HTML, whether it still works). Closing this generator ends the work at its next report of progress."""
    news: SimpleQueue[tuple[str, object]] = SimpleQueue()
    gone = threading.Event()

    def tell(done: int, of: int) -> None:
        if gone.is_set():
            raise Cancelled
        news.put(("progress", f"{done} of {of} done …"))

    thread = threading.Thread(target=_report, args=(work, asked, tell, values, news), daemon=True, name="probe")
    thread.start()
    try:
        yield from _heard(news)
    finally:
        gone.set()


def _heard(news: SimpleQueue) -> Iterator[tuple[str, bool]]:
    """Says something at every interval, new or not: a generator can be closed only where it yields."""
    progress, due = "Scoring …", time.monotonic() + SECONDS_BETWEEN_NEWS
    while True:
        try:
            kind, content = news.get(timeout=max(due - time.monotonic(), 0))
        except Empty:
            yield views.note(progress), True
            due = time.monotonic() + SECONDS_BETWEEN_NEWS
            continue
        if kind == "result":
            yield content, False
            return
        if kind == "fault":
            yield from _told(content)
            return
        progress = content


def _told(fault: Exception) -> Iterator[tuple[str, bool]]:
    if isinstance(fault, UserError):
        yield told_error(fault), False
        return
    yield views.error("This went wrong. The server's log says why."), False
    raise fault  # Gradio writes what a handler raises into the log


def _report(work: Work, asked: Asked, tell: Tell, values: Sequence[object], news: SimpleQueue) -> None:
    try:
        asked.check_adapter()
        html = work(asked, tell, *values)
        # Replaced meanwhile, its influences would be differences between two adapters.
        asked.check_adapter()
        news.put(("result", html))
    except Cancelled:
        news.put(("result", ""))
    except Exception as fault:
        news.put(("fault", fault))
