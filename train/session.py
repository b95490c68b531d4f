"""One fine-tuning session: set up, train, save. Reads the run's spec; leaves events, checkpoints and the adapter."""

from __future__ import annotations

import traceback
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import torch
from peft import PeftModel
from transformers import PreTrainedTokenizerBase, TrainingArguments, set_seed

from medqa import device as devices
from medqa import disputes, trust
from medqa.base_model import locate, revision
from medqa.datasets import held_out_split
from medqa.device import Device, is_out_of_memory
from medqa.estimate import BaseWeights
from medqa.model import load_tokenizer
from medqa.runs import EventReader, EventWriter, Progress, Run, progress
from medqa.settings import from_environment
from medqa.spec import RunSpec
from train import packing, ranks
from train.best import Best
from train.budget import Budget, free_memory_again
from train.checkpoints import drop_unusable
from train.failures import Diverged, TrainingFailed, sentence_for
from train.lora import with_lora
from train.material import Material, prepare
from train.reporting import Clock, Reporter
from train.saving import control_scores, held_out_certainty, held_out_scores, recover_renamed_adapter, save_adapter
from train.sharding import chosen, in_company, parameters_here, rows_at_once
from train.trainer import BATCHES_PER_SORT, BATCHES_PER_SORT_PACKED, Examples, LabelTrainer, LengthSortedSampler

# Read at once when measuring, where memory was enough for the whole batch.
EVALUATION_TOKENS = {"cpu": 4096, "cuda": 65_536}
PACKAGES = ("torch", "transformers", "peft", "accelerate", "datasets")


def train(run: Run, write: EventWriter) -> None:
    """Raises TrainingFailed, DatasetError, ModelError and whatever the libraries raise; see failures.py."""
    spec = run.spec
    device = devices.choose(from_environment().device)
    if spec.precision != "auto":
        device = replace(device, dtype=getattr(torch, spec.precision), reason="the run's own setting")
    ranks.join(device.torch_name)
    if ranks.first():
        drop_unusable(run, write)
        recover_renamed_adapter(run)
    # What the first rank leaves is what all go on from.
    ranks.meet()
    before = _recorded(run)
    clock = Clock(before.steps[-1]["seconds"] if before.steps else 0.0)
    # The revision that is trained on: at the end the Hub may have another.
    base_folder = locate(spec.base_model)
    tokenizer = load_tokenizer(spec.base_model)
    # Those made since the run began are left to the next one: all ranks, and the run resumed, have the same rows.
    material = prepare(spec, tokenizer, write, disputes.wrong_keys(run.folder.parent, before.began))
    if run.checkpoints():
        # What they say of rows is their places in the order.
        material.check_unchanged(spec.dataset, before.prepared)
    micro_batch = share = _rows_of_each_rank(spec)
    weights = chosen(spec, device)
    if weights.shared:
        micro_batch = rows_at_once(spec, device, share, max(len(e.input_ids) for e in material.examples))
        rows = f"take {micro_batch} of {share} examples at a time, by the estimate of memory"
        write("note", message=f"The {ranks.count()} devices share the base's weights ({weights.reason}) and {rows}.")
    session = Session(run, write, spec, device, tokenizer, material, clock, weights, base_folder)

    while True:
        try:
            return session.attempt(micro_batch)
        except Exception as error:
            if not is_out_of_memory(error) or micro_batch == 1:
                raise
        # Outside the except block: the exception's traceback would keep the tensors alive.
        free_memory_again()
        smaller = max(size for size in range(1, micro_batch) if share % size == 0)
        lowered = f"Out of memory with {micro_batch} examples at a time: going on with {smaller}"
        write("note", message=f"{lowered}, accumulated to the same effective batch of {spec.batch_size}.")
        micro_batch = smaller


def _rows_of_each_rank(spec: RunSpec) -> int:
    if spec.batch_size % ranks.count():
        raise TrainingFailed(
            f"An effective batch of {spec.batch_size} can't be shared evenly by {ranks.count()} processes. "
            "Go on with a number of them that divides it."
        )
    return spec.batch_size // ranks.count()


@dataclass(frozen=True)
class Session:
    """What stays the same however often training has to begin again with a smaller micro-batch."""

    run: Run
    write: EventWriter
    spec: RunSpec
    device: Device
    tokenizer: PreTrainedTokenizerBase
    material: Material
    clock: Clock
    weights: BaseWeights
    base_folder: Path

    def attempt(self, micro_batch: int) -> None:
        """Train from the newest whole checkpoint, or the start, to the end or until asked to stop; save the best."""
        set_seed(self.spec.seed)
        tokens = EVALUATION_TOKENS[self.device.torch_name] * micro_batch // _rows_of_each_rank(self.spec)
        budget = Budget(tokens, self.write, can_shrink=not self.weights.shared)
        model = with_lora(self.spec, self.device, self.weights.shared)
        checkpoint = next(iter(self.run.checkpoints()), None)
        from_step = int(checkpoint.name.split("-")[1]) if checkpoint else 0
        total = self.spec.steps(len(self.material.examples))
        lengths = [len(example.input_ids) for example in self.material.examples]
        packed = not self.weights.shared and is_packed(model, self.device, max(lengths), micro_batch)
        order = self._order(lengths, packed, resumed=checkpoint is not None)
        facts = self._facts(model, micro_batch) | {"batches_per_sort": order.batches_per_sort}
        self.write("prepared", from_step=from_step, total_steps=total, **facts)
        best = Best(self.run, model, _recorded(self.run).evaluations)
        reporter = self._reporter(model, best, total, budget)
        trainer = LabelTrainer(
            model=model,
            args=_arguments(self.run, self.spec, self.device, total, micro_batch),
            train_dataset=Examples(self.material.examples),
            sampler=order,
            packed=packed,
            callbacks=[reporter],
        )
        reporter.trainer = trainer
        if from_step < total:
            self._take_steps(trainer, checkpoint, best, micro_batch)
        else:
            trainer._load_from_checkpoint(str(checkpoint), model)
        with in_company(model.get_base_model()):
            if ranks.first():
                self._finish(model, best, reporter.stopped, budget)

    def _take_steps(self, trainer: LabelTrainer, checkpoint: Path | None, best: Best, micro_batch: int) -> None:
        try:
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        except Exception as error:
            goes_on = is_out_of_memory(error) and micro_batch > 1
            if goes_on or not (saved := self._save_despite(error, best)):
                raise
            raise TrainingFailed(f"{sentence_for(error, self.run)} {saved}") from error

    def _order(self, lengths: list[int], packed: bool, resumed: bool) -> LengthSortedSampler:
        """A run keeps its order of rows where it goes on, on whatever device that is."""
        usual = BATCHES_PER_SORT_PACKED if packed else BATCHES_PER_SORT
        if resumed:
            usual = _recorded(self.run).prepared.get("batches_per_sort", BATCHES_PER_SORT)
        return LengthSortedSampler(lengths, self.spec.batch_size, self.spec.seed, usual)

    def _reporter(self, model: PeftModel, best: Best, total: int, budget: Budget) -> Reporter:
        held_out = self.material.held_out

        def measure(step: int) -> dict:
            with nullcontext() if step else model.disable_adapter():
                return budget.within(partial(held_out.measure, model.get_base_model(), self.tokenizer))

        reporter = Reporter(
            self.run,
            self.write,
            self.clock,
            self.device,
            measure,
            best,
            evaluate_at=_evaluation_steps(self.spec, total) if held_out.questions else frozenset(),
            save_every=max(1, min(500, total // 5)),
        )
        recorded = _recorded(self.run)
        reporter.base_measured = any(event["step"] == 0 for event in recorded.evaluations)
        # Where the loss began, a resumed run has to know too: it may go on from an exploding one.
        reporter.losses = [event["loss"] for event in recorded.steps]
        return reporter

    def _facts(self, model: PeftModel, micro_batch: int) -> dict:
        trainable, parameters = model.get_nb_trainable_parameters()
        examples = self.material.examples
        return {
            "device": self.device.badge_of(ranks.count()),
            "device_reason": self.device.reason,
            "rows": len(examples),
            "left_out": self.material.loaded.skipped_by_reason,
            "too_long": self.material.too_long,
            "cut": sum(example.cut for example in examples),
            "tokens_per_epoch": sum(len(example.input_ids) for example in examples),
            "held_out": len(self.material.held_out.questions),
            "held_out_split": held_out_split(self.spec.dataset),
            "parameters": parameters,
            "trainable": trainable,
            "micro_batch": micro_batch,
            "base_weights": "shared" if self.weights.shared else "whole",
            "base_weights_reason": self.weights.reason,
            "parameters_here": parameters_here(model),
            **self.material.fingerprints,
        }

    def _finish(self, model: PeftModel, best: Best, stopped: bool, budget: Budget) -> None:
        recorded = _recorded(self.run)
        step = best.restore() or recorded.step
        controls = {}, {}
        if not stopped:
            controls = control_scores(self.spec, model.eval(), self.tokenizer, budget)
        scores = self._save(model, recorded, step, *controls)
        self.write("stopped" if stopped else "done", step=recorded.step, seconds=self.clock.seconds, scores=scores)

    def _save_despite(self, error: Exception, best: Best) -> str:
        """What was finished before a failure: the best adapter, where it beats the base; the sentence that says so."""
        try:
            recorded = _recorded(self.run)
            base = next((event for event in recorded.evaluations if event["step"] == 0), None)
            if not ranks.first() or not best.beats(base):
                return ""
            step = best.restore()
            self._save(best.model, recorded, step, {}, {})
            return f"The adapter of step {step:,}, the best so far, is saved."
        except Exception:
            # What ended the training is to be told, not what this met on top of it; the log has both.
            traceback.print_exc()
            return ""
        finally:
            # One that fails alone leaves the others where they don't come here.
            if isinstance(error, Diverged):
                ranks.meet()

    def _save(self, model: PeftModel, recorded: Progress, step: int, controls: dict, certainty: dict) -> dict:
        """The model as it is, of this step, becomes the run's adapter. Returns its scores, `controls` among them."""
        scores = held_out_scores(self.spec, recorded, step) | controls
        card = {
            "base_model": self.spec.base_model,
            "base_revision": revision(str(self.base_folder)),
            "dataset": self.spec.dataset,
            "rows": len(self.material.questions),
            "rows_sha256": self.material.fingerprints["rows_sha256"],
            "left_out": self.material.loaded.skipped_by_reason,
            "spec": self.spec.to_json(),
            "step": step,
            "steps": recorded.step,
            "total_steps": recorded.total_steps,
            "seconds": self.clock.seconds,
            "scores": scores,
            "certainty": held_out_certainty(self.spec, recorded, step) | certainty,
            "held_out_options": trust.options_of(self.material.held_out.questions),
            "device": self.device.badge_of(ranks.count()),
            "versions": {name: version(name) for name in PACKAGES},
        }
        save_adapter(self.run, model, card, self.material.questions)
        return scores


def _evaluation_steps(spec: RunSpec, total: int) -> frozenset[int]:
    return frozenset(max(1, round(total * i / spec.evaluations)) for i in range(1, spec.evaluations + 1))


def is_packed(model: PeftModel, device: Device, longest: int, rows: int) -> bool:
    """Whether its batches are to be packed: on a GPU, where its attention can keep rows apart."""
    base = model.get_base_model()
    return device.torch_name == "cuda" and packing.kernel_runs(base) and packing.use(base, longest, rows)


def _arguments(run: Run, spec: RunSpec, device: Device, total: int, micro_batch: int) -> TrainingArguments:
    arguments = TrainingArguments(
        output_dir=str(run.folder / "checkpoints"),
        max_steps=total,
        per_device_train_batch_size=micro_batch,
        gradient_accumulation_steps=_rows_of_each_rank(spec) // micro_batch,
        learning_rate=spec.learning_rate,
        lr_scheduler_type=spec.schedule,
        # Less than a step would be rounded up to one, whose rate is 0: a run of one step would learn nothing.
        warmup_steps=spec.warmup if spec.warmup * total >= 1 else 0,
        optim="adamw_torch_fused",
        # The reporter's work: Trainer would make a GPU wait after every step.
        logging_strategy="no",
        logging_nan_inf_filter=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        use_cpu=device.torch_name == "cpu",
        dataloader_pin_memory=device.torch_name == "cuda",
        # LoRA starts the same in every rank; from here on, each has a dropout of its own.
        seed=spec.seed + ranks.number(),
    )
    # One device per run: on a host with several, Trainer would wrap the model in DataParallel and multiply the batch.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def _recorded(run: Run) -> Progress:
    return progress(EventReader(run).read(), alive=True, has_checkpoint=False)
