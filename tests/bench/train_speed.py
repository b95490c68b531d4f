"""How fast we train beside the published recipe and TRL: the same model, rows, LoRA shape, effective batch and epochs.

    .venv/bin/python -m pip install -r tests/bench/requirements.txt     # TRL; everything else it needs is there
    python tests/bench/train_speed.py [--data path/to/medmcqa] [--sizes nano 27m 1.7b] [--rounds 3] [--rows 160]

One JSON line per figure. Every run is a process of its own; the peers take turns for so many rounds, each round another
one first, and the ratios are of medians. A peer whose packages are missing is named in a line of its own.

- ours: train.session's model and arguments with LabelTrainer: the device's own dtype, no LoRA dropout. It writes an
  event a step and saves its checkpoint at the end, which the others need not.
- recipe: the published project's transformers.Trainer: float32 on the CPU and bfloat16 with checkpointing on a GPU,
  loss on prompt and answer alike, 4 × 4 rows, dropout 0.05.
- trl: SFTTrainer with 8 × 2 rows and its own defaults, loss on the answer like ours, no LoRA dropout.

All three read the very same token ids, those of training_example, and follow the same learning rate. The weights are
random and the tokenizer is medqa-nano's, so at 1.7b most of the 151,936 rows of the vocabulary are never asked for.
Without `--data` the rows are the handbook's, which are shorter than MedMCQA's and flatter a projection.

`seconds` is trainer.train() alone: no loading, tokenising or evaluation. `steady_samples_per_second` is that of the
second half of its steps, when all that happens once has happened (a GPU's graphs are captured); projections and
`steady_share_of_peak` go by it.
Tokens are those of the rows, without padding. FLOP are 4 per parameter of the base model and token (2 forward, 2
backward through frozen weights). Memory is the resident size of the process on the CPU, what PyTorch allocated on a
GPU, at its highest by the end of training. The loss is that of held-out answers and explanations, in nats per token,
all models taken to float32 for it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from peft import LoraConfig, get_peft_model
from transformers import Qwen3Config, Qwen3ForCausalLM, Trainer, TrainerCallback, TrainingArguments, set_seed

from medqa import datasets, launch
from medqa import device as devices
from medqa.datasets import held_out_split
from medqa.device import Device
from medqa.model import load_base, load_tokenizer
from medqa.prompt import Example, training_example
from medqa.runs import EventWriter, Run
from medqa.settings import ASSETS, EMBEDDED, from_environment
from medqa.spec import RunSpec
from train import session
from train.best import Best
from train.lora import with_lora
from train.reporting import Clock, Reporter
from train.trainer import (
    BATCHES_PER_SORT_PACKED,
    Examples,
    LabelTrainer,
    LengthSortedSampler,
    collate,
    label_loss,
)

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
SIZES = {
    "nano": {"hidden_size": 256, "num_hidden_layers": 6, "intermediate_size": 768, "heads": (4, 2, 64)},
    "27m": {"hidden_size": 512, "num_hidden_layers": 8, "intermediate_size": 1408, "heads": (8, 4, 64)},
    "1.7b": {
        "hidden_size": 2048,
        "num_hidden_layers": 28,
        "intermediate_size": 6144,
        "heads": (16, 8, 128),
        "vocab_size": 151_936,
    },
}
# Whole batches, and no more rows than the handbook has.
ROWS_AND_EPOCHS = {"cpu": (160, 1.0), "cuda": (960, 2.0)}
# The two jobs of the presets, at the speed measured: the recipe's own, and all of MedMCQA.
PROJECTED = ((2000, 2), (182_822, 1))
HELD_OUT = 64
RECIPE_DROPOUT = 0.05
MEASURED = (
    "seconds",
    "samples_per_second",
    "steady_samples_per_second",
    "tokens_per_second",
    "peak_memory_mib",
    "model_gflop_per_second",
    "matmul_peak_gflop_per_second",
    "share_of_peak",
    "steady_share_of_peak",
    "loss",
)
MATMUL_WIDTHS = {"cpu": (1024, 2048, 4096), "cuda": (4096, 8192, 16_384)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, help="default: nano and 27m, on a GPU also 1.7b")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, help="default: 160, on a GPU 960")
    parser.add_argument("--epochs", type=float, help="default: 1, on a GPU 2")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", default="handbook", help="a data set's name, or a folder such as path/to/medmcqa")
    parser.add_argument("--child", choices=PEERS, help="train once, in this process, and print one line")
    parser.add_argument("--model", help="the child's base model")
    chosen = parser.parse_args()
    device = devices.choose(from_environment().device)
    rows, epochs = ROWS_AND_EPOCHS[device.torch_name]
    spec = RunSpec(
        base_model=chosen.model or "",
        dataset=chosen.data,
        rows=chosen.rows or rows,
        epochs=chosen.epochs or epochs,
        seed=chosen.seed,
    )
    if chosen.child:
        if not chosen.model:
            parser.error("--child needs --model, the folder of a base model.")
        print(json.dumps(measured(chosen.child, spec, device)))
        return
    say("setting", device=device.badge, threads=torch.get_num_threads(), torch=torch.__version__, rows=spec.rows,
        epochs=spec.epochs, effective_batch=spec.batch_size, dataset=spec.dataset, seed=spec.seed)  # fmt: skip
    for size in chosen.sizes or [name for name in SIZES if name != "1.7b" or device.torch_name == "cuda"]:
        with tempfile.TemporaryDirectory() as folder:
            save_random_model(size, Path(folder))
            compare(size, folder, chosen.peers, chosen.rounds, spec)


def save_random_model(size: str, folder: Path) -> None:
    """In bfloat16, as Qwen3 is published: each peer then loads it in the dtype it trains in."""
    heads, key_value_heads, head_dim = SIZES[size]["heads"]
    shape = {"vocab_size": 8192} | {name: value for name, value in SIZES[size].items() if name != "heads"}
    config = Qwen3Config(
        num_attention_heads=heads,
        num_key_value_heads=key_value_heads,
        head_dim=head_dim,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        eos_token_id=2,
        pad_token_id=0,
        **shape,
    )
    torch.manual_seed(0)
    Qwen3ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    for name in TOKENIZER_FILES:
        shutil.copy(ASSETS / EMBEDDED / name, folder)


# The parent: processes in turn, medians, ratios


def compare(size: str, folder: str, peers: list[str], rounds: int, spec: RunSpec) -> None:
    results: dict[str, list[dict]] = {peer: [] for peer in peers}
    missing = set()
    for i in range(rounds):
        first = i % len(peers)
        for peer in [*peers[first:], *peers[:first]]:
            if peer in missing:
                continue
            result = in_a_process(peer, folder, spec)
            if "missing" in result:
                missing.add(peer)
                say("missing", size=size, peer=peer, reason=result["missing"])
                continue
            results[peer].append(result)
            say("run", size=size, round=i + 1, peer=peer, **result)
    medians = {
        peer: {name: round(median(result[name] for result in made), 5) for name in MEASURED}
        for peer, made in results.items()
        if made
    }
    for peer, values in medians.items():
        say("median", size=size, peer=peer, rounds=len(results[peer]), **values)
    if "ours" not in medians:
        return
    ours = medians["ours"]
    for peer, theirs in medians.items():
        if peer == "ours":
            continue
        say(
            "ratio",
            size=size,
            ours_to=peer,
            samples_per_second=round(ours["samples_per_second"] / theirs["samples_per_second"], 2),
            peak_memory=round(ours["peak_memory_mib"] / theirs["peak_memory_mib"], 2),
            loss_difference=round(ours["loss"] - theirs["loss"], 5),
        )
    if size == "1.7b":
        for rows, epochs in PROJECTED:
            seconds = rows * epochs / ours["steady_samples_per_second"]
            say("projection", size=size, rows=rows, epochs=epochs, seconds=round(seconds, 1))


def in_a_process(peer: str, folder: str, spec: RunSpec) -> dict:
    options = {
        "--child": peer,
        "--model": folder,
        "--rows": spec.rows,
        "--epochs": spec.epochs,
        "--seed": spec.seed,
        "--data": spec.dataset,
    }
    done = subprocess.run(
        [sys.executable, __file__, *(str(word) for pair in options.items() for word in pair)],
        capture_output=True,
        text=True,
        # One GPU: on a host with several, the peers would wrap the model in DataParallel and multiply their batch.
        # Ours as the launcher starts it; the peers as a user would.
        env={"CUDA_VISIBLE_DEVICES": "0", **(launch.environment() if peer == "ours" else os.environ)},
    )
    if done.returncode:
        sys.exit(f"{done.stderr}\n{peer} ended with {done.returncode}.")
    return json.loads(done.stdout.splitlines()[-1])


def say(figure: str, **values: object) -> None:
    print(json.dumps({"figure": figure, **values}, ensure_ascii=False), flush=True)


# The child: one peer, trained and measured


def measured(peer: str, spec: RunSpec, device: Device) -> dict:
    """`missing`, or the figures of one training."""
    tokenizer = load_tokenizer(spec.base_model)
    examples = explained_examples(spec, "train", spec.rows, tokenizer)
    held_out = explained_examples(spec, held_out_split(spec.dataset), HELD_OUT, tokenizer)
    set_seed(spec.seed)
    with tempfile.TemporaryDirectory() as folder:
        try:
            trainer = PEERS[peer](spec, device, tokenizer, examples, folder)
        except ImportError as error:
            return {"missing": " ".join(str(error).split())}
        ends = StepEnds()
        trainer.add_callback(ends)
        wait_for(device)
        began = time.perf_counter()
        trainer.train()
        wait_for(device)
        seconds = time.perf_counter() - began
    memory = peak_memory(device)
    trainable, parameters = trainer.model.get_nb_trainable_parameters()
    passed = spec.epochs * len(examples)
    steady = spec.batch_size * ends.steady_steps_per_second()
    tokens_per_second = spec.epochs * sum(len(example.input_ids) for example in examples) / seconds
    model_flops = 4 * (parameters - trainable) * tokens_per_second
    peak = matmul_peak(device)
    # Of the base weights: read before they are taken to float32.
    dtype = str(trainer.model.dtype).removeprefix("torch.")
    base = trainer.model.get_base_model().float().eval()
    with trainer.model.disable_adapter():
        untrained = held_out_loss(base, held_out)
    return {
        "dtype": dtype,
        "dropout": trainer.model.peft_config["default"].lora_dropout,
        "parameters": parameters - trainable,
        "trainable": trainable,
        "steps": trainer.state.global_step,
        "seconds": round(seconds, 2),
        "samples_per_second": round(passed / seconds, 3),
        "steady_samples_per_second": round(steady, 3),
        "tokens_per_second": round(tokens_per_second),
        "peak_memory_mib": round(memory / 2**20),
        "model_gflop_per_second": round(model_flops / 1e9, 1),
        "matmul_peak_gflop_per_second": round(peak / 1e9, 1),
        "share_of_peak": round(model_flops / peak, 4),
        "steady_share_of_peak": round(model_flops / peak * steady * seconds / passed, 4),
        "loss_untrained": round(untrained, 5),
        "loss": round(held_out_loss(base, held_out), 5),
    }


class StepEnds(TrainerCallback):
    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_step_end(self, args, state, control, **others):
        self.seconds.append(time.perf_counter())

    def steady_steps_per_second(self) -> float:
        later = self.seconds[len(self.seconds) // 2 :]
        return (len(later) - 1) / (later[-1] - later[0]) if len(later) > 1 else 0.0


def explained_examples(spec: RunSpec, split: str, wanted: int, tokenizer) -> list[Example]:
    """Drawn by the seed from the rows that have an explanation and fit."""
    explained = [question for question in datasets.load(spec.dataset, split).questions if question.explanation]
    order = random.Random(spec.seed).sample(explained, len(explained))
    fitting = filter(None, (training_example(question, tokenizer, spec.max_length) for question in order))
    examples = list(islice(fitting, wanted))
    if len(examples) < wanted:
        sys.exit(f"{wanted:,} rows asked for; {spec.dataset} has {len(examples):,} explained ones in {split}.")
    return examples


def ours(spec: RunSpec, device: Device, tokenizer, examples: list[Example], folder: str) -> Trainer:
    lengths = [len(example.input_ids) for example in examples]
    model = with_lora(spec, device)
    packed = session.is_packed(model, device, max(lengths), spec.batch_size)
    sort = {"batches_per_sort": BATCHES_PER_SORT_PACKED} if packed else {}
    run = Run(Path(folder))
    write, best = EventWriter(run), Best(run, model)
    reporter = Reporter(run, write, Clock(0.0), device, lambda step: {}, best, frozenset(), save_every=10**9)
    reporter.trainer = LabelTrainer(
        model=model,
        args=session._arguments(run, spec, device, spec.steps(len(examples)), spec.batch_size),
        train_dataset=Examples(examples),
        sampler=LengthSortedSampler(lengths, spec.batch_size, spec.seed, **sort),
        packed=packed,
        callbacks=[reporter],
    )
    return reporter.trainer


def recipe(spec: RunSpec, device: Device, tokenizer, examples: list[Example], folder: str) -> Trainer:
    from transformers import DataCollatorForLanguageModeling

    on_gpu = device.torch_name == "cuda"
    model = load_base(spec.base_model, device, device.dtype if on_gpu else torch.float32)
    model.config.use_cache = False
    if on_gpu:
        model.enable_input_require_grads()
    return Trainer(
        model=get_peft_model(model, lora(spec, RECIPE_DROPOUT)),
        args=TrainingArguments(
            per_device_train_batch_size=4,
            gradient_accumulation_steps=spec.batch_size // 4,
            gradient_checkpointing=on_gpu,
            bf16=on_gpu and device.dtype == torch.bfloat16,
            **shared_arguments(spec, device, folder),
        ),
        train_dataset=[{"input_ids": list(example.input_ids)} for example in examples],
        data_collator=DataCollatorForLanguageModeling(tokenizer, mlm=False),
    )


def trl(spec: RunSpec, device: Device, tokenizer, examples: list[Example], folder: str) -> Trainer:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    rows = [{"input_ids": list(example.input_ids), "labels": example.labels} for example in examples]
    return SFTTrainer(
        # By its path, so that the dtype is SFTTrainer's own choice too.
        model=spec.base_model,
        args=SFTConfig(
            gradient_accumulation_steps=spec.batch_size // 8,
            **shared_arguments(spec, device, folder),
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=lora(spec, spec.lora_dropout),
    )


PEERS = {"ours": ours, "recipe": recipe, "trl": trl}


def lora(spec: RunSpec, dropout: float) -> LoraConfig:
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=spec.lora_rank,
        lora_alpha=spec.lora_alpha,
        lora_dropout=dropout,
        target_modules=list(spec.target_modules),
    )


def shared_arguments(spec: RunSpec, device: Device, folder: str) -> dict:
    return {
        "output_dir": folder,
        "num_train_epochs": spec.epochs,
        "learning_rate": spec.learning_rate,
        "lr_scheduler_type": spec.schedule,
        "warmup_steps": spec.warmup,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": device.torch_name == "cpu",
        "seed": spec.seed,
    }


def wait_for(device: Device) -> None:
    if device.torch_name == "cuda":
        torch.cuda.synchronize()


def peak_memory(device: Device) -> int:
    """Bytes."""
    if device.torch_name == "cuda":
        return torch.cuda.max_memory_allocated()
    # Linux counts in KiB, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def matmul_peak(device: Device) -> float:
    """FLOP/s of the fastest of several square products, in the dtype we train in."""
    fastest = 0.0
    for width in MATMUL_WIDTHS[device.torch_name]:
        square = torch.randn(width, width, dtype=device.dtype, device=device.torch_name)
        for _ in range(4):
            wait_for(device)
            began = time.perf_counter()
            for _ in range(3):
                square @ square
            wait_for(device)
            fastest = max(fastest, 3 * 2 * width**3 / (time.perf_counter() - began))
    return fastest


@torch.inference_mode()
def held_out_loss(base, examples: list[Example], batch_size: int = 16) -> float:
    total, tokens = 0.0, 0
    for start in range(0, len(examples), batch_size):
        batch = collate(examples[start : start + batch_size])
        inputs = {name: batch[name].to(base.device) for name in ("input_ids", "labels")}
        total += label_loss(base, inputs).item()
        tokens += int((inputs["labels"][:, 1:] != -100).sum())
    return total / tokens


if __name__ == "__main__":
    main()
