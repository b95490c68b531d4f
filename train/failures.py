"""From an exception to one sentence that says what happened and what to do."""

from __future__ import annotations

import errno

from medqa.device import is_out_of_memory
from medqa.errors import UserError
from medqa.runs import Run

# What the libraries below say when a write finds no room, each in a type of its own: safetensors, and torch.save.
NO_ROOM = ("No space left on device", "PytorchStreamWriter failed writing", "inline_container.cc")

# What a collective operation says when a rank at its other end is gone.
NOBODY_THERE = ("gloo/transport", "NCCL")


class TrainingFailed(UserError):
    """Training can't go on; the message is the sentence for the page."""


class Diverged(TrainingFailed):
    """Loss or gradient went out of bounds. All ranks meet it at the same step."""


def sentence_for(error: BaseException, run: Run) -> str:
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return "The training process was interrupted. Resume goes on from the last checkpoint."
    if is_out_of_memory(error):
        return (
            "The device is out of memory even with one example at a time. "
            f"Lower the maximum length ({run.spec.max_length}), or choose a smaller base model."
        )
    if (isinstance(error, OSError) and error.errno == errno.ENOSPC) or any(text in str(error) for text in NO_ROOM):
        return "The disk is full. Free some space, then resume: the last whole checkpoint is kept."
    if isinstance(error, RuntimeError) and any(text in str(error) for text in NOBODY_THERE):
        return (
            "Another process of this run ended, so this one could not go on. Resume goes on from the last checkpoint. "
            "The run's process.log may say why."
        )
    first_line = (str(error).strip() or "no message").splitlines()[0]
    return f"Training ended with {type(error).__name__}: {first_line[:300]}. The run's process.log has the details."
