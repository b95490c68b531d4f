"""The whole page: header, tabs, and how it is launched."""

from __future__ import annotations

import math
import os
from pathlib import Path
from tempfile import gettempdir

import gradio as gr
from starlette.middleware import Middleware

from medqa import adapters, launch, uploads
from medqa.settings import ASSETS, Settings, is_loopback
from medqa.ui import downloads, views
from medqa.ui.about_tab import about_tab
from medqa.ui.answer_tab import Choices, adapter_choices, adapter_hint, answer_tab, first_choice
from medqa.ui.answering import Engines
from medqa.ui.fine_tune_tab import fine_tune_tab, on_page_load
from medqa.ui.own_machine import OwnMachineOnly
from medqa.ui.past_runs import past_runs
from medqa.ui.request_limits import RequestLimits
from medqa.ui.telling import told_text

CSS = ASSETS / "style.css"
BADGE_SECONDS = 1.0
# How often, and from which age on, Gradio's own copies of what was uploaded and saved are deleted: in seconds.
DELETE_CACHE = (600, downloads.KEPT_SECONDS)
# Of so many pages Gradio keeps what they show, some 300 kB each: those used last. The others have to ask again.
SESSIONS = 300
# So many events wait for their turn; the next ones are told that it is busy.
WAITING = 300

# For screen readers. The answer is read out once it is whole: by an element that stays, as Gradio replaces what is in
# the card. And Gradio's accordions do not say whether they are open.
READ_OUT = """() => {
    const card = document.getElementById("card"), whole = document.createElement("div");
    whole.setAttribute("role", "status");
    whole.style.cssText = "position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%)";
    document.body.append(whole);
    new MutationObserver(() => {
        const text = card.querySelector("section[aria-busy=false]")?.innerText ?? "";
        if (whole.textContent !== text) whole.textContent = text;
    }).observe(card, {childList: true, subtree: true});
    const opened = () => document.querySelectorAll("button.label-wrap").forEach((button) =>
        button.setAttribute("aria-expanded", String(button.classList.contains("open"))));
    new MutationObserver(opened).observe(document.body, {
        childList: true, subtree: true, attributes: true, attributeFilter: ["class"]
    });
    opened();
}"""


def build(settings: Settings, engines: Engines) -> gr.Blocks:
    with gr.Blocks(title="MedQA", analytics_enabled=False, delete_cache=DELETE_CACHE) as page:
        head = gr.HTML(views.header("starting …"), elem_id="head")
        badge_timer = gr.Timer(BADGE_SECONDS)
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Answer", id="answer") as answer:
                adapter, hint, added = answer_tab(settings, engines)
            with gr.Tab("Fine-tune", id="fine-tune"):
                shown, use = fine_tune_tab(settings)
                past_runs(settings)
            with gr.Tab("About", id="about"):
                about_tab()

        quiet = {"show_progress": "hidden", "api_visibility": "private"}
        page.load(lambda: on_page_load(settings), None, shown, **quiet)
        page.load(None, None, None, js=READ_OUT)
        page.load(lambda: arrived(settings), None, [adapter, hint], **quiet)
        answer.select(lambda already: refreshed(settings, already), added, [adapter, hint], **quiet)
        use.click(
            lambda name, already: use_adapter(name, settings, already), [shown, added], [adapter, tabs], **quiet,
        )  # fmt: skip
        # The device is known once torch is loaded; until then the badge says so rather than guess.
        badge_timer.tick(lambda: badge(settings, engines), None, [head, badge_timer], queue=False, **quiet)
    return page


def arrived(settings: Settings) -> tuple:
    found = adapters.found(settings.runs)
    return gr.update(choices=adapter_choices(settings, found), value=first_choice(settings, found)), adapter_hint(found)


def refreshed(settings: Settings, added: Choices) -> tuple:
    found = adapters.found(settings.runs)
    return gr.update(choices=adapter_choices(settings, found, added)), adapter_hint(found)


def use_adapter(name: str, settings: Settings, added: Choices) -> tuple:
    choices = adapter_choices(settings, adapters.found(settings.runs), added)
    return gr.update(choices=choices, value=name), gr.update(selected="answer")


def badge(settings: Settings, engines: Engines) -> tuple:
    if engines.failure:
        return views.header("no model", [told_text(engines.failure, settings)]), gr.Timer(active=False)
    if not engines.is_ready(settings.base_model):
        return gr.skip(), gr.skip()
    return views.header(*engines.hardware()), gr.Timer(active=False)


def theme() -> gr.themes.Base:
    """Gradio's own, with system fonts (nothing is fetched) and its faint greys and bright button made readable."""
    return gr.themes.Default(
        primary_hue="cyan", neutral_hue="slate",
        font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"],
    ).set(
        body_text_color_subdued="*neutral_600", body_text_color_subdued_dark="*neutral_300",
        block_info_text_color="*neutral_600", block_info_text_color_dark="*neutral_300",
        block_label_text_color="*neutral_700", block_title_text_color="*neutral_700",
        button_primary_background_fill="*primary_700", button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700", button_primary_background_fill_hover_dark="*primary_800",
        link_text_color="*primary_700", input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
    )  # fmt: skip


def guards(settings: Settings, sent: Path) -> list[Middleware]:
    alone = not settings.public and not settings.proxy and is_loopback(settings.host)
    return [*([Middleware(OwnMachineOnly)] if alone else []), limits(settings, sent)]


def limits(settings: Settings, sent: Path) -> Middleware:
    largest = settings.max_upload_megabytes * 2**20
    room = uploads.LARGEST_FILES * largest if settings.public else math.inf
    return Middleware(RequestLimits, largest, sent, kept_seconds=DELETE_CACHE[1], room=room)


def sent_files(settings: Settings) -> Path:
    """Where Gradio keeps its copies. Not its usual folder, which all pages of a machine share.

    Nor one among the runs: the answer to an upload names it.
    """
    return Path(os.environ.get("GRADIO_TEMP_DIR") or gettempdir()) / f"medqa-{settings.port}"


def serve(settings: Settings, prevent_thread_lock: bool = False) -> gr.Blocks:
    sent = sent_files(settings)
    os.environ["GRADIO_TEMP_DIR"] = str(sent)
    engines = Engines(settings)
    page = build(settings, engines)
    page.queue(api_open=False, default_concurrency_limit=16, max_size=WAITING)
    page.launch(
        server_name=settings.host,
        server_port=settings.port,
        share=settings.share,
        theme=theme(),
        css_paths=[Path(CSS)],
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        state_session_capacity=SESSIONS,
        app_kwargs={"middleware": guards(settings, sent)},
        max_file_size=f"{settings.max_upload_megabytes}mb",
        ssr_mode=False,
        quiet=True,
        prevent_thread_lock=True,
    )
    print(f"MedQA is at {page.local_url}", flush=True)
    # The trainer's libraries only then: both at once would keep the first visitor waiting.
    engines.load_ahead(then=launch.keep_ready if settings.standby else lambda: None)
    if not prevent_thread_lock:
        page.block_thread()
    return page
