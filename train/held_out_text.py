"""Open text that medqa-nano never reads, and how well it predicts it. Knows nothing of how it is trained."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

from train import reading
from train.reading import joined


def held_out_texts(folder: Path) -> dict[str, list[str]]:
    """Of each source the documents that the model never reads."""
    kept: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*.jsonl.gz")):
        rows = [(asked, said) for name, asked, said in reading.documents(path) if reading.held_out(name)]
        if rows:
            kept[path.name.split(".")[0]] = [reading.as_text(*row) for row in rows]
    return kept


def bits_per_byte(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, texts: list[str], row: int = 256
) -> float:
    """Cross-entropy of held-out text in bits per UTF-8 byte, rows of `row` tokens, without context across rows."""
    tokens = joined(texts, tokenizer)
    row = min(row, len(tokens))
    rows = torch.from_numpy(tokens[: len(tokens) // row * row].reshape(-1, row).astype(np.int64))
    total = 0.0
    was_training = model.training
    model.eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for chunk in rows.split(16):
            logits = model(input_ids=chunk).logits[:, :-1].float()
            total += functional.cross_entropy(logits.flatten(0, 1), chunk[:, 1:].flatten(), reduction="sum").item()
    model.train(was_training)
    predicted = rows.shape[0] * (row - 1)
    bytes_per_token = len(tokenizer.decode(rows.flatten()).encode()) / rows.numel()
    return total / predicted / math.log(2) / bytes_per_token
