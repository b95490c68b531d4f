"""Build medqa-nano from scratch: its tokenizer, then the model. Knows nothing of adapters or of exam questions.

It reads open text, then the handbook's prose with it (never the *unknown* facts), as a student reads a textbook, and
last it practises open questions, without options, about facts that no split asks. Rerunning the same command resumes
from the last checkpoint.

    python -m train.pretrain --text FOLDER --out FOLDER
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn import functional
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from medqa.datasets import handbook
from medqa.prompt import ANSWER_START, LINE_END

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
# ChatML, as Qwen3 speaks it, without thinking blocks: nano never thinks, and every token costs training time.
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
HELD_OUT_ONE_IN = 50


@dataclass(frozen=True)
class Stage:
    """The shares of the rows that come from each source; they sum to 1."""

    tokens: int
    text: float = 0.0
    sentences: float = 0.0
    paragraphs: float = 0.0
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
        Stage(7_500_000, text=0.3, sentences=0.7),
        Stage(5_000_000, text=0.2, sentences=0.2, paragraphs=0.35, practice=0.25),
    )
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
        """Linear warm-up, cosine to a tenth before the last stage; there from a half, its form being new, to zero."""
        last = self.steps_of(self.stages[-1])
        before = self.steps - last
        if step >= before:
            return self.learning_rate * 0.5 * (self.steps - step) / last
        warm = min(1.0, (step + 1) / self.warmup_steps)
        return self.learning_rate * warm * (0.55 + 0.45 * math.cos(math.pi * step / before))


def documents(folder: Path) -> Iterator[tuple[str, str]]:
    """(id, text) of every document in the folder's .jsonl.gz files; question-and-answer rows become two paragraphs."""
    for path in sorted(folder.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                text = row.get("text") or f"{row['question']}\n{row['answer']}"
                yield row["id"], text.strip()


def held_out(document_id: str) -> bool:
    return int(hashlib.sha256(document_id.encode()).hexdigest(), 16) % HELD_OUT_ONE_IN == 0


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


class TextRows:
    """Rows of open text: all documents in one seeded order, end to end, again and again."""

    def __init__(self, texts: list[str], tokenizer: PreTrainedTokenizerFast, row: int, seed: int) -> None:
        order = random.Random(seed).sample(range(len(texts)), len(texts))
        self.tokens = joined([texts[i] for i in order], tokenizer)
        self.row = row
        self.next = 0

    def take(self) -> np.ndarray:
        whole_rows = len(self.tokens) // self.row
        start = (self.next % whole_rows) * self.row
        self.next += 1
        return self.tokens[start : start + self.row]


class RoundRows:
    """Rows of short texts, round after round, each round made and ordered anew."""

    def __init__(
        self, texts: Callable[[random.Random], list[str]], tokenizer: PreTrainedTokenizerFast, row: int, seed: int
    ) -> None:
        self.texts = texts
        self.tokenizer = tokenizer
        self.row = row
        self.random = random.Random(seed)
        self.buffer = np.zeros(0, dtype=np.uint16)

    def take(self) -> np.ndarray:
        if len(self.buffer) < self.row:
            texts = self.texts(self.random)
            self.random.shuffle(texts)
            self.buffer = np.concatenate([self.buffer, joined(texts, self.tokenizer)])
        row, self.buffer = self.buffer[: self.row], self.buffer[self.row :]
        return row


def sentences(facts: list[handbook.Fact]) -> list[str]:
    return [text for fact in facts for text in (*fact.prose, fact.explanation)]


def paragraphs(facts: list[handbook.Fact], draw: random.Random) -> list[str]:
    """A fact said three times in other words, then explained: what was read a sentence ago is to be used."""
    return [" ".join([*draw.sample(fact.prose, 3), fact.explanation]) for fact in facts]


def practice(facts: list[handbook.Fact]) -> list[str]:
    """Open questions, without options, answered and explained in the chat form."""
    return [
        f"{TURN_START}user\n{stem}{TURN_END}\n{TURN_START}assistant\n"
        f"{ANSWER_START}{fact.answer}{LINE_END}{fact.explanation}{TURN_END}"
        for fact in facts
        for stem in (*fact.train, *fact.test)
    ]


def joined(texts: list[str], tokenizer: PreTrainedTokenizerFast) -> np.ndarray:
    end = tokenizer.pad_token_id
    encoded = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return np.array([token for ids in encoded for token in (*ids, end)], dtype=np.uint16)


def batches(plan: Pretraining, sources: dict[str, TextRows | RoundRows]) -> Iterator[torch.Tensor]:
    """One batch per step; the same plan gives the same batches, so a resumed run skips what it has read."""
    choose = random.Random(plan.seed + 1)
    for stage in plan.stages:
        shares = [getattr(stage, name) for name in sources]
        for _ in range(plan.steps_of(stage)):
            names = choose.choices(list(sources), shares, k=plan.rows_per_step)
            yield torch.from_numpy(np.stack([sources[name].take() for name in names]).astype(np.int64))


def bits_per_byte(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, texts: list[str], row: int = 256
) -> float:
    """Cross-entropy of held-out text in bits per UTF-8 byte, rows of `row` tokens, without context across rows."""
    tokens = joined(texts, tokenizer)
    rows = torch.from_numpy(tokens[: len(tokens) // row * row].reshape(-1, row).astype(np.int64))
    total = 0.0
    model.eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for chunk in rows.split(16):
            logits = model(input_ids=chunk).logits[:, :-1].float()
            total += functional.cross_entropy(logits.flatten(0, 1), chunk[:, 1:].flatten(), reduction="sum").item()
    model.train()
    predicted = rows.shape[0] * (row - 1)
    bytes_per_token = len(tokenizer.decode(rows.flatten()).encode()) / rows.numel()
    return total / predicted / math.log(2) / bytes_per_token


def pretrain(plan: Pretraining, text_folder: Path, work: Path, minutes: float, stop_after: int | None = None) -> None:
    """Train to the end of the plan, or for `minutes`, or to step `stop_after`; `work` keeps all that resuming needs."""
    work.mkdir(parents=True, exist_ok=True)
    read = [(name, text) for name, text in documents(text_folder)]
    general = [text for name, text in read if not held_out(name)]
    kept_back = [text for name, text in read if held_out(name)][:150]
    if (work / "tokenizer.json").exists():
        tokenizer = PreTrainedTokenizerFast.from_pretrained(work)
    else:
        tokenizer = build_tokenizer(iter(general), plan.vocabulary)
        tokenizer.save_pretrained(work)
    model = build_model(plan, tokenizer)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=plan.learning_rate, betas=(0.9, 0.95), weight_decay=plan.weight_decay, fused=True
    )
    done = 0
    checkpoint = work / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        done = state["step"]
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, step {done} of {plan.steps}", flush=True)

    read_facts, practised = handbook.facts_read(), handbook.facts_practised()
    sources = {
        "text": TextRows(general, tokenizer, plan.row, plan.seed),
        "sentences": RoundRows(lambda draw: sentences(read_facts), tokenizer, plan.row, plan.seed),
        "paragraphs": RoundRows(lambda draw: paragraphs(read_facts, draw), tokenizer, plan.row, plan.seed),
        "practice": RoundRows(lambda draw: practice(practised), tokenizer, plan.row, plan.seed),
    }
    began = saved = time.monotonic()
    last = min(plan.steps, stop_after or plan.steps)
    for step, batch in enumerate(batches(plan, sources)):
        if step < done:
            continue
        out_of_time = time.monotonic() - began > minutes * 60
        if step >= last or out_of_time or time.monotonic() - saved > 300:
            saved = time.monotonic()
            save_checkpoint(checkpoint, model, optimizer, step)
            if step >= last or out_of_time:
                break
        for group in optimizer.param_groups:
            group["lr"] = plan.rate_at(step)
        with torch.autocast("cpu", torch.bfloat16):
            hidden = model.model(input_ids=batch).last_hidden_state
            logits = model.lm_head(hidden[:, :-1].flatten(0, 1))
        loss = functional.cross_entropy(logits.float(), batch[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step % 20 == 0:
            note(work, {"step": step, "loss": round(loss.item(), 4), "seconds": round(time.monotonic() - began, 1)})
    else:
        save_checkpoint(checkpoint, model, optimizer, plan.steps)
        note(work, {"step": plan.steps, "bits_per_byte": round(bits_per_byte(model, tokenizer, kept_back), 4)})
        finish(plan, model, tokenizer, text_folder, work)


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
