"""What a run will take, before it starts: steps, tokens, memory, time once measured; and what it will read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from medqa import runs
from medqa.base_model import ModelError, locate
from medqa.passes import LOGITS, TOKENS_AT_ONCE
from medqa.spec import ALL_LINEAR, RunSpec

if TYPE_CHECKING:
    from medqa.datasets import Loaded
    from medqa.device import Device

BYTES = {"bfloat16": 2, "float32": 4}
# Of a device's free memory; a base that takes more is shared out, since activations and logits want room too.
MOST_FOR_WEIGHTS = 0.5
# Three float32 values: the product, its share and the share of the block before; a gradient takes the product's place.
LOGIT_BYTES = 12
# FSDP2 gathers the next layer while one computes.
LAYERS_GATHERED = 2


@dataclass(frozen=True)
class Shape:
    """What memory depends on. `hidden` and `mlp` are widths; of the `parameters` of the base some are `in_layers`."""

    parameters: int
    in_layers: int
    layers: int
    hidden: int
    mlp: int
    vocabulary: int
    trainable: int


@dataclass(frozen=True)
class Estimate:
    """`memory_bytes`: of each of the devices. `measured_by` names the run whose pace `seconds` goes by.

    `seconds` is None where no run on as many of these devices has measured this base model. `shared`: they share the
    base's weights.
    """

    examples: int
    steps: int
    tokens: int
    memory_bytes: int
    seconds: float | None
    measured_by: str | None
    devices: int = 1
    shared: bool = False


@dataclass(frozen=True)
class BaseWeights:
    """How each device holds the frozen base, whole or its share of the layers, and why."""

    shared: bool
    reason: str


def base_weights(spec: RunSpec, parameters: int, dtype: str, free: int) -> BaseWeights:
    """`parameters`: of the base model; `free`: bytes of the device that has the fewest."""
    if spec.devices == 1:
        return BaseWeights(False, "one device holds them whole")
    if spec.base_weights != "auto":
        return BaseWeights(spec.base_weights == "shared", "the run's own setting")
    weights = parameters * BYTES[dtype]
    shared = weights > MOST_FOR_WEIGHTS * free
    size, room = (f"{count / 2**30:.1f} GB" for count in (weights, free))
    than = f"{'more' if shared else 'no more'} than {MOST_FOR_WEIGHTS:.0%}"
    return BaseWeights(shared, f"they take {size}, {than} of the {room} free on a device")


def estimate(
    spec: RunSpec,
    lengths: list[int],
    examples: int,
    shape: Shape,
    device: Device,
    pace: Pace | None,
    shared: bool = False,
) -> Estimate:
    """`lengths`: tokens of a sample of the examples; `examples`: how many there will be."""
    steps = spec.steps(examples)
    # Of an epoch's batches only the last is short.
    epochs, more = divmod(steps, -(-examples // spec.batch_size))
    tokens = round(sum(lengths) / len(lengths) * (epochs * examples + more * spec.batch_size))
    return Estimate(
        examples=examples,
        steps=steps,
        tokens=tokens,
        memory_bytes=memory_bytes(spec, max(lengths), shape, device, shared),
        seconds=tokens / pace.tokens_per_second if pace else None,
        measured_by=pace.run if pace else None,
        devices=spec.devices,
        shared=shared,
    )


def memory_bytes(spec: RunSpec, longest: int, shape: Shape, device: Device, shared: bool = False) -> int:
    """Of each device: weights, LoRA with gradients and AdamW's two moments (float32), a pass's activations and logits.

    A pass takes the device's share of one effective batch, or the part of it that goes through at a time; all the rest
    each device holds whole, or of shared weights its part of the layers and two layers that are gathered.
    Activations kept for the backward pass per token and layer: about 10 vectors of the hidden width and 4 of the MLP's,
    which is what Qwen3's block saves without recomputation. About a third of the positions have logits, a block of them
    at a time, in some 12 bytes each. (Peaks of medqa-nano on a CPU, 2 to 16 rows: within 15 % of this.)
    """
    wide = BYTES[device.dtype_name]
    weights = shape.parameters * wide
    if shared:
        weights -= shape.in_layers * wide * max(0, 1 - 1 / spec.devices - LAYERS_GATHERED / shape.layers)
    lora = shape.trainable * 4 * 4
    positions = min(spec.batch_size / spec.devices * longest, max(TOKENS_AT_ONCE[device.torch_name], longest))
    kept = positions * shape.layers * (10 * shape.hidden + 4 * shape.mlp) * wide
    logits = min(positions / 3 * shape.vocabulary, LOGITS[device.torch_name]) * LOGIT_BYTES
    return round(weights + lora + kept + logits)


@dataclass(frozen=True)
class Pace:
    tokens_per_second: float
    run: str


def pace(base_model: str, device_badge: str, folder: Path) -> Pace | None:
    """The speed of the newest run with this base model that made at least ten steps on what the badge says.

    Of a run that was resumed only what came after counts: it may have had other devices before.
    """
    for run in runs.all_runs(folder):
        try:
            if run.spec.base_model != base_model:
                continue
        except runs.RunError:
            continue
        seen = runs.progress_of(run)
        steps = [step for step in seen.steps if step["step"] > seen.prepared.get("from_step", 0)]
        if seen.prepared.get("device") == device_badge and len(steps) >= 10:
            rates = sorted(step["tokens_per_second"] for step in steps[1:])
            return Pace(rates[len(rates) // 2], run.name)
    return None


@dataclass(frozen=True)
class Rendered:
    """A training example as text: the prompt, where there is no loss, and the part that is learned."""

    prompt: str
    learned: str
    tokens: int
    masked: int


@dataclass(frozen=True)
class Preview:
    examples: tuple[Rendered, ...]
    estimate: Estimate
    loaded: Loaded
    sampled: int
    cut: int
    too_long: int


def preview(spec: RunSpec, folder: Path, device: Device, shown: int = 3, sample: int = 200) -> Preview:
    """Load the data and render its first examples. `cut` and `too_long` are of the `sampled` examples.

    Raises DatasetError and ModelError, as the run itself would.
    """
    import torch

    from medqa import datasets
    from medqa import device as devices
    from medqa.model import load_tokenizer
    from medqa.prompt import training_examples

    loaded = datasets.load(spec.dataset, "train", spec.rows, spec.seed, spec.cop_base, spec.disputed_rows)
    tokenizer = load_tokenizer(spec.base_model)
    drawn = loaded.questions[:: max(1, len(loaded.questions) // sample)][:sample]
    examples = list(training_examples(drawn, tokenizer, spec.max_length))
    kept = [example for example in examples if example is not None]
    if not kept:
        raise datasets.DatasetError(
            f"None of {len(drawn)} questions of {spec.dataset} fits into {spec.max_length} tokens. "
            "Raise the maximum length."
        )
    if spec.precision != "auto":
        device = replace(device, dtype=getattr(torch, spec.precision))
    speed = pace(spec.base_model, device.badge_of(spec.devices), folder)
    shape = shape_of(spec.base_model, spec.lora_rank, spec.target_modules)
    free = devices.free_memory(device, spec.devices)
    weights = base_weights(spec, shape.parameters, device.dtype_name, free)
    lengths = [len(example.input_ids) for example in kept]
    return Preview(
        examples=tuple(
            Rendered(
                tokenizer.decode(example.input_ids[: example.first_label]),
                tokenizer.decode(example.input_ids[example.first_label :]),
                len(example.input_ids),
                example.first_label,
            )
            for example in kept[:shown]
        ),
        estimate=estimate(spec, lengths, len(loaded.questions), shape, device, speed, weights.shared),
        loaded=loaded,
        sampled=len(drawn),
        cut=sum(example.cut for example in kept),
        too_long=len(examples) - len(kept),
    )


@lru_cache(maxsize=16)
def shape_of(base_model: str, rank: int, targets: tuple[str, ...]) -> Shape:
    """From the configuration alone: the model is built without memory for its weights. Raises ModelError."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from medqa.model import decoder_layers, linear_layers

    try:
        folder = locate(base_model, weights=False)
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ModelError(f"The configuration of {base_model} can't be loaded: {error}") from error
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    linear = linear_layers(model)
    adapted = [m for n, m in linear.items() if targets == (ALL_LINEAR,) or n.split(".")[-1] in targets]
    return Shape(
        parameters=sum(p.numel() for p in model.parameters()),
        in_layers=sum(p.numel() for layer in decoder_layers(model) for p in layer.parameters()),
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        # GPT-2's configuration has none, and means this.
        mlp=getattr(config, "intermediate_size", 4 * config.hidden_size),
        vocabulary=config.vocab_size,
        trainable=sum(rank * sum(m.weight.shape) for m in adapted),
    )
