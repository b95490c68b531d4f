"""Prompts a network has read: the cache to go on from, and a small store of them. Knows nothing of questions."""

from __future__ import annotations

import copy
import math
import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from peft.helpers import disable_input_dtype_casting
from torch import Tensor
from torch.nn import functional
from transformers import DynamicCache, PreTrainedModel


@dataclass(frozen=True)
class ReadPrompts:
    """Prompts padded on the left: `mask` [prompts, longest], `last` [prompts, hidden] the state after each."""

    mask: Tensor
    cache: DynamicCache
    last: Tensor

    def branch(self) -> DynamicCache:
        """A cache of these prompts to go on from; the one kept here stays as it is."""
        branch = copy.copy(self.cache)
        # A layer's tensors are replaced, not written into, as it grows: copying the layer object is enough.
        branch.layers = [copy.copy(layer) for layer in self.cache.layers]
        return branch

    def selected(self, rows: list[int]) -> ReadPrompts:
        """These prompts, repeats allowed."""
        cache, chosen = self.branch(), torch.tensor(rows, device=self.mask.device)
        cache.batch_select_indices(chosen)
        return ReadPrompts(self.mask[chosen], cache, self.last[chosen])

    def apart(self) -> list[ReadPrompts]:
        """Each prompt on its own, without padding, in memory of its own. No layer may have a sliding window."""
        return [self._only(i, length) for i, length in enumerate(self.lengths)]

    def _only(self, row: int, length: int) -> ReadPrompts:
        cache = self.branch()
        for layer in cache.layers:
            layer.keys = layer.keys[row : row + 1, :, -length:].clone()
            layer.values = layer.values[row : row + 1, :, -length:].clone()
        return ReadPrompts(self.mask[row : row + 1, -length:], cache, self.last[row : row + 1].clone())

    @property
    def lengths(self) -> list[int]:
        """Tokens of each prompt, padding not counted."""
        return self.mask.sum(1).tolist()

    @property
    def window(self) -> float:
        """How many tokens every layer can look back on."""
        return min((layer.sliding_window for layer in self.cache.layers if layer.is_sliding), default=math.inf)

    @property
    def bytes(self) -> int:
        return sum(layer.keys.nbytes + layer.values.nbytes for layer in self.cache.layers)


def joined(reads: Sequence[ReadPrompts]) -> ReadPrompts:
    """Prompts that were each read alone, padded on the left. No layer may have a sliding window."""
    if len(reads) == 1:
        return reads[0]
    longest = max(read.mask.shape[1] for read in reads)
    cache = reads[0].branch()
    for i, layer in enumerate(cache.layers):
        layer.keys = _joined([read.cache.layers[i].keys for read in reads], longest)
        layer.values = _joined([read.cache.layers[i].values for read in reads], longest)
    masks = [functional.pad(read.mask, (longest - read.mask.shape[1], 0)) for read in reads]
    return ReadPrompts(torch.cat(masks), cache, torch.cat([read.last for read in reads]))


def _joined(states: Sequence[Tensor], longest: int) -> Tensor:
    return torch.cat([functional.pad(one, (0, 0, longest - one.shape[2], 0)) for one in states])


def read_prompts(model: PreTrainedModel, prompts: Sequence[list[int]]) -> ReadPrompts:
    ids, mask = padded(prompts, model.device)
    cache = DynamicCache(config=model.config)
    # Without padding no mask is wanted: attention then takes its fastest path.
    needed = mask if min(map(len, prompts)) < ids.shape[1] else None
    states = states_of(
        model, input_ids=ids, attention_mask=needed, position_ids=positions_in(mask), past_key_values=cache
    )
    return ReadPrompts(mask, cache, states[:, -1].clone())


def has_window(model: PreTrainedModel) -> bool:
    """Whether some of its layers look back on a part only: what they keep of several prompts can't be taken apart."""
    return any(layer.is_sliding for layer in DynamicCache(config=model.config).layers)


def states_of(model: PreTrainedModel, **inputs: object) -> Tensor:
    """What the decoder makes of many tokens at once; `past_key_values` grows by them."""
    # As in training: LoRA's float32 matrices multiply in bfloat16 beside a bfloat16 base. Scores are then as close to
    # those in float32 as without it, and come 1.3 times faster.
    mixed = model.dtype == torch.bfloat16
    with torch.autocast(model.device.type, torch.bfloat16, enabled=mixed), disable_input_dtype_casting(model, mixed):
        return model.get_decoder()(use_cache=True, **inputs).last_hidden_state


def positions_in(mask: Tensor) -> Tensor:
    """Of tokens padded on the left [rows, longest]."""
    return (mask.cumsum(1) - 1).clamp(min=0)


def padded(rows: Sequence[list[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Ids and mask, both [rows, longest]; padded on the left with token 0, which the mask hides."""
    longest = max(map(len, rows))
    ids, mask = torch.zeros(2, len(rows), longest, dtype=torch.long).unbind()
    for i, row in enumerate(rows):
        ids[i, longest - len(row) :] = torch.tensor(row)
        mask[i, longest - len(row) :] = 1
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
