"""The Answer tab: choose an adapter, give a question, see the answer, the probabilities and the explanation."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace

import gradio as gr

from medqa import adapters, scope, trust
from medqa.adapters import Adapter, AdapterError
from medqa.datasets import handbook
from medqa.errors import UserError
from medqa.question import LETTERS, MAX_OPTIONS, MIN_OPTIONS, Explanation, Question
from medqa.receipt import weights_sha256
from medqa.runs import Run
from medqa.said import said_of
from medqa.settings import Settings
from medqa.spec import without_folder
from medqa.ui import views
from medqa.ui.answering import Asked, Engines
from medqa.ui.panels.row import probe_row
from medqa.ui.presses import Presses
from medqa.ui.question_fields import (
    NOT_KNOWN,
    asked_question,
    check_paste,
    fill,
    given_for,
    options_shown,
    read_paste,
    still_given,
)
from medqa.ui.telling import told_error

BASE_ALONE = ""
SHOWN_AT_FIRST = 4
# Text is sent to the page this often: each piece on its own would flood a slow connection.
SECONDS_BETWEEN_UPDATES = 0.1
EXAMPLES = (("test", 0), ("test", 1), ("read", 0), ("unknown", 0))
EXAMPLE_WORDS = {"test": "trained on, in other words", "read": "only read about", "unknown": "never read, never asked"}
# Of a drop-down: label and value.
Choices = Sequence[tuple[str, str]]


def answer_tab(settings: Settings, engines: Engines) -> tuple[gr.Dropdown, gr.HTML, gr.State]:
    """Builds the tab's content. Returns what other tabs refresh: the adapter choice, the hint under it, and the
    adapters of the Hub that this visitor has added to the choice."""
    found = adapters.found(settings.runs)
    adapter = gr.Dropdown(
        adapter_choices(settings, found), value=BASE_ALONE, label="Answer with", elem_id="adapter",
        info="The base model alone, or an adapter of a finished run: base, data set, held-out accuracy before → after.",
    )  # fmt: skip
    hint = gr.HTML(adapter_hint(found), elem_id="adapter-hint", elem_classes="mq-message", padding=False)
    added = gr.State([])
    if not settings.public:
        with gr.Accordion("An adapter from the Hub", open=False):
            with gr.Row(equal_height=True):
                hub_id = gr.Textbox(label="Hub id of a PEFT LoRA adapter", placeholder="owner/name", scale=3)
                add = gr.Button("Add", scale=1)
            hub_error = gr.HTML(elem_classes="mq-message", padding=False)
        add.click(
            lambda name, already: add_from_hub(name, settings, already), [hub_id, added], [adapter, hub_error, added],
            api_visibility="private",
        )  # fmt: skip

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
        key = gr.Dropdown(
            [NOT_KNOWN, *LETTERS[:SHOWN_AT_FIRST]], value=NOT_KNOWN, label="Key", min_width=120, elem_id="key"
        )
        # Any text will do: of a subject that the adapter has no record of, all subjects are counted.
        subject = gr.Dropdown(
            [NOT_KNOWN], value=NOT_KNOWN, label="Subject", allow_custom_value=True, min_width=160, elem_id="subject"
        )
    left_out = gr.HTML(elem_id="left-out", elem_classes="mq-message", padding=False)
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

    fields = [stem, *options, key, count, subject]
    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    given, read, texts = gr.State({}), gr.State(""), [stem, *options]
    noted = {"fn": given_for, "inputs": texts, "outputs": given, **quiet}
    # Not `input`: Gradio fires that for keys only, not for a paste.
    pasted.change(
        lambda text: (*read_paste(text), text), pasted, [read_as, *fields, read], trigger_mode="always_last", **quiet
    ).then(**noted)
    for button, (_, example) in zip(buttons, examples, strict=True):
        # What was pasted before, and what was wrong with it, is not about this question.
        button.click(lambda example=example: ["", *fill(example)], None, [pasted, *fields], **quiet).then(**noted)
    for name, field in (("key", key), ("subject", subject)):
        field.input(
            lambda before, *texts, name=name: before | {name: given_for(*texts)[name]},
            [given, *texts], given, **quiet,
        )  # fmt: skip
    shape = [*options, key, count]
    more.click(lambda n, letter: options_shown(min(n + 1, MAX_OPTIONS), letter), [count, key], shape, **quiet)
    fewer.click(lambda n, letter: options_shown(max(n - 1, MIN_OPTIONS), letter), [count, key], shape, **quiet)

    count.change(
        lambda n: (gr.update(interactive=n < MAX_OPTIONS), gr.update(interactive=n > MIN_OPTIONS)),
        count, [more, fewer], **quiet,
    )  # fmt: skip

    adapter.change(lambda name: subjects_of(name, settings), adapter, subject, **quiet)

    def answer(presses: Presses, adapter_name: str, percent: float, shown: int, *values: str):
        paste, read_text, letter, about, stem_text, *option_texts = values
        fields = stem_text, option_texts[:shown], letter, about
        yield from presses.until_another(
            answered(settings, engines, adapter_name, fields, percent / 100, (paste, read_text))
        )

    def cleared(presses: Presses, *values: object) -> list:
        presses.another()
        return [*still_given(*values), *reset.values()]

    # Pressed while an answer is on its way, it may be to another question by now: then that one ends, and this is next.
    presses = gr.State(Presses())
    ask.click(
        cleared, [presses, given, key, subject, *texts], [key, subject, left_out, given, *reset], queue=False, **quiet
    ).then(
        answer, [presses, adapter, not_sure_below, count, pasted, read, key, subject, *texts], [problem, card, asked],
        trigger_mode="always_last", show_progress="minimal", show_progress_on=[card], concurrency_limit=8,
        api_visibility="private",
    ).then(lambda shown: gr.update(visible=shown is not None), asked, probes, **quiet)  # fmt: skip
    return adapter, hint, added


def adapter_choices(settings: Settings, found: Sequence[Adapter], added: Choices = ()) -> list[tuple[str, str]]:
    """The base alone first, then finished runs, newest first, then those added from the Hub."""
    finished = [(adapter.label, adapter.name) for adapter in found]
    return [(f"{without_folder(settings.base_model)} alone (no adapter)", BASE_ALONE), *finished, *added]


def first_choice(settings: Settings, found: Sequence[Adapter]) -> str:
    """Whose answers somebody sees who has chosen nothing: the newest adapter's of the base that is loaded anyway, if
    there is one of a run that went to its end; but of no other visitor's. Else the base alone."""
    ready = (adapter for adapter in found if adapter.base == settings.base_model)
    ours = [adapter for adapter in ready if not Run(adapter.folder.parent).visitor_file.exists()]
    ended = [adapter for adapter in ours if adapter.card.get("steps") == adapter.card.get("total_steps")]
    return next((adapter.name for adapter in (*ended, *ours)), BASE_ALONE)


def adapter_hint(found: Sequence[Adapter]) -> str:
    """What a first visitor must know before being disappointed."""
    if found:
        return ""
    return views.note("No adapter yet: the base model has read, but never sat an exam. Make one on the Fine-tune tab.")


def add_from_hub(name: str, settings: Settings, already: Choices) -> tuple:
    try:
        new = adapters.from_hub(name.strip())
    except AdapterError as error:
        return gr.skip(), views.error(str(error)), gr.skip()
    added = list(dict.fromkeys([*map(tuple, already), (new.label, new.name)]))
    choice = gr.update(choices=adapter_choices(settings, adapters.found(settings.runs), added), value=new.name)
    return choice, views.note(f"{new.name} is ready; its base is {new.base}."), added


def subjects_of(adapter_name: str, settings: Settings) -> dict:
    """The choice of subjects: those of the questions that the adapter was measured on."""
    try:
        card = adapters.named(adapter_name, settings.runs).card if adapter_name else {}
    except AdapterError:  # said when it is to answer
        card = {}
    return gr.update(choices=[NOT_KNOWN, *trust.subjects(card)])


def answered(
    settings: Settings,
    engines: Engines,
    adapter_name: str,
    fields: tuple[str, Sequence[str], str, str | None],
    not_sure_below: float = 0.0,
    pasted: Sequence[str] = ("", ""),
) -> Generator[tuple[str, str, Asked | None]]:
    """(problem, card, asked) as they grow: first the options' probabilities, then the explanation piece by piece.

    `fields`: what `asked_question` takes; `pasted`: what `check_paste` takes. `asked` is None until the card is
    complete: probes ask on about what stands there.
    """
    try:
        check_paste(*pasted)
        question = asked_question(*fields)
        adapter = adapters.named(adapter_name, settings.runs) if adapter_name else None
        base = adapter.base if adapter else settings.base_model
        # The last question's answer must not stand under this one while a slow model reads.
        yield "", views.note(_wait(engines, base)), None
        yield from answer_pieces(engines, base, adapter, question, not_sure_below)
    except UserError as error:
        yield told_error(error, settings), "", None


def _wait(engines: Engines, base: str) -> str:
    return "Reading the question …" if engines.is_ready(base) else f"Loading {without_folder(base)} …"


def answer_pieces(
    engines: Engines, base: str, adapter: Adapter | None, question: Question, not_sure_below: float
) -> Iterator[tuple[str, str, Asked | None]]:
    engine = engines.of(base)
    folder = adapter.folder if adapter else None
    # Before the scores: of weights replaced meanwhile a receipt then says that they are others.
    weights = weights_sha256(folder) if folder else None
    answer = engine.score(question, folder, adapter.name if adapter else None)
    who = views.about_adapter(adapter, base)
    said = said_of(answer, adapter, not_sure_below)
    sure = trust.is_sure(answer, not_sure_below)

    def card(explanation: Explanation, asked: Asked | None = None) -> tuple[str, str, Asked | None]:
        return "", views.answer_card(answer, who, explanation, said.doubts, said.record, sure), asked

    yield card(Explanation(""))
    explanation, sent = Explanation(""), time.monotonic()
    for explanation in engine.explain(answer, folder):
        if time.monotonic() - sent > SECONDS_BETWEEN_UPDATES:
            sent = time.monotonic()
            yield card(explanation)
    said = replace(said, explanation_doubt=scope.explanation_doubt(answer, explanation.text))
    yield card(explanation, Asked(answer, adapter, explanation, weights, said))


def _example(split: str, which: int) -> Question:
    """Spread over the split, so that two examples come from different subjects."""
    questions = handbook.questions(split)
    return questions[(which * 2 + 1) * len(questions) // 4]
