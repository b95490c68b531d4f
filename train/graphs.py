"""The decoder's forward and backward pass as one launch each: CUDA and HIP graphs, for shapes that come again.

A step of Qwen3-1.7B starts some thousand kernels, and a GPU is through with them sooner than Python starts them. Knows
nothing of losses.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPast

# Widths between a power of two and the next: fewer shapes are captured sooner, more have less padding.
WIDTHS_PER_OCTAVE = 4
NARROWEST = 32
# A shape is captured when it comes for this many times: what comes once is not worth it.
WORTH_CAPTURING = 2


class GraphedDecoder:
    """Stands in for a decoder's forward in training. A graph's gradients last until it runs again."""

    def __init__(self, decoder: PreTrainedModel) -> None:
        self.decoder = decoder
        self.usual = decoder.forward
        self._seen: Counter[torch.Size] = Counter()
        self._graphs: dict[torch.Size, Callable[[Tensor], Tensor]] = {}
        # They never run at the same time, so all may work in the same memory.
        self._pool = torch.cuda.graph_pool_handle()

    @classmethod
    def take_over(cls, decoder: PreTrainedModel) -> GraphedDecoder:
        graphed = cls(decoder)
        decoder.forward = graphed
        return graphed

    @staticmethod
    def width(tokens: int) -> int:
        """Rounded up, so that few shapes come often."""
        step = max(NARROWEST, 2 ** ((tokens - 1).bit_length() - 1) // WIDTHS_PER_OCTAVE)
        return -(-tokens // step) * step

    def __call__(self, input_ids: Tensor, **options: object) -> BaseModelOutputWithPast:
        if not (self.decoder.training and torch.is_grad_enabled()):
            return self.usual(input_ids=input_ids, **options)
        shape = input_ids.shape
        self._seen[shape] += 1
        if self._seen[shape] == WORTH_CAPTURING:
            self._capture(input_ids)
        if shape not in self._graphs:
            return self.usual(input_ids=input_ids, **options)
        return BaseModelOutputWithPast(last_hidden_state=self._graphs[shape](input_ids))

    def _capture(self, input_ids: Tensor) -> None:
        try:
            self._graphs[input_ids.shape] = torch.cuda.make_graphed_callables(
                _Pass(self), (input_ids.clone(),), num_warmup_iters=0, pool=self._pool
            )
        except RuntimeError as error:  # out of memory is one
            warnings.warn(f"No graph for a batch of {tuple(input_ids.shape)}: {error}", stacklevel=2)
            torch.cuda.empty_cache()


class _Pass(nn.Module):
    """Input ids to states, with the parameters in sight of make_graphed_callables."""

    def __init__(self, graphed: GraphedDecoder) -> None:
        super().__init__()
        self.decoder = graphed.decoder
        self.usual = graphed.usual

    def forward(self, input_ids: Tensor) -> Tensor:
        return self.usual(input_ids=input_ids, use_cache=False).last_hidden_state
