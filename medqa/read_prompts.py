"""Prompts a network has read: the cache to go on from, and a small store of them. Knows nothing of questions."""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel


@dataclass(frozen=True)
class ReadPrompts:
    """Prompts padded on the left: `mask` [prompts, longest], `last` [prompts, hidden] the state after each."""

    mask: Tensor
    cache: DynamicCache
    last: Tensor

    def branch(self, rows: Tensor) -> DynamicCache:
        """A cache of these prompts, repeats allowed, to go on from; the one kept here stays as it is."""
        branch = copy.copy(self.cache)
        # A layer's tensors are replaced, not written into, as it grows: copying the layer object is enough.
        branch.layers = [copy.copy(layer) for layer in self.cache.layers]
        branch.batch_select_indices(rows)
        return branch

    @property
    def bytes(self) -> int:
        return sum(layer.keys.nbytes + layer.values.nbytes for layer in self.cache.layers)


def read_prompts(model: PreTrainedModel, prompts: Sequence[list[int]]) -> ReadPrompts:
    ids, mask = padded(prompts, left=True, device=model.device)
    cache = DynamicCache(config=model.config)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    # Without padding no mask is wanted: attention then takes its fastest path.
    needed = mask if min(map(len, prompts)) < ids.shape[1] else None
    states = model.get_decoder()(
        input_ids=ids, attention_mask=needed, position_ids=positions, past_key_values=cache, use_cache=True
    ).last_hidden_state
    return ReadPrompts(mask, cache, states[:, -1].clone())


def padded(rows: Sequence[list[int]], left: bool, device: torch.device) -> tuple[Tensor, Tensor]:
    """Ids and mask, both [rows, longest]; padded with token 0, which the mask hides."""
    longest = max(map(len, rows))
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        where = slice(longest - len(row), longest) if left else slice(0, len(row))
        ids[i, where] = torch.tensor(row)
        mask[i, where] = 1
    return ids.to(device), mask.to(device)


class Kept:
    """What was read last, bounded in number and bytes; safe to use from several threads."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self.most = most
        self.most_bytes = most_bytes
        self._kept: OrderedDict[Hashable, ReadPrompts] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> ReadPrompts | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: Hashable, read: ReadPrompts) -> None:
        with self._lock:
            self._kept[key] = read
            while len(self._kept) > self.most or sum(one.bytes for one in self._kept.values()) > self.most_bytes:
                self._kept.popitem(last=False)
