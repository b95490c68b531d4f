"""What a run will take, before it starts: steps, tokens, memory, and time once a run has measured it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medqa import runs
from medqa.spec import RunSpec

BYTES = {"bfloat16": 2, "float32": 4}


@dataclass(frozen=True)
class Shape:
    """What memory depends on. `hidden` and `mlp` are widths, `parameters` those of the base model."""

    parameters: int
    layers: int
    hidden: int
    mlp: int
    vocabulary: int
    trainable: int


@dataclass(frozen=True)
class Estimate:
    """`seconds` is None where no finished run on this device has measured this base model; `measured_by` names the run."""

    examples: int
    steps: int
    tokens: int
    memory_bytes: int
    seconds: float | None
    measured_by: str | None


def estimate(spec: RunSpec, lengths: list[int], examples: int, shape: Shape, dtype: str, pace: Pace | None) -> Estimate:
    """`lengths`: tokens of a sample of the examples; `examples`: how many there will be."""
    mean = sum(lengths) / len(lengths)
    steps = spec.steps(examples)
    tokens = round(mean * steps * min(spec.batch_size, examples))
    return Estimate(
        examples=examples,
        steps=steps,
        tokens=tokens,
        memory_bytes=memory_bytes(spec, max(lengths), shape, dtype),
        seconds=tokens / pace.tokens_per_second if pace else None,
        measured_by=pace.run if pace else None,
    )


def memory_bytes(spec: RunSpec, longest: int, shape: Shape, dtype: str) -> int:
    """Weights, LoRA with gradients and AdamW's two moments (float32), and activations of one effective batch.

    Activations kept for the backward pass per token and layer: about 10 vectors of the hidden width and 4 of the MLP's,
    which is what Qwen3's block saves without recomputation; the logits count for a third of the positions in float32,
    twice (value and gradient).
    """
    wide = BYTES[dtype]
    weights = shape.parameters * wide
    lora = shape.trainable * 4 * 4
    positions = spec.batch_size * longest
    kept = positions * shape.layers * (10 * shape.hidden + 4 * shape.mlp) * wide
    logits = positions / 3 * shape.vocabulary * 4 * 2
    return round(weights + lora + kept + logits)


@dataclass(frozen=True)
class Pace:
    tokens_per_second: float
    run: str


def pace(base_model: str, device_badge: str, folder: Path) -> Pace | None:
    """The speed of the newest run with this base model on this device that made at least ten steps."""
    for run in runs.all_runs(folder):
        try:
            if run.spec.base_model != base_model:
                continue
        except runs.RunError:
            continue
        seen = runs.progress_of(run)
        if seen.prepared.get("device") == device_badge and len(seen.steps) >= 10:
            rates = sorted(step["tokens_per_second"] for step in seen.steps[1:])
            return Pace(rates[len(rates) // 2], run.name)
    return None


def lora_parameters(rank: int, shapes: list[tuple[int, int]]) -> int:
    """Parameters LoRA of this rank adds to linear layers of these (inputs, outputs)."""
    return sum(rank * (inputs + outputs) for inputs, outputs in shapes)
