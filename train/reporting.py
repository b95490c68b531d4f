"""Events while training: steps, evaluations, whole checkpoints, and the request to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from transformers import TrainerCallback

from medqa import device as devices
from medqa import trust
from medqa.engine import length_batches, log_probabilities, total_length
from medqa.prompt import Example, option_tokens
from medqa.question import Answer, Question
from medqa.runs import EventWriter, Run
from train import ranks
from train.best import Best
from train.checkpoints import keep_newest
from train.failures import Diverged
from train.sharding import in_company
from train.trainer import LabelTrainer, collate, label_loss

STEPS_TO_JUDGE = 5
# The base model is measured with the adapter off, so at any time: not before the page shows a loss that falls.
STEPS_BEFORE_BASE = 5
# A loss this far above where it started is not noise: a random model of Qwen3's vocabulary is at 11.9 nats.
EXPLODED_BY_NATS = 3.0


class Clock:
    """Seconds of training, going on from where an interrupted run stopped; blind to changes of the wall clock."""

    def __init__(self, already: float) -> None:
        self.offset = already - time.monotonic()

    @property
    def seconds(self) -> float:
        return round(time.monotonic() + self.offset, 3)


@dataclass(frozen=True)
class HeldOut:
    """Held-out questions, scored the way the page answers them."""

    questions: tuple[Question, ...]
    examples: tuple[Example, ...]

    @torch.inference_mode()
    def measure(self, model, tokenizer, tokens_per_batch: int) -> dict:
        """`correct`, `total`, the mean `loss` per labelled token in nats, and the record of how sure the model was.

        Each rank does its share.
        """

        def my_share() -> tuple[float, ...]:
            with in_company(model):
                return self._measure_share(model, tokenizer, tokens_per_batch)

        was_training = model.training
        model.eval()
        try:
            share = ranks.together(my_share)
        finally:
            model.train(was_training)
        loss, tokens, *certainties = ranks.total(*share)
        return {
            "correct": sum(value > 0 for value in certainties),
            "total": len(self.questions),
            "loss": round(loss / max(tokens, 1), 4),
            "certainty": trust.record(self.questions, certainties),
        }

    def _measure_share(self, model, tokenizer, tokens_per_batch: int) -> tuple[float, ...]:
        """Summed loss, labelled tokens, and the certainty of every question: 0 for those of the other ranks."""
        mine = slice(ranks.number(), None, ranks.count())
        certainties = [0.0] * len(self.questions)
        certainties[mine] = score_certainties(model, tokenizer, self.questions[mine], tokens_per_batch)
        examples = self.examples[mine]
        loss, tokens = 0.0, 0
        for batch in length_batches([len(e.input_ids) for e in examples], tokens_per_batch):
            inputs = collate([examples[i] for i in batch])
            inputs = {name: inputs[name].to(model.device) for name in ("input_ids", "labels")}
            loss += label_loss(model, inputs).item()
            tokens += int((inputs["labels"] != -100).sum())
        return loss, tokens, *certainties


def score_certainties(model, tokenizer, questions: Sequence[Question], tokens_per_batch: int) -> list[float]:
    """For each question, in their order, the top probability: negative where that option is not the key."""
    encoded = [option_tokens(question, tokenizer) for question in questions]
    certainties = [0.0] * len(questions)
    for batch in length_batches([total_length(options) for options in encoded], tokens_per_batch):
        for i, scores in zip(batch, log_probabilities(model, [encoded[i] for i in batch]), strict=True):
            certainties[i] = trust.certainty(Answer(questions[i], scores, model.name_or_path))
    return certainties


@dataclass(frozen=True)
class _Step:
    """A step that was taken. `figures`: LabelTrainer.step_figures."""

    number: int
    figures: Callable[[], list[float]]
    learning_rate: float
    tokens: int


class Reporter(TrainerCallback):
    """Writes an event for each step, measures when due and keeps the best adapter, and stops when asked.

    Every rank has one and does the same at the same steps; only the first writes, the others' `write` is silent.
    """

    def __init__(
        self,
        run: Run,
        write: EventWriter,
        clock: Clock,
        device: devices.Device,
        measure: Callable[[int], dict],
        best: Best,
        evaluate_at: frozenset[int],
        save_every: int,
    ) -> None:
        self.run = run
        self.write = write
        self.clock = clock
        self.device = device
        self.measure = measure
        self.best = best
        self.evaluate_at = evaluate_at
        self.save_every = save_every
        self.losses: list[float] = []
        # The trainer that is watched; there is none yet when its callbacks are made.
        self.trainer: LabelTrainer | None = None
        # A GPU is told of the next step before it is asked how the last one went, or it would wait for Python.
        self.behind = device.torch_name == "cuda"
        self.stopped = False
        self.base_measured = False
        self._tokens_before = 0
        self._rate = 0.0
        self._untold: _Step | None = None

    def on_step_begin(self, args, state, control, **others):
        self._tokens_before = self.trainer.tokens_seen

    def on_pre_optimizer_step(self, args, state, control, optimizer, **others):
        self._rate = optimizer.param_groups[0]["lr"]

    def on_step_end(self, args, state, control, **others):
        number = state.global_step
        # One rank may look just before the file is there, and another just after.
        asked, tokens = ranks.total(self.run.stop_file.exists(), self.trainer.tokens_seen - self._tokens_before)
        # Asked in the last step, it stops nothing.
        if asked and number < state.max_steps:
            self.stopped = True
            control.should_training_stop = True
        control.should_save = number % self.save_every == 0 or number >= state.max_steps or self.stopped
        measured = self._to_measure(number)
        self._tell(args)
        self._untold = _Step(number, self.trainer.step_figures(), self._rate, tokens)
        if control.should_save or measured or not self.behind:
            self._tell(args)
        for step in measured:
            self.evaluate(step)
        return control

    def _to_measure(self, number: int) -> list[int]:
        """Which evaluations are due after this step; 0 is the base model's."""
        # A run stopped between two evaluations is measured where it stopped, or its last steps could not be chosen.
        due = number in self.evaluate_at or (self.stopped and self.evaluate_at)
        base_due = self.evaluate_at and not self.base_measured and (due or number >= STEPS_BEFORE_BASE)
        return [0] * bool(base_due) + [number] * bool(due)

    def _tell(self, args) -> None:
        """Write the event of the step that none was written for, and look whether all is well. Raises Diverged.

        Never later than the step is saved or measured: its weights may be no numbers any more.
        """
        step, self._untold = self._untold, None
        if step is None:
            return
        share, gradient, seconds = step.figures()
        loss = ranks.total(share)[0]
        for what, value in (("loss", loss), ("gradient", gradient)):
            if not math.isfinite(value):
                raise Diverged(
                    f"The {what} became {value} at step {step.number}: the learning rate {args.learning_rate:g} is too "
                    "high for these settings. Start again with a tenth of it; the last checkpoint is kept."
                )
        self.write(
            "step",
            step=step.number,
            loss=round(loss, 5),
            seconds=self.clock.seconds,
            learning_rate=step.learning_rate,
            gradient_norm=round(gradient, 4),
            tokens_per_second=round(step.tokens / max(seconds, 1e-9)),
            memory=devices.memory(self.device).used,
        )
        self._judge(loss, step.number, args.learning_rate)

    def evaluate(self, step: int) -> dict:
        """Step 0 is the base model alone."""
        measured = self.measure(step)
        self.base_measured |= step == 0
        # Kept before it is said to be: a resumed run believes the event.
        kept = ranks.first() and self.best.keep_if_best(step, measured)
        self.write("evaluated", step=step, seconds=self.clock.seconds, kept=kept, **measured)
        return measured

    def on_save(self, args, state, control, **others):
        # Each rank has written a file of its own.
        ranks.meet()
        if not ranks.first():
            return
        # Written last, so a checkpoint without it was cut short and is never resumed from.
        folder = self.run.folder / "checkpoints" / f"checkpoint-{state.global_step}"
        (folder / "complete").touch()
        keep_newest(self.run)
        self.best.forget_unreachable()
        self.write("saved", step=state.global_step)

    def _judge(self, loss: float, step: int, learning_rate: float) -> None:
        self.losses.append(loss)
        recent = self.losses[-STEPS_TO_JUDGE:]
        # The first loss is the untouched model's; a mean of several would have the explosion in it already.
        rise = sum(recent) / len(recent) - self.losses[0]
        if rise > EXPLODED_BY_NATS:
            raise Diverged(
                f"The loss exploded: it rose by {rise:.1f} to {recent[-1]:.1f} by step {step}. The learning rate "
                f"{learning_rate:g} is too high. Start again with a tenth of it; the last checkpoint is kept."
            )
