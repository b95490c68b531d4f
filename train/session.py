"""One fine-tuning session: set up, train, save. Reads the run's spec, writes its events, checkpoints and adapter."""

from __future__ import annotations

import gc
import json
import random
import shutil
from dataclasses import dataclass, replace
from importlib.metadata import version

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedTokenizerBase, TrainingArguments, set_seed
from transformers.pytorch_utils import Conv1D

from medqa import datasets
from medqa import device as devices
from medqa.datasets import fingerprint, held_out_split
from medqa.datasets.rows import DatasetError, Loaded
from medqa.device import Device
from medqa.model import load_base, load_tokenizer, revision
from medqa.prompt import Example, training_example
from medqa.question import Question
from medqa.runs import EventReader, EventWriter, Progress, Run, progress
from medqa.settings import from_environment
from medqa.spec import ALL_LINEAR, RunSpec
from train.failures import TrainingFailed, is_out_of_memory
from train.reporting import Clock, HeldOut, Reporter, score_correct
from train.trainer import Examples, LabelTrainer, LengthSortedSampler

EVALUATION_TOKENS = {"cpu": 4096, "cuda": 65_536}
# Splits beside the held-out one that show what fine-tuning does not teach; scored once, at the end.
CONTROL_SPLITS = {"handbook": ("read", "unknown")}
CONTROL_QUESTIONS = 200


@dataclass(frozen=True)
class Material:
    """What a run learns from and is measured on."""

    questions: tuple[Question, ...]
    examples: tuple[Example, ...]
    too_long: int
    loaded: Loaded
    held_out: HeldOut


def train(run: Run, write: EventWriter) -> None:
    """Raises TrainingFailed, DatasetError, ModelError and whatever the libraries raise; see failures.py."""
    spec = run.spec
    settings = from_environment()
    device = devices.choose(settings.device)
    if spec.precision != "auto":
        device = replace(device, dtype=getattr(torch, spec.precision), reason="the run's own setting")
    _recover_renamed_adapter(run)
    before = progress(EventReader(run).read(), alive=True, has_checkpoint=False)
    clock = Clock(before.steps[-1]["seconds"] if before.steps else 0.0)
    tokenizer = load_tokenizer(spec.base_model)
    material = prepare(spec, tokenizer, device, write)

    micro_batch = spec.batch_size
    while True:
        try:
            return _attempt(run, write, spec, device, tokenizer, material, clock, micro_batch)
        except Exception as error:
            if not is_out_of_memory(error) or micro_batch == 1:
                raise
        # Outside the except block: the exception's traceback would keep the tensors alive.
        gc.collect()
        if device.torch_name == "cuda":
            torch.cuda.empty_cache()
        smaller = max(size for size in range(1, micro_batch) if spec.batch_size % size == 0)
        write("note", message=f"Out of memory with {micro_batch} examples at a time: going on with {smaller}, "
                              f"accumulated to the same effective batch of {spec.batch_size}.")  # fmt: skip
        micro_batch = smaller


def prepare(spec: RunSpec, tokenizer: PreTrainedTokenizerBase, device: Device, write: EventWriter) -> Material:
    """Load and tokenise. Raises DatasetError when nothing is left to train on."""
    loaded = datasets.load(spec.dataset, "train", limit=spec.rows, seed=spec.seed, cop_base=spec.cop_base)
    pairs = [(question, training_example(question, tokenizer, spec.max_length)) for question in loaded.questions]
    kept = [(question, example) for question, example in pairs if example is not None]
    if not kept:
        raise DatasetError(
            f"None of the {len(pairs)} questions of {spec.dataset} fits into {spec.max_length} tokens. "
            "Raise the maximum length."
        )
    questions, examples = zip(*kept, strict=True)
    try:
        held_out = _held_out(spec, tokenizer, EVALUATION_TOKENS[device.torch_name])
    except DatasetError as error:
        write("note", message=f"Accuracy is not measured in this run: {error}")
        held_out = HeldOut([], [], 1)
    return Material(questions, examples, len(pairs) - len(kept), loaded, held_out)


def _held_out(spec: RunSpec, tokenizer: PreTrainedTokenizerBase, tokens_per_batch: int) -> HeldOut:
    available = datasets.load(spec.dataset, held_out_split(spec.dataset), cop_base=spec.cop_base).questions
    # By a seed of its own: runs of different seeds are measured on the same questions.
    drawn = random.Random(0).sample(available, min(spec.evaluation_questions, len(available)))
    pairs = [(question, training_example(question, tokenizer, spec.max_length)) for question in drawn]
    kept = [(question, example) for question, example in pairs if example is not None]
    return HeldOut([q for q, _ in kept], [e for _, e in kept], tokens_per_batch)


def _attempt(
    run: Run,
    write: EventWriter,
    spec: RunSpec,
    device: Device,
    tokenizer: PreTrainedTokenizerBase,
    material: Material,
    clock: Clock,
    micro_batch: int,
) -> None:
    set_seed(spec.seed)
    material.held_out.tokens_per_batch = EVALUATION_TOKENS[device.torch_name] * micro_batch // spec.batch_size
    model = _with_lora(spec, device)
    checkpoint = next(iter(run.checkpoints()), None)
    from_step = int(checkpoint.name.split("-")[1]) if checkpoint else 0
    total = spec.steps(len(material.examples))
    write("prepared", from_step=from_step, total_steps=total, **_facts(spec, device, model, material, micro_batch))
    reporter = Reporter(
        run,
        write,
        clock,
        device,
        lambda: material.held_out.measure(model.get_base_model(), tokenizer),
        evaluate_at=_evaluation_steps(spec, total) if material.held_out.questions else frozenset(),
        save_every=max(1, min(500, total // 5)),
    )
    recorded = _progress(run)
    if material.held_out.questions and not any(event["step"] == 0 for event in recorded.evaluations):
        # LoRA's second matrix starts at zero, so before the first step the adapter is the base model.
        reporter.evaluate(0)
    sampler = LengthSortedSampler([len(e.input_ids) for e in material.examples], spec.batch_size, spec.seed)
    trainer = LabelTrainer(
        model=model,
        args=_arguments(run, spec, device, total, micro_batch),
        train_dataset=Examples(material.examples),
        sampler=sampler,
        callbacks=[reporter],
    )
    reporter.tokens_seen = lambda: trainer.tokens_seen
    if from_step < total:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    else:
        trainer._load_from_checkpoint(str(checkpoint), model)
    _finish(run, write, spec, device, tokenizer, material, clock, model, stopped=reporter.stopped)


def _evaluation_steps(spec: RunSpec, total: int) -> frozenset[int]:
    return frozenset(max(1, round(total * i / spec.evaluations)) for i in range(1, spec.evaluations + 1))


def _with_lora(spec: RunSpec, device: Device) -> PeftModel:
    base = load_base(spec.base_model, device)
    targets = ALL_LINEAR if spec.target_modules == (ALL_LINEAR,) else list(spec.target_modules)
    # Not the output layer: answers are scored with its own weights, in float32.
    head = base.get_output_embeddings()
    linear = [n for n, m in base.named_modules() if isinstance(m, torch.nn.Linear | Conv1D) and m is not head]
    layers = sorted({name.split(".")[-1] for name in linear})
    missing = [name for name in targets if name not in layers] if targets != ALL_LINEAR else []
    if missing:
        raise TrainingFailed(
            f"{spec.base_model} has no layers called {', '.join(missing)} that LoRA can train here. "
            f"It has: {', '.join(layers)}."
        )
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=spec.lora_rank,
        lora_alpha=spec.lora_alpha,
        lora_dropout=spec.lora_dropout,
        target_modules=targets,
    )
    return get_peft_model(base, config)


def _arguments(run: Run, spec: RunSpec, device: Device, total: int, micro_batch: int) -> TrainingArguments:
    arguments = TrainingArguments(
        output_dir=str(run.folder / "checkpoints"),
        max_steps=total,
        per_device_train_batch_size=micro_batch,
        gradient_accumulation_steps=spec.batch_size // micro_batch,
        learning_rate=spec.learning_rate,
        lr_scheduler_type=spec.schedule,
        warmup_steps=spec.warmup,
        optim="adamw_torch_fused",
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no",
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        use_cpu=device.torch_name == "cpu",
        dataloader_pin_memory=device.torch_name == "cuda",
        seed=spec.seed,
    )
    # One device per run: on a host with several, Trainer would wrap the model in DataParallel and multiply the batch.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def _facts(spec: RunSpec, device: Device, model: PeftModel, material: Material, micro_batch: int) -> dict:
    trainable, parameters = model.get_nb_trainable_parameters()
    return {
        "device": device.badge,
        "device_reason": device.reason,
        "rows": len(material.examples),
        "left_out": material.loaded.skipped_by_reason,
        "too_long": material.too_long,
        "cut": sum(example.cut for example in material.examples),
        "tokens_per_epoch": sum(len(example.input_ids) for example in material.examples),
        "held_out": len(material.held_out.questions),
        "held_out_split": held_out_split(spec.dataset),
        "parameters": parameters,
        "trainable": trainable,
        "micro_batch": micro_batch,
    }


def _finish(run, write, spec, device, tokenizer, material, clock, model: PeftModel, stopped: bool) -> None:
    recorded = _progress(run)
    scores = {held_out_split(spec.dataset): _before_and_after(recorded)}
    if not stopped:
        scores |= _control_scores(spec, model.eval(), tokenizer, material.held_out.tokens_per_batch)
    card = {
        "base_model": spec.base_model,
        "base_revision": revision(spec.base_model),
        "dataset": spec.dataset,
        "rows": len(material.questions),
        "rows_sha256": fingerprint(material.questions),
        "spec": spec.to_json(),
        "steps": recorded.step,
        "total_steps": recorded.total_steps,
        "seconds": clock.seconds,
        "scores": scores,
        "device": device.badge,
        "versions": {name: version(name) for name in ("torch", "transformers", "peft", "accelerate", "datasets")},
    }
    save_adapter(run, model, card)
    write("stopped" if stopped else "done", step=recorded.step, seconds=clock.seconds, scores=scores)


def _before_and_after(recorded: Progress) -> dict:
    measured = [event for event in recorded.evaluations if event["total"]]
    if not measured:
        return {}
    before = measured[0] if measured[0]["step"] == 0 else None
    # Stopped before it was measured again, a run has a score before and none after.
    chosen = {"before": before, "after": measured[-1] if measured[-1]["step"] else None}
    return {name: {k: e[k] for k in ("step", "correct", "total", "loss")} for name, e in chosen.items() if e}


def _control_scores(spec: RunSpec, model: PeftModel, tokenizer: PreTrainedTokenizerBase, tokens_per_batch: int) -> dict:
    scores = {}
    for split in CONTROL_SPLITS.get(spec.dataset, ()):
        available = datasets.load(spec.dataset, split).questions
        drawn = random.Random(0).sample(available, min(CONTROL_QUESTIONS, len(available)))
        with torch.inference_mode():
            after = score_correct(model.get_base_model(), tokenizer, drawn, tokens_per_batch)
            with model.disable_adapter():
                before = score_correct(model.get_base_model(), tokenizer, drawn, tokens_per_batch)
        counted = {"before": before, "after": after}
        scores[split] = {name: {"correct": sum(right), "total": len(right)} for name, right in counted.items()}
    return scores


def save_adapter(run: Run, model: PeftModel, card: dict) -> None:
    """Write beside, then rename: a folder called `adapter` is always whole."""
    part, old = run.folder / "adapter.part", run.folder / "adapter.old"
    shutil.rmtree(part, ignore_errors=True)
    # The name the run was given, not the folder it was found in: an adapter moves between machines.
    model.peft_config["default"].base_model_name_or_path = card["base_model"]
    # LoRA changes no embeddings; left to itself PEFT asks the Hub whether the vocabulary grew.
    model.save_pretrained(part, save_embedding_layers=False)
    (part / "medqa.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    if run.adapter.exists():
        run.adapter.rename(old)
    part.rename(run.adapter)
    shutil.rmtree(old, ignore_errors=True)


def _recover_renamed_adapter(run: Run) -> None:
    old = run.folder / "adapter.old"
    if old.exists() and not run.adapter.exists():
        old.rename(run.adapter)


def _progress(run: Run) -> Progress:
    return progress(EventReader(run).read(), alive=True, has_checkpoint=False)
