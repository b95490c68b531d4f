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

from train.packing import decoder_options

# A shape is captured when it comes for this many times: what comes once is not worth it.
WORTH_CAPTURING = 2


class GraphedDecoder:
    """Stands in for a decoder's forward on packed batches in training. What it gives lasts until it runs again."""

    def __init__(self, decoder: PreTrainedModel) -> None:
        self.decoder = decoder
        self.usual = decoder.forward
        self._seen: Counter[torch.Size] = Counter()
        self._ran: set[torch.Size] = set()
        self._graphs: dict[torch.Size, Callable[[Tensor], Tensor]] = {}
        # They never run at the same time, so all may work in the same memory.
        self._pool = torch.cuda.graph_pool_handle()

    @classmethod
    def take_over(cls, decoder: PreTrainedModel) -> GraphedDecoder:
        graphed = cls(decoder)
        decoder.forward = graphed
        return graphed

    def begin_step(self) -> None:
        """The gradients of the last step are used up."""
        self._ran.clear()

    def __call__(self, input_ids: Tensor, **options: object) -> BaseModelOutputWithPast:
        shape = input_ids.shape
        packed = "row_bounds" in options and self.decoder.training and torch.is_grad_enabled()
        # Running again in the same step, it would overwrite the gradients that are to be added to.
        if not packed or shape in self._ran:
            return self.usual(input_ids=input_ids, **options)
        inputs = (input_ids, options["position_ids"], options["row_bounds"])
        self._seen[shape] += 1
        if self._seen[shape] == WORTH_CAPTURING:
            self._capture(inputs)
        if shape not in self._graphs:
            return self.usual(input_ids=input_ids, **options)
        self._ran.add(shape)
        return BaseModelOutputWithPast(last_hidden_state=self._graphs[shape](*inputs))

    def _capture(self, inputs: tuple[Tensor, ...]) -> None:
        # Graphs can't work in what PyTorch holds on to for steps without one.
        torch.cuda.empty_cache()
        try:
            self._graphs[inputs[0].shape] = torch.cuda.make_graphed_callables(
                _Pass(self), tuple(one.clone() for one in inputs), num_warmup_iters=0, pool=self._pool
            )
        except RuntimeError as error:  # out of memory is one
            warnings.warn(f"No graph for a batch of {inputs[0].numel():,} tokens: {error}", stacklevel=2)
            torch.cuda.empty_cache()


class _Pass(nn.Module):
    """What packed rows become, with the parameters in sight of make_graphed_callables."""

    def __init__(self, graphed: GraphedDecoder) -> None:
        super().__init__()
        self.decoder = graphed.decoder
        self.usual = graphed.usual

    def forward(self, input_ids: Tensor, position_ids: Tensor, row_bounds: Tensor) -> Tensor:
        inputs = {"input_ids": input_ids, "position_ids": position_ids, "row_bounds": row_bounds}
        return self.usual(**inputs, **decoder_options(inputs)).last_hidden_state
