"""Runs to HTML: the panel, its warnings and scores, the log, the table of all runs. Loads neither gradio nor torch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape

from medqa.adapters import percent
from medqa.datasets.handbook import SPLITS
from medqa.evaluate import Accuracy
from medqa.runs import Progress, Run
from medqa.spec import without_folder
from medqa.ui.charts import clock
from medqa.ui.views import caution, error, note, reasons

STATUS_WORDS = {
    "running": "running",
    "done": "finished",
    "stopped": "stopped",
    "failed": "failed",
    "interrupted": "interrupted",
}
# Ten times what the trainer clips an update to; a run that goes well stays below one or a few.
GRADIENT_NORM_BOUND = 10.0
RISES_TO_SAY = 3
STOPPING = (
    "Stopping after this step, or after what is being measured; then the best adapter so far is saved. “Stop at once” "
    "does not wait: it ends the run where it is, and what came after its last checkpoint is lost."
)

COLUMNS = ("Run", "Status", "Base model", "Data", "Settings", "Held-out accuracy")
USABLE = "It has saved an adapter all the same: “Answer with this adapter” chooses it."


def run_panel(run: Run, seen: Progress, told_to_stop: bool = False) -> str:
    """Status in words, progress bar and the figures of the last step."""
    total, step = seen.total_steps, seen.step
    share = 100 * step / total if total else 0
    parts = [f"<strong>{escape(run.name)}</strong> · {STATUS_WORDS[seen.status]}"]
    if seen.status == "running" and not seen.steps:
        parts.append("taking the first step" if seen.prepared else "loading the model and the data")
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
    if seen.best and seen.status == "running":
        facts.append(f"<span>best adapter so far: step {seen.best['step']:,}</span>")
    values = f'role="progressbar" aria-valuenow="{share:.0f}" aria-valuemin="0" aria-valuemax="100"'
    filled = f'<span style="width:{share:.1f}%"></span>'
    bar = f'<div class="mq-progress" {values} aria-label="Training progress">{filled}</div>'
    stopping = note(STOPPING) if told_to_stop and seen.status == "running" else ""
    said = f"{stopping}{_cautions(seen)}{_outcome(seen, told_to_stop)}"
    if _ended_early_with_adapter(run, seen):
        said += note(USABLE)
    return f'<div class="mq-facts">{"".join(facts)}</div>{bar}{said}'


def _cautions(seen: Progress) -> str:
    return "".join(caution(sentence) for sentence in (_large_gradients(seen), _rising_loss(seen)) if sentence)


def _large_gradients(seen: Progress) -> str:
    large = [e for e in seen.steps if (e.get("gradient_norm") or 0) > GRADIENT_NORM_BOUND]
    if not large:
        return ""
    count = f"{len(large):,} steps, the last of them" if len(large) > 1 else "one step,"
    return (
        f"The gradient norm was above {GRADIENT_NORM_BOUND:g} at {count} step {large[-1]['step']:,} "
        f"({large[-1]['gradient_norm']:.3g}). If the loss jumps there too, start again with a lower learning rate."
    )


def _rising_loss(seen: Progress) -> str:
    losses = [event["loss"] for event in seen.evaluations if event["total"]]
    rises = 0
    while rises + 1 < len(losses) and losses[-rises - 1] > losses[-rises - 2]:
        rises += 1
    if rises < RISES_TO_SAY:
        return ""
    so_far = " so far" if seen.status == "running" else ""
    kept = f": the best adapter{so_far}, step {seen.best['step']:,}, is kept" if seen.best else ""
    return f"Evaluation loss has risen for {rises} evaluations{kept}."


def _outcome(seen: Progress, told_to_stop: bool) -> str:
    if seen.status == "failed":
        return error(seen.reason)
    if seen.status == "interrupted":
        way_on = (
            "Resume goes on from its last checkpoint." if seen.resumable else "It left no checkpoint: start it again."
        )
        word = "before it had stopped by itself (Stop at once, " if told_to_stop else "without a word ("
        return error(f"The training process ended {word}killed, or the machine went down). {way_on}")
    if seen.status not in ("done", "stopped"):
        return ""
    return _saved_adapter(seen) + scores_table(seen.scores)


def _ended_early_with_adapter(run: Run, seen: Progress) -> bool:
    """The best one of before it failed, or that of an earlier stop."""
    return seen.status in ("failed", "interrupted") and run.has_adapter


def _saved_adapter(seen: Progress) -> str:
    measured = sum(1 for event in seen.evaluations if event["total"] and event["step"])
    saved = next(iter(seen.scores.values()), {}).get("after", {}).get("step")
    # A run made before the best was kept has saved its last step, whatever it measured.
    if not saved or not seen.best or measured < 2:
        return ""
    return note(f"The adapter of step {saved:,} is the one saved: best of {measured} evaluations.")


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


def log(events: Sequence[dict]) -> str:
    """A line per event, the newest first: what has just happened is seen without scrolling."""
    newest_first = sorted(events, key=lambda event: event["time"], reverse=True)
    lines = [f"{datetime.fromtimestamp(event['time']):%H:%M:%S}  {escape(_said(event))}" for event in newest_first]
    return f'<div class="mq-log" role="region" tabindex="0" aria-label="Log">{chr(10).join(lines)}</div>'


def _said(event: dict) -> str:
    kind = event["event"]
    if kind in ("started", "resumed"):
        return f"The training process {'has started' if kind == 'started' else 'is started again'}."
    if kind == "prepared":
        left = sum(event["left_out"].values())
        return (
            f"{event['rows']:,} training examples, {event['held_out']:,} held-out questions "
            f"({event['held_out_split']}); {left} rows left out{reasons(event['left_out'])}, "
            f"{event['too_long']} too long, {event['cut']} explanations cut. "
            f"{event['trainable']:,} of {event['parameters']:,} parameters train, "
            f"{event['micro_batch']} examples at a time, on {event['device']} ({event['device_reason']})."
            + (" The devices share the base's weights." if event.get("base_weights") == "shared" else "")
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
        which = " (the base model alone)" if event["step"] == 0 else " (the best so far)" if event.get("kept") else ""
        return f"Step {event['step']}: {right}{which}."
    return kind


def runs_table(rows: Sequence[tuple[Run, Progress]]) -> str:
    if not rows:
        return note("No runs yet.")
    head = "".join(f"<th>{name}</th>" for name in COLUMNS)
    body = "".join(map(_run_row, rows))
    table = f'<table class="mq-table mq-runs"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="mq-scroll" role="region" tabindex="0" aria-label="All runs">{table}</div>'


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
        # That of the adapter there is to choose; a run made before the best was kept has its last.
        adapter = seen.best or measured[-1]
        accuracy = f"{percent(adapter)} % of {adapter['total']}"
        if len(measured) > 1 and measured[0]["step"] == 0:
            accuracy = f"{percent(measured[0])} % → {accuracy}"
    status = STATUS_WORDS[seen.status] + (f", step {seen.step}" if seen.status != "done" else f", {seen.step} steps")
    if _ended_early_with_adapter(run, seen):
        status += ", adapter saved"
    rows = f"{spec.rows:,} rows" if spec.rows else "all rows"
    base, dataset = without_folder(spec.base_model), without_folder(spec.dataset)
    cells = (run.name, status, base, f"{dataset}, {rows}", settings, accuracy)
    # On a phone a row is a card, without a head above it: the style sheet puts the column's name before what needs it.
    named = zip(COLUMNS, cells, strict=True)
    return "<tr>" + "".join(f'<td data-column="{name}">{escape(cell)}</td>' for name, cell in named) + "</tr>"
