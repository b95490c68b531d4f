"""Build medqa-nano from scratch: its tokenizer, then the model. Knows nothing of adapters or of exam questions.

It reads open text, then the handbook with it (never the *unknown* facts), as `train/reading.py` lays it out. Rerunning
the same command resumes from the last checkpoint.

    python -m train.pretrain --text FOLDER --out FOLDER
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn import functional
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from medqa.datasets import handbook
from train import reading
from train.held_out_text import bits_per_byte, held_out_texts
from train.reading import TURN_END, TURN_START, RoundRows, TextRows

SECONDS_BETWEEN_SAVES = 300
END_OF_TEXT = "<|endoftext|>"
# ChatML, as Qwen3 speaks it, without thinking blocks: nano never thinks, and every token costs training time.
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@dataclass(frozen=True)
class Stage:
    """The shares of the rows that come from each source; they sum to 1."""

    tokens: int
    text: float = 0.0
    dialogues: float = 0.0
    sentences: float = 0.0
    paragraphs: float = 0.0
    cards: float = 0.0
    notes: float = 0.0
    glossary: float = 0.0
    practice: float = 0.0


@dataclass(frozen=True)
class Pretraining:
    """Lengths in tokens unless named otherwise."""

    vocabulary: int = 8192
    hidden: int = 256
    layers: int = 6
    mlp: int = 768
    row: int = 256
    rows_per_step: int = 24
    stages: tuple[Stage, ...] = (
        Stage(10_168_320, text=1.0),
        Stage(
            10_500_000, text=0.08, dialogues=0.04, sentences=0.27, paragraphs=0.12,
            cards=0.13, notes=0.16, glossary=0.08, practice=0.12,
        ),
        Stage(
            5_500_000, text=0.04, dialogues=0.06, sentences=0.15, paragraphs=0.15,
            cards=0.1, notes=0.2, glossary=0.05, practice=0.25,
        ),
    )  # fmt: skip
    learning_rate: float = 2e-3
    warmup_steps: int = 100
    weight_decay: float = 0.1
    seed: int = 0

    def steps_of(self, stage: Stage) -> int:
        return stage.tokens // (self.row * self.rows_per_step)

    @property
    def steps(self) -> int:
        return sum(self.steps_of(stage) for stage in self.stages)

    def rate_at(self, step: int) -> float:
        """Linear warm-up, then linear to zero."""
        return self.learning_rate * min((step + 1) / self.warmup_steps, 1 - step / self.steps)


def build_tokenizer(texts: Iterator[str], vocabulary: int) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    # Single digits, as in Qwen: doses and ages stay comparable.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END_OF_TEXT, TURN_START, TURN_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=TURN_END, pad_token=END_OF_TEXT)
    wrapped.chat_template = CHAT_TEMPLATE
    return wrapped


def build_model(plan: Pretraining, tokenizer: PreTrainedTokenizerFast) -> Qwen3ForCausalLM:
    torch.manual_seed(plan.seed)
    config = Qwen3Config(
        vocab_size=plan.vocabulary,
        hidden_size=plan.hidden,
        num_hidden_layers=plan.layers,
        intermediate_size=plan.mlp,
        num_attention_heads=plan.hidden // 64,
        num_key_value_heads=plan.hidden // 128,
        head_dim=64,
        tie_word_embeddings=True,
        max_position_embeddings=2048,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return Qwen3ForCausalLM(config)


def batches(plan: Pretraining, sources: dict[str, TextRows | RoundRows]) -> Iterator[torch.Tensor]:
    """One batch per step; the same plan gives the same batches, so a resumed run skips what it has read."""
    choose = random.Random(plan.seed + 1)
    for stage in plan.stages:
        shares = [getattr(stage, name) for name in sources]
        for _ in range(plan.steps_of(stage)):
            names = choose.choices(list(sources), shares, k=plan.rows_per_step)
            yield torch.from_numpy(np.stack([sources[name].take() for name in names]).astype(np.int64))


def pretrain(plan: Pretraining, text_folder: Path, work: Path, minutes: float, stop_after: int | None = None) -> None:
    """Train to the end of the plan, or for `minutes`, or to step `stop_after`; `work` keeps all that resuming needs."""
    work.mkdir(parents=True, exist_ok=True)
    read = documents_read(text_folder)
    tokenizer = tokenizer_in(work, plan, read)
    model = build_model(plan, tokenizer)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=plan.learning_rate, betas=(0.9, 0.95), weight_decay=plan.weight_decay, fused=True
    )
    checkpoint = work / "checkpoint.pt"
    done = resume(checkpoint, model, optimizer)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, step {done} of {plan.steps}", flush=True)
    sources = sources_of(plan, read, tokenizer)
    began = saved = time.monotonic()
    last = min(plan.steps, stop_after or plan.steps)
    for step, batch in enumerate(islice(batches(plan, sources), done, None), done):
        ends = step >= last or time.monotonic() - began > minutes * 60
        if ends or time.monotonic() - saved > SECONDS_BETWEEN_SAVES:
            saved = time.monotonic()
            save_checkpoint(checkpoint, model, optimizer, step)
        if ends:
            return
        loss = take_step(model, optimizer, batch, plan.rate_at(step))
        if step % 20 == 0:
            note(work, {"step": step, "loss": round(loss.item(), 4), "seconds": round(time.monotonic() - began, 1)})
    save_checkpoint(checkpoint, model, optimizer, plan.steps)
    for name, texts in held_out_texts(text_folder).items():
        bits = bits_per_byte(model, tokenizer, texts)
        note(work, {"step": plan.steps, "text": name, "bits_per_byte": round(bits, 4)})
    finish(plan, model, tokenizer, text_folder, work)


def documents_read(folder: Path) -> list[tuple[str, str]]:
    """(what was asked, what was said) of each document but those held out."""
    return [
        (asked, said)
        for path in sorted(folder.glob("*.jsonl.gz"))
        for name, asked, said in reading.documents(path)
        if not reading.held_out(name)
    ]


def tokenizer_in(work: Path, plan: Pretraining, read: list[tuple[str, str]]) -> PreTrainedTokenizerFast:
    """Made of what is read the first time, and kept there."""
    if (work / "tokenizer.json").exists():
        return PreTrainedTokenizerFast.from_pretrained(work)
    tokenizer = build_tokenizer((reading.as_text(*document) for document in read), plan.vocabulary)
    tokenizer.save_pretrained(work)
    return tokenizer


def sources_of(
    plan: Pretraining, read: list[tuple[str, str]], tokenizer: PreTrainedTokenizerFast
) -> dict[str, TextRows | RoundRows]:
    """What a stage has shares of, by its names for them."""
    general = [reading.as_text(*document) for document in read]
    texts = reading.forms(handbook.facts_read(), handbook.facts_practised(), [pair for pair in read if pair[0]])
    rounds = {name: RoundRows(made, tokenizer, plan.row, plan.seed) for name, made in texts.items()}
    return {"text": TextRows(general, tokenizer, plan.row, plan.seed)} | rounds


def take_step(
    model: Qwen3ForCausalLM, optimizer: torch.optim.Optimizer, batch: torch.Tensor, rate: float
) -> torch.Tensor:
    """The loss before it."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model.model(input_ids=batch).last_hidden_state
        logits = model.lm_head(hidden[:, :-1].flatten(0, 1))
    loss = functional.cross_entropy(logits.float(), batch[:, 1:].flatten())
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    return loss.detach()


def resume(checkpoint: Path, model: Qwen3ForCausalLM, optimizer: torch.optim.Optimizer) -> int:
    """How many steps have been taken: 0 where there is no checkpoint."""
    if not checkpoint.exists():
        return 0
    state = torch.load(checkpoint, weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"]


def save_checkpoint(path: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    part = path.with_suffix(".part")
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, part)
    part.replace(path)


def note(work: Path, event: dict) -> None:
    with (work / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps(event) + "\n")


def finish(plan: Pretraining, model: Qwen3ForCausalLM, tokenizer, text_folder: Path, work: Path) -> None:
    """Write the model in bfloat16 and `pretraining.json`: the plan, the hashes of what was read, the loss curve."""
    model.to(torch.bfloat16).save_pretrained(work / "model")
    tokenizer.save_pretrained(work / "model")
    sources = [*sorted(text_folder.glob("*.jsonl.gz")), *sorted(handbook.FOLDER.glob("*.toml"))]
    record = {
        "plan": asdict(plan),
        "tokens": plan.steps * plan.row * plan.rows_per_step,
        "parameters": sum(p.numel() for p in model.parameters()),
        "sha256": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sources},
        "log": [json.loads(line) for line in (work / "log.jsonl").read_text().splitlines()],
    }
    (work / "model" / "pretraining.json").write_text(json.dumps(record) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True, help="folder of .jsonl.gz files of open text")
    parser.add_argument("--out", type=Path, required=True, help="work folder: checkpoint, log and, at the end, model/")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop and save after this long")
    parser.add_argument("--stop-after", type=int, help="stop and save at this step")
    chosen = parser.parse_args()
    pretrain(Pretraining(), chosen.text, chosen.out, chosen.minutes, chosen.stop_after)


if __name__ == "__main__":
    main()
