"""What every probe's panel shares: it opens in place, runs once opened, says how far it is, and can be cancelled."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue

import gradio as gr
from gradio.blocks import Block

from medqa.adapters import AdapterError
from medqa.hub import HubError
from medqa.probes import Cancelled, Tell
from medqa.question import QuestionError
from medqa.ui import views
from medqa.ui.answering import Asked

# Work shorter than this shows no progress: a line that flashes by is a flicker.
SILENT_SECONDS = 0.5
Work = Callable[..., str]
# What to put back when another question is answered: component to value or update.
Reset = dict[Block, object]


def probe_panel(
    title: str, asked: gr.State, work: Work, elem_id: str, controls: Callable[[], Sequence[Block]] = list
) -> Reset:
    """`work(asked, tell, *values of the controls)` returns the HTML to show.

    It runs in a thread of its own when the panel opens and when a control is changed. `controls` builds them in place.
    """
    with gr.Accordion(title, open=False, elem_id=elem_id) as accordion:
        inputs = controls()
        found = gr.HTML(elem_classes="mq-message", padding=False)
        cancel = gr.Button("Cancel", size="sm", visible=False)
    opened = run_on([accordion.expand, *(control.input for control in inputs)], asked, work, found, cancel, inputs)
    accordion.collapse(None, cancels=opened, api_visibility="private")
    return {accordion: gr.update(open=False), found: "", cancel: gr.update(visible=False)}


def run_on(
    events: Sequence[Callable], asked: gr.State, work: Work, found: gr.HTML, cancel: gr.Button, inputs: Sequence[Block]
) -> list:
    """Wire `work` to events such as a button's click; returns the dependencies, so that others may cancel them."""

    def begin(question_asked: Asked | None, *values: object) -> Iterator[tuple]:
        if question_asked is None:
            yield views.note("Ask a question first."), gr.skip()
            return
        yield from ((html, gr.update(visible=busy)) for html, busy in stages(work, question_asked, *values))

    wired = [
        event(
            begin, [asked, *inputs], [found, cancel], show_progress="hidden", concurrency_limit=4,
            concurrency_id="probe", trigger_mode="always_last", api_visibility="private",
        )
        for event in events
    ]  # fmt: skip
    cancel.click(
        lambda: (views.note("Cancelled."), gr.update(visible=False)), None, [found, cancel],
        cancels=wired, queue=False, api_visibility="private",
    )  # fmt: skip
    return wired


def stages(work: Work, asked: Asked, *values: object) -> Iterator[tuple[str, bool]]:
    """(HTML, whether it still works). Closing this generator ends the work at its next report of progress."""
    news: SimpleQueue[tuple[str, object]] = SimpleQueue()
    gone = threading.Event()

    def tell(done: int, of: int) -> None:
        if gone.is_set():
            raise Cancelled
        news.put(("progress", f"{done} of {of} scored …"))

    thread = threading.Thread(target=_report, args=(work, asked, tell, values, news), daemon=True, name="probe")
    thread.start()
    try:
        yield from _heard(news)
    finally:
        gone.set()


def _heard(news: SimpleQueue) -> Iterator[tuple[str, bool]]:
    try:
        kind, content = _first_result(news, SILENT_SECONDS)
    except Empty:
        yield views.note("Scoring …"), True
        kind, content = news.get()
    while kind == "progress":
        yield views.note(content), True
        kind, content = news.get()
    if kind == "fault":
        raise content
    yield content, False


def _first_result(news: SimpleQueue, seconds: float) -> tuple[str, object]:
    """Skips progress for a while. Raises Empty when nothing has ended by then."""
    until = time.monotonic() + seconds
    while True:
        kind, content = news.get(timeout=max(until - time.monotonic(), 0.001))
        if kind != "progress":
            return kind, content


def _report(work: Work, asked: Asked, tell: Tell, values: Sequence[object], news: SimpleQueue) -> None:
    from medqa.model import ModelError

    try:
        news.put(("result", work(asked, tell, *values)))
    except Cancelled:
        news.put(("result", ""))
    except (QuestionError, AdapterError, ModelError, HubError) as error:
        news.put(("result", views.error(str(error))))
    except Exception as error:  # anything else belongs to the page's own log, not to this thread
        news.put(("fault", error))
