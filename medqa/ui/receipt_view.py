"""A receipt as an HTML page of its own, and the result of checking one. Loads neither gradio nor torch."""

from __future__ import annotations

from html import escape

from medqa.question import LETTERS, Answer, Explanation, percent_text
from medqa.receipt import Made, Receipt, Said
from medqa.reproduce import Reproduced
from medqa.ui.views import FOLDED, NOT_ADVICE, NOT_SURE, caution, not_named, note

# It is opened from a disk years later: nothing is fetched, nothing runs.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
STYLE = """
:root { color-scheme: light dark; --ink: #1b2530; --quiet: #55626f; --line: #cfd6dd; --paper: #fff; --bar: #0f6e8c; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e7ecf1; --quiet: #a9b4bf; --line: #3a4550; --paper: #12181e; --bar: #4fb3d1; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 46rem;
  margin: 1.5rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; }
.stem, .explanation { white-space: pre-wrap; }
.explanation { border-left: 3px solid var(--bar); padding-left: .8rem; }
.quiet { color: var(--quiet); font-size: .9rem; }
.mq-doubt { font-weight: 600; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); }
th { overflow-wrap: normal; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr.chosen { font-weight: 650; }
.bar { display: block; height: .3rem; background: var(--bar); print-color-adjust: exact; }
@media print {
  :root { --ink: #000; --quiet: #333; --line: #999; --paper: #fff; --bar: #000; }
  body { margin: 0; max-width: none; font-size: 11pt; } tr, .explanation { break-inside: avoid; }
}
"""


def page(receipt: Receipt) -> str:
    # Of one that was saved before receipts kept what the card said there is nothing to tell.
    answer, said = receipt.answer, receipt.said or Said()
    named, subject = answer.question.named(answer.index), answer.question.subject
    title = f"MedQA receipt: {named if receipt.sure else NOT_SURE}"
    body = (
        f"<h1>{escape(title)}</h1>{_quiet(f'Answered on {receipt.date}. {NOT_ADVICE}')}{_doubts(receipt)}"
        f"<h2>Question</h2>{_quiet(f'Subject: {subject}') if subject else ''}"
        f"<p class='stem'>{escape(answer.question.stem)}</p>{_options(receipt)}"
        f"{_quiet(said.record) if said.record else ''}"
        f"<h2>{'Explanation' if receipt.sure else FOLDED}</h2>{_explanation(receipt.explanation, said)}"
        f"<h2>Probes run on this answer</h2>{_probes(receipt)}"
        f"<h2>What answered</h2>{_made(receipt.made)}"
        f"{_quiet('The receipt saved as JSON can be checked: MedQA answers it again and says what differs.')}"
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><style>{STYLE}</style></head>'
        f"<body><main>{body}</main></body></html>\n"
    )


def _quiet(sentence: str) -> str:
    return f'<p class="quiet">{escape(sentence)}</p>'


def _doubts(receipt: Receipt) -> str:
    """What stands at the top of the card."""
    said = receipt.said or Said()
    none_named = "" if receipt.sure else _quiet(not_named(receipt.answer))
    below = _quiet(f"To be named, an option had to reach {100 * said.not_sure_below:.0f} %.")
    return none_named + (below if said.not_sure_below else "") + "".join(map(caution, said.doubts))


def _options(receipt: Receipt) -> str:
    rows = "".join(_option_row(receipt.answer, i, receipt.sure) for i in range(len(receipt.question.options)))
    head = "<th>Option</th><th>Probability</th><th>Log-probability (nats)</th>"
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _option_row(answer: Answer, i: int, sure: bool) -> str:
    chosen = sure and i == answer.index
    marks = [word for word, holds in (("chosen", chosen), ("key", i == answer.question.answer)) if holds]
    label = f"{LETTERS[i]}) {answer.question.options[i]}" + (f" ({', '.join(marks)})" if marks else "")
    share = answer.probabilities[i]
    style = "chosen" if chosen else ""
    return (
        f'<tr class="{style}"><td>{escape(label)}<span class="bar" style="width:{100 * share:.1f}%"></span></td>'
        f'<td class="number">{percent_text(share)}</td><td class="number">{answer.log_probabilities[i]:.4f}</td></tr>'
    )


def _explanation(written: Explanation, said: Said) -> str:
    if not written.text:
        return _quiet("The model wrote no explanation.")
    end = _quiet("The explanation was cut at the length limit.") if written.cut else ""
    label = _quiet("Written by the model after the answer above. Fluent text is no evidence: check it.")
    doubt = caution(said.explanation_doubt) if said.explanation_doubt else ""
    return f'{label}<p class="explanation">{escape(written.text)}</p>{doubt}{end}'


def _probes(receipt: Receipt) -> str:
    if not receipt.probes:
        return _quiet("None.")
    return "".join(
        f"<p><strong>{escape(title)}</strong></p><ul>{''.join(f'<li>{escape(s)}</li>' for s in sentences)}</ul>"
        for title, sentences in receipt.probes.items()
    )


def _made(made: Made) -> str:
    facts = {
        "Base model": made.base,
        "Base revision": made.base_revision,
        "Adapter": made.adapter or "none, the base model alone",
        "SHA-256 of its weights": made.adapter_sha256,
        "Device": f"{made.device} ({made.hardware})",
        "Number format": made.dtype,
        **made.versions,
    }
    told = ((escape(name), escape(value)) for name, value in facts.items() if value)
    rows = "".join(f'<tr><th scope="row">{name}</th><td>{value}</td></tr>' for name, value in told)
    return f"<table><tbody>{rows}</tbody></table>"


def checked(result: Reproduced) -> str:
    """The verdict, what differs, and the options' probabilities then and now."""
    verdict, *rest = result.sentences
    sign = "✗" if result.answer_differs else "✓"
    differs = {*result.answer_differs, *result.surroundings_differ}
    said = "".join(caution(sentence) if sentence in differs else note(sentence) for sentence in rest)
    head = f"<p><strong>{sign} {escape(verdict)}</strong></p>"
    return f'<div class="mq-probe" role="status">{head}{said}{_then_and_now(result)}</div>'


def _then_and_now(result: Reproduced) -> str:
    pairs = zip(result.receipt.answer.probabilities, result.answer.probabilities, strict=True)
    rows = "".join(
        f"<tr><td>{escape(f'{LETTERS[i]}) {result.answer.question.options[i]}')}</td><td>{percent_text(then)}</td>"
        f"<td>{percent_text(now)}</td></tr>"
        for i, (then, now) in enumerate(pairs)
    )
    head = "<th>Option</th><th>In the receipt</th><th>Now</th>"
    return (
        f'<p class="mq-note">{escape(result.answer.question.stem)}</p>'
        f'<table class="mq-table mq-scores mq-then-now"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    )
