"""The Answer tab: choose an adapter, give a question, see the answer, the probabilities and the explanation."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

import gradio as gr

from medqa import adapters, hub, scope, trust
from medqa.adapters import Adapter, AdapterError
from medqa.base_model import ModelError
from medqa.datasets import handbook
from medqa.paste import read_pasted
from medqa.question import LETTERS, MAX_OPTIONS, MIN_OPTIONS, Explanation, Question, QuestionError
from medqa.settings import Settings
from medqa.ui import views
from medqa.ui.answering import Asked, Engines
from medqa.ui.panels.row import probe_row

BASE_ALONE = ""
SHOWN_AT_FIRST = 4
# Text is sent to the page this often: each piece on its own would flood a slow connection.
SECONDS_BETWEEN_UPDATES = 0.1
EXAMPLES = (("test", 0), ("test", 1), ("read", 0), ("unknown", 0))
EXAMPLE_WORDS = {"test": "trained on, in other words", "read": "only read about", "unknown": "never read, never asked"}
NO_KEY = "not known"


def answer_tab(settings: Settings, engines: Engines) -> tuple[gr.Dropdown, gr.HTML]:
    """Builds the tab's content. Returns the adapter choice and the hint under it, which other tabs refresh."""
    adapter = gr.Dropdown(
        adapter_choices(settings), value=BASE_ALONE, label="Answer with", elem_id="adapter",
        info="The base model alone, or an adapter of a finished run: base, data set, held-out accuracy before → after.",
    )  # fmt: skip
    hint = gr.HTML(adapter_hint(settings), elem_id="adapter-hint", elem_classes="mq-message", padding=False)
    if not settings.public:
        with gr.Accordion("An adapter from the Hub", open=False):
            with gr.Row(equal_height=True):
                hub_id = gr.Textbox(label="Hub id of a PEFT LoRA adapter", placeholder="owner/name", scale=3)
                add = gr.Button("Add", scale=1)
            hub_error = gr.HTML(elem_classes="mq-message", padding=False)
        add.click(lambda name: add_from_hub(name, settings), hub_id, [adapter, hub_error], api_visibility="private")

    pasted = gr.Textbox(
        label="Paste a whole question with its options", lines=4, max_lines=12, elem_id="pasted",
        placeholder="A 60-year-old man …\nA) …\nB) …\nC) …\nD) …\nAnswer: B   (optional, kept aside)",
    )  # fmt: skip
    read_as = gr.HTML(elem_id="read-as", elem_classes="mq-message", padding=False)
    examples = [(split, _example(split, i)) for split, i in EXAMPLES]
    gr.HTML(views.note("Or try one from the handbook:"), padding=False)
    with gr.Row(elem_id="examples", equal_height=True):
        buttons = [
            gr.Button(f"{question.subject}: {EXAMPLE_WORDS[split]}", size="sm", min_width=200)
            for split, question in examples
        ]
    stem = gr.Textbox(label="Question", lines=3, max_lines=12, elem_id="stem")
    options = []
    with gr.Row():
        for i in range(MAX_OPTIONS):
            options.append(
                gr.Textbox(
                    label=f"Option {LETTERS[i]}",
                    visible=i < SHOWN_AT_FIRST,
                    min_width=240,
                    elem_id=f"option-{LETTERS[i]}",
                )
            )
    with gr.Row():
        with gr.Column(min_width=240):
            more = gr.Button("Add an option", size="sm")
            fewer = gr.Button("Remove the last option", size="sm")
        key = gr.Dropdown([NO_KEY, *LETTERS[:SHOWN_AT_FIRST]], value=NO_KEY, label="Key", min_width=120, elem_id="key")
    count = gr.State(SHOWN_AT_FIRST)
    not_sure_below = gr.Slider(
        0, 99, value=0, step=1, label="Say “not sure” below (%)", elem_id="not-sure-below",
        info="When no option has so much of the probability, the card names none. 0: it always names one.",
    )  # fmt: skip
    ask = gr.Button("Answer", variant="primary", elem_id="answer")
    problem = gr.HTML(elem_id="problem", elem_classes="mq-message", padding=False)
    card = gr.HTML(elem_id="card", elem_classes="mq-message", padding=False)
    asked = gr.State(None)
    probes, reset = probe_row(asked, engines)

    fields = [stem, *options, key, count]
    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    # Not `input`: Gradio fires that for keys only, not for a paste.
    pasted.change(read_paste, pasted, [read_as, *fields], trigger_mode="always_last", **quiet)
    for button, (_, example) in zip(buttons, examples, strict=True):
        button.click(partial(fill, example), None, fields, **quiet)
    more.click(lambda n: options_shown(min(n + 1, MAX_OPTIONS)), count, [*options, key, count], **quiet)
    fewer.click(lambda n: options_shown(max(n - 1, MIN_OPTIONS)), count, [*options, key, count], **quiet)

    def answer(adapter_name: str, percent: float, shown: int, key_letter: str, stem_text: str, *texts: str):
        yield from answered(settings, engines, adapter_name, stem_text, texts[:shown], key_letter, percent / 100)

    ask.click(lambda: list(reset.values()), None, list(reset), queue=False, **quiet).then(
        answer, [adapter, not_sure_below, count, key, stem, *options], [problem, card, asked],
        show_progress="minimal", show_progress_on=[card], concurrency_limit=8, api_visibility="private",
    ).then(lambda shown: gr.update(visible=shown is not None), asked, probes, **quiet)  # fmt: skip
    return adapter, hint


def adapter_choices(settings: Settings) -> list[tuple[str, str]]:
    """(label, value) pairs: the base alone first, then finished runs, newest first."""
    finished = [(adapter.label, adapter.name) for adapter in adapters.found(settings.runs)]
    return [(f"{settings.base_model} alone (no adapter)", BASE_ALONE), *finished]


def adapter_hint(settings: Settings) -> str:
    """What a first visitor must know before being disappointed."""
    if adapters.found(settings.runs):
        return ""
    return views.note("No adapter yet: the base model has read, but never sat an exam. Make one on the Fine-tune tab.")


def add_from_hub(name: str, settings: Settings) -> tuple:
    try:
        added = adapters.from_hub(name.strip())
    except AdapterError as error:
        return gr.skip(), views.error(str(error))
    choices = [*adapter_choices(settings), (added.label, added.name)]
    return gr.update(choices=choices, value=added.name), views.note(f"{added.name} is ready; its base is {added.base}.")


def read_paste(text: str) -> tuple:
    """What the box says, as fields to check; the fields stay as they are while it can't be read."""
    if not text.strip():
        return ("", *[gr.skip()] * (MAX_OPTIONS + 3))
    try:
        question = read_pasted(text)
    except QuestionError as error:
        return (views.error(str(error)), *[gr.skip()] * (MAX_OPTIONS + 3))
    kept = f", key {question.key} kept aside" if question.key else ""
    said = f"Read as a question with {len(question.options)} options{kept}. Check it below, then press Answer."
    return views.note(said), *fill(question)


def fill(question: Question) -> list:
    """Updates for the fields: stem, options, key, number of options."""
    shown = len(question.options)
    texts = [*question.options, *[""] * (MAX_OPTIONS - shown)]
    options = [gr.update(value=text, visible=i < shown) for i, text in enumerate(texts)]
    return [question.stem, *options, gr.update(choices=[NO_KEY, *LETTERS[:shown]], value=question.key or NO_KEY), shown]


def options_shown(shown: int) -> list:
    """A hidden option is emptied, so that what is asked is what is seen."""
    options = [gr.update(visible=True) if i < shown else gr.update(visible=False, value="") for i in range(MAX_OPTIONS)]
    return [*options, gr.update(choices=[NO_KEY, *LETTERS[:shown]], value=NO_KEY), shown]


def answered(
    settings: Settings,
    engines: Engines,
    adapter_name: str,
    stem: str,
    options: tuple[str, ...],
    key: str,
    not_sure_below: float = 0.0,
) -> Iterator[tuple[str, str, Asked | None]]:
    """(problem, card, asked) as they grow: first the options' probabilities, then the explanation piece by piece.

    `asked` is None until the card is complete: probes ask on about what stands there.
    """
    try:
        question = Question(
            stem.strip(), tuple(o.strip() for o in options), None if key == NO_KEY else LETTERS.index(key)
        )
        adapter = adapters.named(adapter_name, settings.runs) if adapter_name else None
        base = adapter.base if adapter else settings.base_model
        # The last question's answer must not stand under this one while a slow model reads.
        yield "", views.note("Reading the question …" if engines.is_ready(base) else f"Loading {base} …"), None
        yield from answer_pieces(engines, base, adapter, question, not_sure_below)
    except (QuestionError, AdapterError, ModelError, hub.HubError) as error:
        yield views.error(str(error)), "", None


def answer_pieces(
    engines: Engines, base: str, adapter: Adapter | None, question: Question, not_sure_below: float
) -> Iterator[tuple[str, str, Asked | None]]:
    engine = engines.of(base)
    folder = adapter.folder if adapter else None
    answer = engine.score(question, folder, adapter.name if adapter else None)
    who = views.about_adapter(adapter, base)
    doubts = scope.doubts(answer, adapter.dataset if adapter else None)
    record = trust.track_record(answer, adapter.card) if adapter else ""
    sure = trust.is_sure(answer, not_sure_below)

    def card(explanation: Explanation, asked: Asked | None = None) -> tuple[str, str, Asked | None]:
        return "", views.answer_card(answer, who, explanation, doubts, record, sure), asked

    yield card(Explanation(""))
    explanation, sent = Explanation(""), time.monotonic()
    for explanation in engine.explain(answer, folder):
        if time.monotonic() - sent > SECONDS_BETWEEN_UPDATES:
            sent = time.monotonic()
            yield card(explanation)
    yield card(explanation, Asked(answer, adapter, explanation))


def _example(split: str, which: int) -> Question:
    """Spread over the split, so that two examples come from different subjects."""
    questions = handbook.questions(split)
    return questions[(which * 2 + 1) * len(questions) // 4]
