"""Values to HTML. All text of models and people is escaped here; loads neither gradio nor torch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape

from medqa.adapters import Adapter, percent
from medqa.datasets.handbook import SPLITS
from medqa.datasets.rows import Loaded
from medqa.estimate import Preview, Rendered
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


def answer_card(
    answer: Answer, who: str, explanation: Explanation | None, base: Answer | None = None, doubts: Sequence[str] = ()
) -> str:
    question = answer.question
    rows = "".join(_option_row(answer, base, i) for i in range(len(question.options)))
    key = f' <span class="mq-verdict">{_verdict(answer)}</span>' if answer.correct is not None else ""
    # A screen reader waits for the end instead of reading every piece of a growing explanation.
    growing = explanation is not None and not (explanation.ended or explanation.cut)
    careful = "".join(map(_doubt, doubts))
    by = note(f"Answered by {who} Probabilities are shares among these options. {NOT_ADVICE}")
    return (
        f'<section class="mq-card" aria-live="polite" aria-busy="{str(growing).lower()}">'
        f"<h3>{escape(_choice(answer))}{key}</h3>{careful}{rows}"
        f"{_explanation(explanation)}{_compared(answer, base)}{by}</section>"
    )


def _choice(answer: Answer) -> str:
    return f"{answer.letter}) {answer.question.options[answer.index]}"


def _doubt(sentence: str) -> str:
    return f'<p class="mq-doubt">⚠ {escape(sentence)}</p>'


def _verdict(answer: Answer) -> str:
    return "✓ agrees with the key" if answer.correct else f"✗ the key is {answer.question.key}"


def _option_row(answer: Answer, base: Answer | None, i: int) -> str:
    share = answer.probabilities[i]
    mark = " ✓ key" if answer.question.answer == i else ""
    label = f"{LETTERS[i]}) {answer.question.options[i]}"
    under = ""
    if base:
        alone = base.probabilities[i]
        under = f'{_bar(alone, "base")}<span class="base-share">base alone {percent_text(alone)}</span>'
    text = f'<span class="text">{escape(label)}{mark}</span><span class="share">{percent_text(share)}</span>'
    return f'<div class="mq-option {"chosen" if i == answer.index else ""}">{text}{_bar(share)}{under}</div>'


def _bar(share: float, style: str = "") -> str:
    return f'<span class="track {style}"><span class="fill" style="width:{100 * share:.1f}%"></span></span>'


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
    values = f'role="progressbar" aria-valuenow="{share:.0f}" aria-valuemin="0" aria-valuemax="100"'
    filled = f'<span style="width:{share:.1f}%"></span>'
    bar = f'<div class="mq-progress" {values} aria-label="Training progress">{filled}</div>'
    return f'<div class="mq-facts">{"".join(facts)}</div>{bar}{_outcome(seen)}'


def _outcome(seen: Progress) -> str:
    if seen.status == "failed":
        return error(seen.reason)
    if seen.status == "interrupted":
        way_on = (
            "Resume goes on from its last checkpoint." if seen.resumable else "It left no checkpoint: start it again."
        )
        return error(f"The training process ended without a word (killed, or the machine went down). {way_on}")
    if seen.status not in ("done", "stopped"):
        return ""
    return scores_table(seen.scores)


def scores_table(scores: dict) -> str:
    """Right answers of the base model and with the adapter, a row per split."""
    rows = "".join(
        _score_row(split, score) for split, score in scores.items() if "before" in score and "after" in score
    )
    if not rows:
        return ""
    head = "<th>Questions</th><th>Base model alone</th><th>With the adapter</th>"
    return f'<table class="mq-table mq-scores"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _score_row(split: str, score: dict) -> str:
    before, after = score["before"], score["after"]
    low, high = Accuracy(after["correct"], after["total"]).interval_95
    counts = f"{after['correct']} of {after['total']}, 95 % interval {100 * low:.0f} to {100 * high:.0f} %"
    meaning = f"<br><small>{escape(SPLITS[split])}</small>" if split in SPLITS else ""
    return (
        f"<tr><td><strong>{escape(split)}</strong>{meaning}</td><td>{percent(before)} %</td>"
        f"<td><strong>{percent(after)} %</strong><br><small>{counts}</small></td></tr>"
    )


def splits_explained(splits: dict[str, str]) -> str:
    return "".join(
        f"<p class='mq-note'><strong>{escape(name)}</strong>: {escape(text)}</p>" for name, text in splits.items()
    )


def log(events: Sequence[dict]) -> str:
    """A line per event, the newest first: what has just happened is seen without scrolling."""
    newest_first = sorted(events, key=lambda event: event["time"], reverse=True)
    lines = [f"{datetime.fromtimestamp(event['time']):%H:%M:%S}  {escape(_said(event))}" for event in newest_first]
    return f'<div class="mq-log" tabindex="0" aria-label="Log">{chr(10).join(lines)}</div>'


def _said(event: dict) -> str:
    kind = event["event"]
    if kind in ("started", "resumed"):
        return f"The training process {'has started' if kind == 'started' else 'is started again'}."
    if kind == "prepared":
        left = sum(event["left_out"].values())
        return (
            f"{event['rows']:,} training examples, {event['held_out']:,} held-out questions "
            f"({event['held_out_split']}); {left} rows left out{_reasons(event['left_out'])}, "
            f"{event['too_long']} too long, {event['cut']} explanations cut. "
            f"{event['trainable']:,} of {event['parameters']:,} parameters train, "
            f"{event['micro_batch']} examples at a time, on {event['device']} ({event['device_reason']})."
            + (f" Going on after step {event['from_step']}." if event["from_step"] else "")
        )
    if kind == "saved":
        return f"Checkpoint at step {event['step']}."
    if kind == "note":
        return event["message"]
    if kind == "failed":
        return f"Failed. {event['reason']}"
    if kind in ("done", "stopped"):
        return f"{'Finished' if kind == 'done' else 'Stopped'} at step {event['step']}; the adapter is saved."
    if kind == "evaluated":
        right = f"{event['correct']} of {event['total']} held-out questions right, loss {event['loss']:.3f}"
        return f"Step {event['step']}: {right}" + (" (the base model alone)." if event["step"] == 0 else ".")
    return kind


def _reasons(counts: dict[str, int]) -> str:
    return f" ({', '.join(f'{n} {reason}' for reason, n in counts.items())})" if counts else ""


def runs_table(rows: Sequence[tuple[Run, Progress]]) -> str:
    if not rows:
        return note("No runs yet.")
    head = "".join(
        f"<th>{name}</th>" for name in ("Run", "Status", "Base model", "Data", "Settings", "Held-out accuracy")
    )
    body = "".join(map(_run_row, rows))
    table = f'<table class="mq-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="mq-scroll" tabindex="0" aria-label="All runs">{table}</div>'


def _run_row(row: tuple[Run, Progress]) -> str:
    run, seen = row
    spec = run.spec
    settings = (
        f"rank {spec.lora_rank} on {', '.join(spec.target_modules)}, "
        f"learning rate {spec.learning_rate:g} {spec.schedule}, batch {spec.batch_size}, "
        f"{spec.epochs:g} epochs, seed {spec.seed}"
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


def preview(made: Preview) -> str:
    examples = "".join(_training_example(example) for example in made.examples)
    return _estimate(made) + examples


def _estimate(made: Preview) -> str:
    e = made.estimate
    memory = f"about {e.memory_bytes / 2**30:.1f} GB memory"
    time = (
        f"about {clock(e.seconds)} by the pace of {e.measured_by}"
        if e.seconds
        else "time not yet measured on this device"
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
    left = f"{count} row{' is' if count == 1 else 's are'} left out{_reasons(loaded.skipped_by_reason)}"
    rest = f"<p>and {more} more</p>" if more > 0 else ""
    return f"<details><summary>{escape(left)}</summary><ul>{rows}</ul>{rest}</details>"
