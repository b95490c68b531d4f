"""Texts that grow together, a token each per step of the network. Knows nothing of threads or adapters."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from medqa.lean_decoder import LeanDecoder
from medqa.read_prompts import ReadPrompts, padded, positions_in

# What a network has read of one text: each layer's keys and values, both [1, heads, tokens, dimension].
State = list[tuple[Tensor, Tensor]]
# Steps between two enlargements of the buffers.
ROOM = 64


def length_of(state: State) -> int:
    """How many tokens have been read."""
    return state[0][0].shape[2]


class Batch:
    """Texts aligned on the right: the newest token of each is in the same column, and padding on its left."""

    needs_network = True

    def __init__(self, states: Sequence[State], lean: LeanDecoder | None = None) -> None:
        self._lean = lean
        self.lengths = [length_of(state) for state in states]
        self.columns = max(self.lengths)
        device = states[0][0][0].device
        self._cache = DynamicCache()
        self._cache.layers = [_Buffer(layer, self.columns) for layer in zip(*states, strict=True)]
        self._positions = torch.tensor(self.lengths, device=device)[:, None]
        starts = self.columns - self._positions
        self._mask = torch.arange(self.columns + ROOM, device=device) >= starts
        self._ragged = min(self.lengths) < self.columns
        padded = torch.zeros(self._mask.shape).masked_fill_(~self._mask, -math.inf) if lean and self._ragged else None
        self._bias = None if padded is None else padded[:, None, None]

    @property
    def full(self) -> bool:
        return self.columns == self._mask.shape[1]

    def joined(self, states: Sequence[State], network: PreTrainedModel, most: int) -> Batch:
        """With more texts, which may grow by so many tokens."""
        return Batch([*(self.state(i) for i in range(len(self.lengths))), *states], self._lean)

    def only(self, kept: Sequence[int]) -> Batch:
        return Batch([self.state(i) for i in kept], self._lean)

    def state(self, i: int) -> State:
        seen = slice(self.columns - self.lengths[i], self.columns)
        return [(layer.keys[i : i + 1, :, seen], layer.values[i : i + 1, :, seen]) for layer in self._cache.layers]

    def step(self, network: PreTrainedModel, tokens: Sequence[int]) -> list[int]:
        """Read one token of each text and choose its next. After an error the batch is as before."""
        chosen = self._by_lean(tokens) if self._lean else self._by(network, tokens)
        self.columns += 1
        self.lengths = [length + 1 for length in self.lengths]
        self._positions += 1
        return chosen

    def _by(self, network: PreTrainedModel, tokens: Sequence[int]) -> list[int]:
        for layer in self._cache.layers:
            layer.columns = self.columns
        states = network.get_decoder()(
            input_ids=torch.tensor(tokens, device=network.device)[:, None],
            attention_mask=self._mask[:, : self.columns + 1] if self._ragged else None,
            position_ids=self._positions,
            past_key_values=self._cache,
            use_cache=True,
        ).last_hidden_state
        return choose(network.get_output_embeddings()(states[:, -1]))

    def _by_lean(self, tokens: Sequence[int]) -> list[int]:
        read = [(layer.keys, layer.values) for layer in self._cache.layers]
        return choose(self._lean.logits(torch.tensor(tokens), self._positions, read, self.columns, self._bias))


def begin(network: PreTrainedModel, read: ReadPrompts, pending: Sequence[list[int]]) -> list[tuple[State, int]]:
    """Read each prompt's pending tokens; what has been read of each text, and the token chosen to go on with."""
    cache = read.branch()
    for layer in cache.layers:
        layer.keys, layer.values = layer.keys.to(network.dtype), layer.values.to(network.dtype)
    ids, own = padded(pending, network.device)
    mask = torch.cat([read.mask, own], 1)
    states = network.get_decoder()(
        input_ids=ids,
        attention_mask=mask if len(pending) > 1 else None,
        position_ids=positions_in(mask)[:, -ids.shape[1] :],
        past_key_values=cache,
        use_cache=True,
    ).last_hidden_state
    chosen = choose(network.get_output_embeddings()(states[:, -1]))
    if len(pending) == 1:
        return [([(layer.keys, layer.values) for layer in cache.layers], *chosen)]
    lengths = list(zip(read.lengths, map(len, pending), strict=True))
    return [(_without_padding(cache, i, *lengths[i], ids.shape[1]), token) for i, token in enumerate(chosen)]


def _without_padding(cache: DynamicCache, row: int, prompt: int, own: int, longest: int) -> State:
    """What was read of one text: its prompt ends where columns for the longest pending tokens begin."""

    def parts(states: Tensor) -> Tensor:
        last = states.shape[2] - longest
        return torch.cat([states[row : row + 1, :, last - prompt : last], states[row : row + 1, :, -own:]], 2)

    return [(parts(layer.keys), parts(layer.values)) for layer in cache.layers]


def choose(logits: Tensor) -> list[int]:
    """The likeliest token of each [rows, vocabulary]."""
    return logits.argmax(-1).tolist()


class _Buffer(DynamicLayer):
    """One layer's keys and values with room on the right: a step writes one column and copies nothing else."""

    def __init__(self, rows: Sequence[tuple[Tensor, Tensor]], columns: int) -> None:
        super().__init__()
        self.keys, self.values = (
            torch.cat([functional.pad(one, (0, 0, columns - one.shape[2], ROOM)) for one in ones])
            for ones in zip(*rows, strict=True)
        )
        self.columns = columns
        self.is_initialized = True

    def update(self, keys: Tensor, values: Tensor, *others: object, **named: object) -> tuple[Tensor, Tensor]:
        self.keys[:, :, self.columns : self.columns + 1] = keys
        self.values[:, :, self.columns : self.columns + 1] = values
        self.columns += 1
        return self.keys[:, :, : self.columns], self.values[:, :, : self.columns]

    def get_seq_length(self) -> int:
        return self.columns
