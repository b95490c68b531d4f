"""Rows end to end in one sequence, without padding, and the attention that keeps them apart. For a GPU.

Padding to the longest row costs a fifth of a batch of exam questions, and every longest row is another shape. Packed
batches come in few shapes, which graphs.py can use again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import accumulate

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from medqa.prompt import Example

NAME = "packed_rows"
# Their decoders take a mask for each kind of layer, and so can be told that there is none.
MODEL_TYPES = ("qwen2", "qwen3")
# A packed batch is filled up to a multiple of so many tokens for each of its rows: few shapes, which come often, for a
# thirtieth more tokens. Every shape takes a second to capture, and memory that the others leave unused.
FILLING = 16
LEAST_FILLING = 256


def use(model: PreTrainedModel, longest: int, rows: int) -> bool:
    """Whether the model can go over so many packed rows, none longer than `longest`; from now on it can, if so."""
    if not _takes_packed_rows(model):
        return False
    ALL_ATTENTION_FUNCTIONS.register(NAME, partial(rows_apart, longest=max(longest, _step(rows))))
    ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)
    return True


def _takes_packed_rows(model: PreTrainedModel) -> bool:
    kinds = set(getattr(model.config, "layer_types", None) or ())
    return model.config.model_type in MODEL_TYPES and kinds == {"full_attention"}


def _step(rows: int) -> int:
    return max(LEAST_FILLING, FILLING * rows)


def kernel_runs(model: PreTrainedModel) -> bool:
    """Whether this GPU has flash attention for the model's heads and number format; an older one has not."""
    # Others may have the numbers that follow under other names.
    if not _takes_packed_rows(model):
        return False
    config = model.config
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    options = {"dtype": model.dtype, "device": model.device}
    query = torch.zeros(2, config.num_attention_heads, width, requires_grad=True, **options)
    key, value = (torch.zeros(2, config.num_key_value_heads, width, requires_grad=True, **options) for _ in range(2))
    bounds = torch.tensor([0, 1, 2], dtype=torch.int32, device=model.device)
    try:
        states = _flash(query, key, value, bounds, 1, None)
        states.backward(torch.ones_like(states))
    except (RuntimeError, NotImplementedError):
        return False
    return True


def _flash(query: Tensor, key: Tensor, value: Tensor, bounds: Tensor, longest: int, scale: float | None) -> Tensor:
    """All [tokens, heads, width]."""
    attend = torch.ops.aten._flash_attention_forward
    return attend(query, key, value, bounds, bounds, longest, longest, 0.0, True, False, scale=scale)[0]


def pack(examples: Sequence[Example], rows: int) -> dict[str, Tensor | list[int]]:
    """`input_ids`, `position_ids` and `labels`, each [1, tokens]; `row_bounds` [rows + 2]: where each row begins.

    There are always so many rows; those too many are empty, and the last one is the filling.
    """
    lengths = [len(example.input_ids) for example in examples]
    total = sum(lengths)
    filling = -total % _step(rows)
    places = [place for length in [*lengths, filling] for place in range(length)]
    bounds = list(accumulate([*lengths, *[0] * (rows - len(examples)), filling], initial=0))
    return {
        "input_ids": torch.tensor([[*(i for example in examples for i in example.input_ids), *[0] * filling]]),
        "labels": torch.tensor([[*(i for example in examples for i in example.labels), *[-100] * filling]]),
        "position_ids": torch.tensor([places]),
        "row_bounds": torch.tensor(bounds, dtype=torch.int32),
        "lengths": lengths,
    }


def decoder_inputs(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """What the decoder has to know of a batch, packed or padded."""
    names = ("input_ids", "position_ids", "row_bounds") if "row_bounds" in batch else ("input_ids",)
    return {name: batch[name] for name in names}


def decoder_options(inputs: dict[str, Tensor]) -> dict[str, object]:
    # A mask of none, said outright: left to itself transformers looks for packed rows, and the GPU has to wait.
    return {"use_cache": False} | ({"attention_mask": {"full_attention": None}} if "row_bounds" in inputs else {})


def rows_apart(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    longest: int,
    row_bounds: Tensor | None = None,
    **options: object,
) -> tuple[Tensor, None]:
    """Causal attention within each row of query, key and value [1, heads, tokens, width]."""
    if row_bounds is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    scale = options.get("scaling")
    if query.is_cuda:
        query, key, value = (states[0].transpose(0, 1) for states in (query, key, value))
        return _flash(query, key, value, row_bounds, longest, scale)[None], None
    lengths = row_bounds.diff().tolist()
    rows = zip(*(states.split(lengths, dim=2) for states in (query, key, value)), strict=True)
    attend = partial(functional.scaled_dot_product_attention, is_causal=True, scale=scale, enable_gqa=True)
    return torch.cat([attend(*row) for row in rows], dim=2).transpose(1, 2), None
