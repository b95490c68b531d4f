"""Texts that grow together on a GPU, each step one CUDA or HIP graph. Knows nothing of threads.

A step of one token is some two thousand small kernels: Python takes ten times longer to start them than the GPU to run
them. A graph starts them all at once, but always on the same memory. So there are seats for a fixed number of texts
and columns for a fixed number of tokens; a text that joins takes a free seat.
"""

from __future__ import annotations

import copy
import warnings
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from medqa.batch import Batch, State, length_of

SEATS = (1, 8, 16)
FEWEST_COLUMNS = 512
# Each holds the keys and values of all its seats: 1.9 GB of Qwen3-1.7B for 16 texts of 1,024 tokens.
GRAPHS_KEPT = 4


class Graphs:
    """The steps captured last, by weights, seats and columns."""

    def __init__(self, capture: bool = True) -> None:
        self.capture = capture
        self._fails = False
        self._kept: OrderedDict[tuple[str, int, int], _Step] = OrderedDict()

    def begin(self, network: PreTrainedModel, key: str, states: Sequence[State], most: int) -> Batch | GraphedBatch:
        """A batch of texts that may grow by so many tokens; without a graph where there can be none."""
        return self.batch(network, key, states, _columns(states, most))

    def batch(self, network: PreTrainedModel, key: str, states: Sequence[State], columns: int) -> Batch | GraphedBatch:
        if self._fails:
            return Batch(states)
        try:
            return GraphedBatch(self, network, key, states, columns)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
        except RuntimeError as error:
            # Not every model's step can be captured; one that can't won't the next time either.
            self._fails = True
            warnings.warn(f"Texts are written without graphs: {error}", stacklevel=2)
        return Batch(states)

    def step(self, network: PreTrainedModel, key: str, seats: int, columns: int, like: State) -> _Step:
        wanted = (key, seats, columns)
        if wanted not in self._kept:
            while len(self._kept) >= GRAPHS_KEPT:
                self._kept.popitem(last=False)
            self._kept[wanted] = _Step(network, seats, columns, like, self.capture)
        self._kept.move_to_end(wanted)
        return self._kept[wanted]


class GraphedBatch:
    """As Batch. Only one at a time may have the same weights, seats and columns: their graph has one memory."""

    full = False

    def __init__(
        self, graphs: Graphs, network: PreTrainedModel, key: str, states: Sequence[State], columns: int
    ) -> None:
        self._graphs, self._key = graphs, key
        seats = next(seats for seats in SEATS if seats >= len(states))
        # Copied before they are placed: they may lie in the seats they are placed in.
        stacked = [_stacked(state) for state in states]
        self._step = graphs.step(network, key, seats, columns, states[0])
        self.lengths = [length_of(state) for state in states]
        self._seats = list(range(len(states)))
        for seat, one in zip(self._seats, stacked, strict=True):
            self._step.place(one, seat)

    def joined(self, states: Sequence[State], network: PreTrainedModel, most: int) -> Batch | GraphedBatch:
        """With more texts, in free seats where they fit in."""
        free = [seat for seat in range(self._step.seats) if seat not in self._seats][: len(states)]
        columns = max(_columns(states, most), self._step.columns)
        if len(free) < len(states) or columns > self._step.columns:
            mine = (self.state(i) for i in range(len(self.lengths)))
            return self._graphs.batch(network, self._key, [*mine, *states], columns)
        for seat, state in zip(free, states, strict=True):
            self._step.place(_stacked(state), seat)
        return self._of([*self._seats, *free], [*self.lengths, *map(length_of, states)])

    def only(self, kept: Sequence[int]) -> GraphedBatch:
        return self._of([self._seats[i] for i in kept], [self.lengths[i] for i in kept])

    def _of(self, seats: list[int], lengths: list[int]) -> GraphedBatch:
        other = copy.copy(self)
        other._seats, other.lengths = seats, lengths
        return other

    @property
    def needs_network(self) -> bool:
        """A graph's kernels start without the network's modules, which another thread may use meanwhile."""
        return not self._graphs.capture

    def state(self, i: int) -> State:
        return self._step.state(self._seats[i], self.lengths[i])

    def step(self, network: PreTrainedModel, tokens: Sequence[int]) -> list[int]:
        """Read one token of each text and choose its next."""
        chosen = self._step(self._seats, tokens, self.lengths)
        self.lengths = [length + 1 for length in self.lengths]
        return chosen


class _Step:
    """`seats` texts read a token each: the decoder, the output layer and the choice, on memory that stays."""

    def __init__(self, network: PreTrainedModel, seats: int, columns: int, like: State, capture: bool) -> None:
        self.seats, self.columns = seats, columns
        _, heads, _, width = like[0][0].shape
        # [keys and values, layers, seats, heads, columns, width]. Zeros: an empty seat must not hold a NaN.
        self._memory = torch.zeros(
            2, len(like), seats, heads, columns, width, dtype=like[0][0].dtype, device=network.device
        )
        self._inputs = torch.zeros(2, seats, 1, dtype=torch.long, device=network.device)
        self._network = network
        # A graph knows addresses: an adapter's weights must stay when the network lets go of it.
        self._weights = list(network.parameters())
        self._graph = None
        if capture:
            # What is set up on first use must not be captured.
            self._chosen = self._forward()
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
                self._chosen = self._forward()

    def __call__(self, seats: Sequence[int], tokens: Sequence[int], lengths: Sequence[int]) -> list[int]:
        inputs = torch.zeros(2, self.seats, 1, dtype=torch.long)
        for seat, token, length in zip(seats, tokens, lengths, strict=True):
            inputs[0, seat], inputs[1, seat] = token, length
        self._inputs.copy_(inputs)
        if self._graph is None:
            self._chosen = self._forward()
        else:
            self._graph.replay()
        chosen = self._chosen.tolist()
        return [chosen[seat] for seat in seats]

    def place(self, stacked: Tensor, seat: int) -> None:
        self._memory[:, :, seat, :, : stacked.shape[3]] = stacked

    def state(self, seat: int, length: int) -> State:
        return list(self._memory[:, :, seat : seat + 1, :, :length].unbind(1))

    def _forward(self) -> Tensor:
        tokens, positions = self._inputs
        cache = DynamicCache()
        cache.layers = [_Seats(keys, values, positions) for keys, values in self._memory.unbind(1)]
        seen = torch.arange(self.columns, device=positions.device) <= positions
        states = self._network.get_decoder()(
            input_ids=tokens,
            attention_mask=seen[:, None, None],
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        return self._network.get_output_embeddings()(states[:, -1]).argmax(-1)


class _Seats(DynamicLayer):
    """One layer's keys and values of all seats, each written at its own column."""

    def __init__(self, keys: Tensor, values: Tensor, positions: Tensor) -> None:
        super().__init__()
        self.keys, self.values = keys, values
        self.columns = positions[:, 0]
        self.seats = torch.arange(len(keys), device=keys.device)
        self.is_initialized = True

    def update(self, keys: Tensor, values: Tensor, *others: object, **named: object) -> tuple[Tensor, Tensor]:
        self.keys[self.seats, :, self.columns] = keys[:, :, 0]
        self.values[self.seats, :, self.columns] = values[:, :, 0]
        return self.keys, self.values

    def get_seq_length(self) -> int:
        return self.keys.shape[2]


def _stacked(state: State) -> Tensor:
    """[keys and values, layers, heads, tokens, width]."""
    return torch.stack([torch.stack([layer[which][0] for layer in state]) for which in (0, 1)])


def _columns(states: Sequence[State], most: int) -> int:
    return max(FEWEST_COLUMNS, 1 << (max(map(length_of, states)) + most - 1).bit_length())
