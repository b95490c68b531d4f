"""The best adapter so far by held-out questions: its weights, kept where a resumed run finds them again.

One small file per evaluation that was the best of its time. Those before the last one stay until no checkpoint is older
than what replaced them: a run that falls back to such a checkpoint falls back to its best adapter too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from peft import PeftModel
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from medqa.runs import Run


def better(measured: dict, than: dict) -> bool:
    """More right answers; of two with as many, the lower loss. A full tie leaves the earlier one."""
    return (measured["correct"], -measured["loss"]) > (than["correct"], -than["loss"])


class Best:
    """`evaluations`: what the run has recorded up to the step it goes on from.

    The base model's own, at step 0, is no adapter and never the best.
    """

    def __init__(self, run: Run, model: PeftModel, evaluations: Sequence[dict] = ()) -> None:
        self.run = run
        self.model = model
        marked = [event for event in evaluations if event.get("kept")]
        self.kept = [event for event in marked if _is_whole(self._file(event["step"]))]

    def keep_if_best(self, step: int, measured: dict) -> bool:
        if step == 0 or (self.kept and not better(measured, self.kept[-1])):
            return False
        file = self._file(step)
        part = file.with_suffix(".part")
        file.parent.mkdir(exist_ok=True)
        save_file({name: weight.detach() for name, weight in self._trained()}, part)
        part.replace(file)
        self.kept.append({"step": step, **measured})
        return True

    def beats(self, base: dict | None) -> bool:
        """Whether there is one, and it is better than what the base alone has measured, where that is known."""
        return bool(self.kept) and (base is None or better(self.kept[-1], base))

    def forget_unreachable(self) -> None:
        """Delete what is not the best up to any checkpoint that is left."""
        up_to = [int(folder.name.split("-")[1]) for folder in self.run.checkpoints()]
        steps = [event["step"] for event in self.kept]
        needed = {self._file(max(s for s in steps if s <= end)) for end in up_to if steps and steps[0] <= end}
        needed |= {self._file(step) for step in steps[-1:]}
        for file in (self.run.folder / "checkpoints").glob("best-*"):
            if file not in needed:
                file.unlink()

    def restore(self) -> int | None:
        """Give the model the best weights; their step. None, and the model as it is, where nothing was measured."""
        if not self.kept:
            return None
        step = self.kept[-1]["step"]
        weights = load_file(self._file(step))
        with torch.no_grad():
            for name, weight in self._trained():
                weight.copy_(weights[name])
        return step

    def _trained(self) -> list[tuple[str, torch.nn.Parameter]]:
        return [(name, weight) for name, weight in self.model.named_parameters() if weight.requires_grad]

    def _file(self, step: int) -> Path:
        return self.run.folder / "checkpoints" / f"best-{step}.safetensors"


def _is_whole(file: Path) -> bool:
    # The header tells the length: a file cut short by a power failure does not open.
    try:
        with safe_open(file, "pt"):
            return True
    except (OSError, SafetensorError):
        return False
