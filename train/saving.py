"""The finished adapter: its scores, its cards, and the folder that appears whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from functools import partial

import torch
from peft import PeftModel
from transformers import PreTrainedTokenizerBase

from medqa import datasets, training_rows, trust
from medqa.datasets import held_out_split
from medqa.evaluate import drawn
from medqa.question import Question
from medqa.runs import Progress, Run
from medqa.spec import RunSpec
from train.budget import Budget
from train.model_card import model_card
from train.reporting import score_certainties
from train.swap import swapped

# Splits beside the held-out one that show what fine-tuning does not teach; scored once, at the end.
CONTROL_SPLITS = {"handbook": ("read", "unknown")}
# For each question that is held out, of each of them so many at most.
CONTROL_QUESTIONS = 2


def held_out_scores(spec: RunSpec, recorded: Progress, step: int) -> dict:
    """{"test": {"before": …, "after": …}} from the evaluations a run has recorded; `step` is the saved adapter's."""
    return {held_out_split(spec.dataset): _before_and_after(recorded, step)}


def _before_and_after(recorded: Progress, step: int) -> dict:
    measured = [event for event in recorded.evaluations if event["total"]]
    if not measured:
        return {}
    before = measured[0] if measured[0]["step"] == 0 else None
    # Weights nobody measured have a score before and none after.
    chosen = {"before": before, "after": next((e for e in measured if e["step"] == step), None)}
    return {name: {k: e[k] for k in ("step", "correct", "total", "loss")} for name, e in chosen.items() if e}


def held_out_certainty(spec: RunSpec, recorded: Progress, step: int) -> dict[str, trust.Record]:
    """{"test": …}: how sure the saved adapter was of its answers, right and wrong; empty where it was not measured."""
    kept = next((event for event in recorded.evaluations if event["step"] == step), {})
    return {held_out_split(spec.dataset): kept.get("certainty", {})}


def control_scores(
    spec: RunSpec, model: PeftModel, tokenizer: PreTrainedTokenizerBase, budget: Budget
) -> tuple[dict, dict[str, trust.Record]]:
    """Of each control split the scores, and how sure the adapter was."""
    scores, certainty = {}, {}
    most = CONTROL_QUESTIONS * spec.evaluation_questions
    for split in CONTROL_SPLITS.get(spec.dataset, ()):
        asked = drawn(datasets.load(spec.dataset, split).questions, most)
        score = partial(score_certainties, model.get_base_model(), tokenizer, asked)
        with torch.inference_mode():
            after = budget.within(score)
            with model.disable_adapter():
                before = budget.within(score)
        counted = {"before": before, "after": after}
        scores[split] = {
            name: {"correct": sum(value > 0 for value in values), "total": len(values)}
            for name, values in counted.items()
        }
        certainty[split] = trust.record(asked, after)
    return scores, certainty


def save_adapter(run: Run, model: PeftModel, card: dict, questions: Sequence[Question]) -> None:
    """Write beside, then take its name: a folder called `adapter` is always whole."""
    part, old = run.folder / "adapter.part", run.folder / "adapter.old"
    shutil.rmtree(part, ignore_errors=True)
    # The name the run was given, not the folder it was found in: an adapter moves between machines. Where that is a
    # path it stays whole: AutoPeftModel loads the base by it, as we do by the same in medqa.json.
    model.peft_config["default"].base_model_name_or_path = card["base_model"]
    # LoRA changes no embeddings; left to itself PEFT asks the Hub whether the vocabulary grew.
    model.save_pretrained(part, save_embedding_layers=False)
    training_rows.write(part, questions)
    (part / "medqa.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    # In place of PEFT's, which is a form to fill in and names this machine's folder of the base.
    (part / "README.md").write_text(model_card(run.name, card), encoding="utf-8")
    # Not swapped where there is none to swap with, either.
    if not swapped(part, run.adapter):
        # Left over where an earlier save was killed at its last line.
        shutil.rmtree(old, ignore_errors=True)
        if run.adapter.exists():
            run.adapter.rename(old)
        part.rename(run.adapter)
    # The one before it has either name.
    for before in (part, old):
        shutil.rmtree(before, ignore_errors=True)


def recover_renamed_adapter(run: Run) -> None:
    """Of a run killed between two renames, where the folders can't be swapped."""
    old = run.folder / "adapter.old"
    if old.exists() and not run.adapter.exists():
        old.rename(run.adapter)
