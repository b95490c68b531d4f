"""Answers, adapters and data to HTML; runs have run_views.py. All text of models and people is escaped in these two.

Loads neither gradio nor torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from textwrap import shorten

from medqa.adapters import Adapter
from medqa.datasets.rows import Loaded
from medqa.estimate import Preview, Rendered
from medqa.question import LETTERS, Answer, Explanation, percent_text
from medqa.scope import explanation_doubt
from medqa.spec import without_folder
from medqa.ui.charts import clock

NOT_ADVICE = "A demonstrator for exam questions. Not medical advice, not for use in patient care."
NOT_SURE = "Not sure"
FOLDED = "What the model writes for the likeliest option"
# Enough to tell one question from another.
STEM_SHOWN = 110
NOT_NAMED = "No option reaches the probability you asked for, so none is named."


def header(badge: str, warnings: Sequence[str] = ()) -> str:
    purpose = "Fine-tune a small language model on medical exam questions, then see it answer and explain."
    title = f'<h1>MedQA</h1><span class="mq-badge" title="What computes">{escape(badge)}</span>'
    return f'<div class="mq-head">{title}<p>{purpose} <strong>{NOT_ADVICE}</strong></p></div>' + "".join(
        map(error, warnings)
    )


def error(sentence: str) -> str:
    return f'<p class="mq-error" role="alert">⚠ {escape(sentence)}</p>' if sentence else ""


def note(sentence: str) -> str:
    return f'<p class="mq-note">{escape(sentence)}</p>'


def caution(sentence: str) -> str:
    return f'<p class="mq-doubt">⚠ {escape(sentence)}</p>'


def about_adapter(adapter: Adapter | None, base: str) -> str:
    """Who answers, what it was trained on and how often it is right."""
    if adapter is None:
        alone = f"{without_folder(base)} alone, without an adapter"
        return f"{alone}. How often it is right is measured once in each run, after its first steps."
    by = f"{without_folder(adapter.base)} with the adapter {adapter.name}"
    said = f"{by}, trained on {without_folder(adapter.dataset)}"
    after = adapter.held_out.get("after")
    if not after:
        return f"{said}. No record of how often it is right."
    before = adapter.held_out.get("before")
    # The best of several counts on the same questions: a little better than on new ones.
    chose = ", by which its best step was chosen" if adapter.card.get("spec", {}).get("evaluations", 1) > 1 else ""
    counted = f"{said}: right on {after['correct']} of {after['total']} held-out questions{chose}"
    return f"{counted} (the base model alone: {before['correct']} of {before['total']})." if before else f"{counted}."


def answer_card(
    answer: Answer,
    who: str,
    explanation: Explanation | None,
    doubts: Sequence[str] = (),
    record: str = "",
    sure: bool = True,
) -> str:
    """`record`: how often the adapter was right when this sure. Not `sure`: the card names no letter."""
    question = answer.question
    rows = "".join(_option_row(answer, i, sure) for i in range(len(question.options)))
    # A screen reader waits for the end instead of reading every piece of a growing explanation.
    growing = explanation is not None and not (explanation.ended or explanation.cut)
    careful = ("" if sure else note(not_named(answer))) + "".join(map(caution, doubts))
    kept = note(record) if record else ""
    by = note(f"Answered by {who} Probabilities are shares among these options. {NOT_ADVICE}")
    heading = _heading(answer) if sure else NOT_SURE
    told = _explanation(explanation, answer)
    # The fields above may have been edited since.
    about = note(f"“{shorten(question.stem, STEM_SHOWN, placeholder=' …')}”")
    if not sure:
        # Folded, as it argues for one option; written all the same, because probes, receipts and disputes hold it.
        told = f'<details class="mq-texts"><summary>{FOLDED}</summary>{told}</details>'
    return (
        f'<section class="mq-card" aria-busy="{str(growing).lower()}">'
        f"{about}<h3>{heading}</h3>{careful}{rows}{kept}{told}{by}</section>"
    )


def not_named(answer: Answer) -> str:
    """With the likeliest one's share, rounded down: 59.7 % asked to be 60 % is shown as 60 % beside the option."""
    return f"{NOT_NAMED} The likeliest has {math.floor(1000 * max(answer.probabilities)) / 10:.1f} %."


def _heading(answer: Answer) -> str:
    key = f' <span class="mq-verdict">{_verdict(answer)}</span>' if answer.correct is not None else ""
    return f"{escape(_choice(answer))}{key}"


def _choice(answer: Answer) -> str:
    return f"{answer.letter}) {answer.question.options[answer.index]}"


def _verdict(answer: Answer) -> str:
    return "✓ agrees with the key" if answer.correct else f"✗ the key is {answer.question.key}"


def _option_row(answer: Answer, i: int, sure: bool) -> str:
    share = answer.probabilities[i]
    mark = " ✓ key" if answer.question.answer == i else ""
    label = f"{LETTERS[i]}) {answer.question.options[i]}"
    text = f'<span class="text">{escape(label)}{mark}</span><span class="share">{percent_text(share)}</span>'
    chosen = "chosen" if sure and i == answer.index else ""
    return f'<div class="mq-option {chosen}">{text}{bar(share)}</div>'


def bar(share: float, style: str = "") -> str:
    return f'<span class="track {style}"><span class="fill" style="width:{100 * share:.1f}%"></span></span>'


def _explanation(explanation: Explanation | None, answer: Answer) -> str:
    if explanation is None:
        return ""
    if not explanation.text and explanation.ended:
        return note("The model wrote no explanation.")
    end = note("The explanation was cut at the length limit.") if explanation.cut else ""
    label = "Explanation, written by the model after the answer above. Fluent text is no evidence: check it."
    doubt = explanation_doubt(answer, explanation.text) if explanation.ended or explanation.cut else ""
    careful = caution(doubt) if doubt else ""
    return f'{note(label)}<div class="mq-explanation">{escape(explanation.text)}</div>{careful}{end}'


def splits_explained(splits: dict[str, str]) -> str:
    return "".join(
        f"<p class='mq-note'><strong>{escape(name)}</strong>: {escape(text)}</p>" for name, text in splits.items()
    )


def preview(made: Preview) -> str:
    examples = "".join(_training_example(example) for example in made.examples)
    return _estimate(made) + examples


def _estimate(made: Preview) -> str:
    e = made.estimate
    several = e.devices > 1
    memory = f"about {e.memory_bytes / 2**30:.1f} GB memory{' on each device' if several else ''}"
    memory += ", the base's weights shared out" if e.shared else ""
    time = (
        f"about {clock(e.seconds)} by the pace of {e.measured_by}"
        if e.seconds
        else f"time not yet measured on {f'{e.devices} devices' if several else 'this device'}"
    )
    said = [f"{e.examples:,} examples, {e.steps:,} steps, about {e.tokens:,} tokens, {memory}; {time}."]
    if made.cut:
        said.append(
            f"{made.cut} of {made.sampled} sampled explanations are longer than the maximum length and lose their end."
        )
    if made.too_long:
        said.append(f"{made.too_long} of {made.sampled} sampled questions are too long and are left out.")
    return note(" ".join(said)) + _left_out(made.loaded)


def _training_example(example: Rendered) -> str:
    learned = example.tokens - example.masked
    return (
        f'<p class="mq-note">{example.tokens} tokens: {example.masked} masked (dimmed), {learned} learned (marked).</p>'
        f'<div class="mq-example"><span class="masked">{escape(example.prompt)}</span>'
        f'<span class="learned">{escape(example.learned)}</span></div>'
    )


def upload_summary(name: str, train: Loaded, held_out: Loaded) -> str:
    """How many questions a file gives, and which of its rows give none."""
    both = Loaded((), (*train.skipped, *held_out.skipped))
    none = "" if both.skipped else ", none left out"
    counts = f"{len(train.questions):,} questions to train on, {len(held_out.questions):,} held out"
    return note(f"{name}: {counts}{none}.") + _left_out(both)


def _left_out(loaded: Loaded) -> str:
    """The rows that can't be used, each with its reason (the first hundred); "" when there are none."""
    if not loaded.skipped:
        return ""
    rows = "".join(f"<li>{escape(f'{row.source}: {row.reason}: {row.stem}')}</li>" for row in loaded.skipped[:100])
    more = len(loaded.skipped) - 100
    count = len(loaded.skipped)
    left = f"{count} row{' is' if count == 1 else 's are'} left out{reasons(loaded.skipped_by_reason)}"
    rest = f"<p>and {more} more</p>" if more > 0 else ""
    return f"<details><summary>{escape(left)}</summary><ul>{rows}</ul>{rest}</details>"


def reasons(counts: dict[str, int]) -> str:
    return f" ({', '.join(f'{n} {reason}' for reason, n in counts.items())})" if counts else ""
