"""Causal attention for training on a CPU: written out for all but long rows, where SDPA's backward pass is slow."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

NAME = "short_rows"
# Tokens. All shares of a row are kept for the backward pass, half of its length squared for each head.
SHORT = 640
# Queries at a time: what lies more than so far after them is not computed. Forward and backward of 4,096 tokens in
# rows of 400: 37 ms against SDPA's 55, and 56 with all queries at once; in rows of 192: 27, 29 and 31.
QUERIES = 128


def use(model: PreTrainedModel) -> None:
    ALL_ATTENTION_FUNCTIONS.register(NAME, short_rows)
    ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)


def short_rows(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: object
) -> tuple[Tensor, None]:
    """Query [rows, heads, tokens, width], key and value with as many heads or fewer. No mask: causal."""
    length = query.shape[2]
    # Scoring has masks, and keys from a cache.
    plain = attention_mask is None and torch.is_grad_enabled() and key.shape[2] == length
    if not plain or length > SHORT or options.get("dropout") or options.get("softcap"):
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    rows, heads, _, width = query.shape
    # Query heads that share a key stand below each other: no copy of the keys for each.
    groups = key.shape[1], heads // key.shape[1]
    query = (query * (options.get("scaling") or width**-0.5)).view(rows, *groups, length, width)
    attended = []
    for start in range(0, length, QUERIES):
        end = min(start + QUERIES, length)
        some = (rows, key.shape[1], -1)
        scores = query[:, :, :, start:end].reshape(*some, width) @ key[:, :, :end].transpose(2, 3)
        later = torch.full((end - start, end), float("-inf"), dtype=query.dtype).triu_(start + 1)
        shares = (scores.view(rows, *groups, end - start, end) + later).softmax(-1)
        attended.append((shares.view(*some, end) @ value[:, :, :end]).view(rows, heads, end - start, -1))
    return torch.cat(attended, dim=2).transpose(1, 2), None
