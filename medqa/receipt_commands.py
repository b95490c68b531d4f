"""`python -m medqa receipt|disputes`: check a saved answer, and export what clinicians marked."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from medqa import disputes
from medqa.command_line import adapter_named, engine_on
from medqa.export import ExportError
from medqa.receipt import read
from medqa.reproduce import adapter_here, base_here, reproduce
from medqa.settings import Settings


def add_to(commands: argparse._SubParsersAction) -> None:
    receipt = commands.add_parser("receipt", help="answer a saved receipt again and say what differs")
    receipt.add_argument("file", type=Path, metavar="FILE", help="the JSON that was saved")
    receipt.add_argument(
        "--adapter", help="a run's name, a Hub id, or base; default: the receipt's own, by its weights"
    )
    receipt.set_defaults(command=receipt_command)

    exporting = commands.add_parser("disputes", help="the marks on answers as JSON lines")
    exporting.add_argument("--out", type=Path, metavar="FILE", help="default: standard output")
    exporting.set_defaults(command=disputes_command)


def receipt_command(chosen: argparse.Namespace, settings: Settings) -> int:
    """0: the answer comes out again, whatever else differs; 1: it does not."""
    receipt = read(chosen.file)
    if chosen.adapter is None:
        adapter = adapter_here(receipt, settings)
        base = base_here(receipt, adapter, settings)
    else:
        adapter = adapter_named(chosen.adapter, settings)
        base = adapter.base if adapter else settings.base_model
    result = reproduce(receipt, engine_on(base, settings), adapter)
    print("\n".join(result.sentences))
    return 1 if result.answer_differs else 0


def disputes_command(chosen: argparse.Namespace, settings: Settings) -> int:
    text = disputes.as_jsonl(settings.runs)
    if not text:
        print(f"No disputes in {settings.runs} yet. They are made on the page, under an answer.", file=sys.stderr)
    if not chosen.out:
        print(text, end="")
        return 0
    try:
        chosen.out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ExportError(f"{chosen.out} can't be written: {error.strerror}.") from error
    print(f"{text.count(chr(10))} disputes: {chosen.out}")
    return 0
