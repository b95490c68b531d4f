"""Values to HTML. All text of models and people is escaped here; loads neither gradio nor torch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape

from medqa.adapters import Adapter, percent
from medqa.estimate import Estimate
from medqa.evaluate import Accuracy
from medqa.question import LETTERS, Answer, Explanation
from medqa.runs import Progress, Run
from medqa.ui.charts import clock

NOT_ADVICE = "A demonstrator for exam questions. Not medical advice, not for use in patient care."
STATUS_WORDS = {
    "running": "running",
    "done": "finished",
    "stopped": "stopped",
    "failed": "failed",
    "interrupted": "interrupted",
}


def header(badge: str) -> str:
    return (
        f'<div class="mq-head"><h1>MedQA</h1><span class="mq-badge" title="What computes">{escape(badge)}</span>'
        f"<p>Fine-tune a small language model on medical exam questions, then see it answer and explain. {NOT_ADVICE}</p></div>"
    )


def error(sentence: str) -> str:
    return f'<p class="mq-error" role="alert">⚠ {escape(sentence)}</p>' if sentence else ""


def note(sentence: str) -> str:
    return f'<p class="mq-note">{escape(sentence)}</p>'


def about_adapter(adapter: Adapter | None, base: str) -> str:
    """Who answers, what it was trained on and how often it is right."""
    if adapter is None:
        return f"{base} alone, without an adapter. How often it is right is measured at the start of each run."
    said = f"{adapter.base} with the adapter {adapter.name}, trained on {adapter.dataset}"
    after = adapter.held_out.get("after")
    if not after:
        return f"{said}. No record of how often it is right."
    before = adapter.held_out.get("before")
    counted = f"{said}: right on {after['correct']} of {after['total']} held-out questions"
    return f"{counted} (the base model alone: {before['correct']} of {before['total']})." if before else f"{counted}."


def answer_card(answer: Answer, who: str, explanation: Explanation | None, base: Answer | None = None) -> str:
    question = answer.question
    rows = "".join(_option_row(answer, base, i) for i in range(len(question.options)))
    key = f' <span class="mq-verdict">{_verdict(answer)}</span>' if answer.correct is not None else ""
    return (
        f'<section class="mq-card" aria-live="polite"><h3>{escape(_choice(answer))}{key}</h3>{rows}'
        f"{_explanation(explanation)}{_compared(answer, base)}"
        f'<p class="mq-note">Answered by {escape(who)} Probabilities are shares among these options. {NOT_ADVICE}</p></section>'
    )


def _choice(answer: Answer) -> str:
    return f"{answer.letter}) {answer.question.options[answer.index]}"


def _verdict(answer: Answer) -> str:
    return "✓ agrees with the key" if answer.correct else f"✗ the key is {answer.question.key}"


def _option_row(answer: Answer, base: Answer | None, i: int) -> str:
    share = answer.probabilities[i]
    mark = " ✓ key" if answer.question.answer == i else ""
    label = f"{LETTERS[i]}) {answer.question.options[i]}"
    under = ""
    if base:
        under = (
            f'<span class="track base"><span class="fill" style="width:{100 * base.probabilities[i]:.1f}%"></span></span>'
            f'<span class="base-share">base alone {percent_text(base.probabilities[i])}</span>'
        )
    return (
        f'<div class="mq-option{" chosen" if i == answer.index else ""}"><span class="text">{escape(label)}{mark}</span>'
        f'<span class="share">{percent_text(share)}</span>'
        f'<span class="track"><span class="fill" style="width:{100 * share:.1f}%"></span></span>{under}</div>'
    )


def percent_text(share: float) -> str:
    """Never 0 % or 100 %: a softmax gives neither."""
    if share >= 0.995:
        return "> 99 %"
    return "< 1 %" if share < 0.01 else f"{100 * share:.0f} %"


def _explanation(explanation: Explanation | None) -> str:
    if explanation is None:
        return ""
    if not explanation.text and explanation.ended:
        return note("The model wrote no explanation.")
    end = note("The explanation was cut at the length limit.") if explanation.cut else ""
    label = "Explanation, written by the model after the answer above. Fluent text is no evidence: check it."
    return f'{note(label)}<div class="mq-explanation">{escape(explanation.text)}</div>{end}'


def _compared(answer: Answer, base: Answer | None) -> str:
    if base is None:
        return ""
    if base.index == answer.index:
        return note("The base model alone chooses the same option.")
    return note(f"The base model alone would choose {_choice(base)}.")


def run_panel(run: Run, seen: Progress) -> str:
    """Status in words, progress bar and the figures of the last step."""
    total, step = seen.total_steps, seen.step
    share = 100 * step / total if total else 0
    parts = [f"<strong>{escape(run.name)}</strong> · {STATUS_WORDS[seen.status]}"]
    if seen.status == "running" and not seen.steps:
        parts.append("measuring the base model" if seen.prepared else "loading the model and the data")
    if total:
        parts.append(f"step {step:,} of {total:,}")
    if seen.seconds_left is not None:
        parts.append(f"{clock(seen.seconds_left)} left")
    facts = [f"<span>{part}</span>" for part in parts]
    if seen.steps:
        last = seen.steps[-1]
        facts += [
            f"<span>loss {last['loss']:.3f}</span>",
            f"<span>{last['tokens_per_second']:,} tokens/s</span>",
            f"<span>{last['memory'] / 2**30:.1f} GB memory</span>",
            f"<span>{clock(last['seconds'])} trained</span>",
        ]
    bar = (
        f'<div class="mq-progress" role="progressbar" aria-valuenow="{share:.0f}" aria-valuemin="0" aria-valuemax="100" '
        f'aria-label="Training progress"><span style="width:{share:.1f}%"></span></div>'
    )
    return f'<div class="mq-facts">{"".join(facts)}</div>{bar}{_outcome(seen)}'


def _outcome(seen: Progress) -> str:
    if seen.status == "failed":
        return error(seen.reason)
    if seen.status == "interrupted":
        way_on = "Resume goes on from its last checkpoint." if seen.resumable else "It left no checkpoint: start it again."
        return error(f"The training process ended without a word (killed, or the machine went down). {way_on}")
    if seen.status not in ("done", "stopped"):
        return ""
    return note(scores_sentence(seen.scores)) if seen.scores else ""


def scores_sentence(scores: dict) -> str:
    """`test: 27 of 100 before, 97 of 100 after; read: …`"""
    said = []
    for split, score in scores.items():
        if "before" in score and "after" in score:
            before, after = score["before"], score["after"]
            low, high = Accuracy(after["correct"], after["total"]).interval_95
            said.append(
                f"{split}: {percent(before)} % right before, {percent(after)} % after "
                f"({after['correct']} of {after['total']}, 95 % interval {100 * low:.0f} to {100 * high:.0f} %)"
            )
    return "; ".join(said) + "." if said else ""


def splits_explained(splits: dict[str, str]) -> str:
    return "".join(f"<p class='mq-note'><strong>{escape(name)}</strong>: {escape(text)}</p>" for name, text in splits.items())


def log(events: Sequence[dict]) -> str:
    lines = [f"{datetime.fromtimestamp(event['time']):%H:%M:%S}  {escape(_said(event))}" for event in events]
    return f'<div class="mq-log" tabindex="0" aria-label="Log">{chr(10).join(lines)}</div>'


def _said(event: dict) -> str:
    kind = event["event"]
    if kind == "started":
        return "The training process has started."
    if kind == "prepared":
        left = sum(event["left_out"].values())
        return (
            f"{event['rows']:,} training examples, {event['held_out']:,} held-out questions ({event['held_out_split']}); "
            f"{left} rows left out{_reasons(event['left_out'])}, {event['too_long']} too long, {event['cut']} explanations cut. "
            f"{event['trainable']:,} of {event['parameters']:,} parameters train, {event['micro_batch']} examples at a time, "
            f"on {event['device']} ({event['device_reason']})."
            + (f" Going on after step {event['from_step']}." if event["from_step"] else "")
        )
    if kind == "saved":
        return f"Checkpoint at step {event['step']}."
    if kind == "note":
        return event["message"]
    if kind == "failed":
        return f"Failed. {event['reason']}"
    if kind in ("done", "stopped"):
        return f"{'Finished' if kind == 'done' else 'Stopped'} at step {event['step']}; the adapter is saved. {scores_sentence(event.get('scores', {}))}"
    if kind == "evaluated":
        right = f"{event['correct']} of {event['total']} held-out questions right, loss {event['loss']:.3f}"
        return f"Step {event['step']}: {right}" + (" (the base model alone)." if event["step"] == 0 else ".")
    return kind


def _reasons(counts: dict[str, int]) -> str:
    return f" ({', '.join(f'{n} {reason}' for reason, n in counts.items())})" if counts else ""


def runs_table(rows: Sequence[tuple[Run, Progress]]) -> str:
    if not rows:
        return note("No runs yet.")
    head = "".join(f"<th>{name}</th>" for name in ("Run", "Status", "Base model", "Data", "Settings", "Held-out accuracy"))
    return f'<div class="mq-scroll"><table class="mq-table"><thead><tr>{head}</tr></thead><tbody>{"".join(map(_run_row, rows))}</tbody></table></div>'


def _run_row(row: tuple[Run, Progress]) -> str:
    run, seen = row
    spec = run.spec
    settings = (
        f"rank {spec.lora_rank} on {', '.join(spec.target_modules)}, learning rate {spec.learning_rate:g} {spec.schedule}, "
        f"batch {spec.batch_size}, {spec.epochs:g} epochs, seed {spec.seed}"
    )
    measured = [event for event in seen.evaluations if event["total"]]
    accuracy = "not measured"
    if measured:
        accuracy = f"{percent(measured[-1])} % of {measured[-1]['total']}"
        if len(measured) > 1 and measured[0]["step"] == 0:
            accuracy = f"{percent(measured[0])} % → {accuracy}"
    status = STATUS_WORDS[seen.status] + (f", step {seen.step}" if seen.status != "done" else f", {seen.step} steps")
    rows = f"{spec.rows:,} rows" if spec.rows else "all rows"
    cells = (run.name, status, spec.base_model, f"{spec.dataset}, {rows}", settings, accuracy)
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def estimate(made: Estimate, cut: int, left_out: dict[str, int]) -> str:
    memory = f"about {made.memory_bytes / 2**30:.1f} GB memory"
    time = f"about {clock(made.seconds)} by the pace of {made.measured_by}" if made.seconds else "time not measured on this device yet"
    said = f"{made.examples:,} examples, {made.steps:,} steps, about {made.tokens:,} tokens, {memory}; {time}."
    if left_out:
        said += f" {sum(left_out.values())} rows are left out{_reasons(left_out)}."
    if cut:
        said += f" {cut} explanations will be cut."
    return note(said)


def training_example(pieces: tuple[str, str], tokens: int, masked: int) -> str:
    """`pieces`: the prompt, where there is no loss, and the part that is learned."""
    masked_text, learned = pieces
    return (
        f'<p class="mq-note">{tokens} tokens: {masked} masked (dimmed), {tokens - masked} learned (marked).</p>'
        f'<div class="mq-example"><span class="masked">{escape(masked_text)}</span><span class="learned">{escape(learned)}</span></div>'
    )
