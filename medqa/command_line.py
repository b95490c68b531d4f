"""What commands share: the question on standard input, the adapter by its name, the engine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from medqa import adapters
from medqa.adapters import Adapter
from medqa.paste import read_pasted
from medqa.question import Question, QuestionError
from medqa.settings import Settings

if TYPE_CHECKING:
    from medqa.engine import Engine


def question_on_input() -> Question:
    """Raises QuestionError."""
    if sys.stdin.isatty():
        print("Type or paste the question with its options, then Ctrl-D:", file=sys.stderr)
    try:
        return read_pasted(sys.stdin.read())
    except UnicodeDecodeError as error:
        raise QuestionError("What came on standard input is no UTF-8 text.") from error


def adapter_named(name: str, settings: Settings) -> Adapter | None:
    """None for "base". Raises AdapterError."""
    return None if name == "base" else adapters.named(name, settings.runs)


def engine_on(base: str, settings: Settings) -> Engine:
    """Raises ModelError."""
    from medqa import device, model
    from medqa.engine import Engine

    loaded = model.load(base, device.choose(settings.device))
    return Engine(loaded, settings.max_question_tokens, settings.max_explanation_tokens)
