"""A few tokens through a base model that show whether answers can be computed with its network.

Knows nothing of files, tokenizers or adapters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

KEYS_AND_VALUES = {DynamicLayer, DynamicSlidingWindowLayer}
TOKENS = 4
# What the logits are brought to, as a root mean square: a soft cap, Gemma 2's at 30, shows only near its limit.
LOGITS = 30.0
# Beside the rounding of the number format: a GPU may be told to multiply float32 as TF32.
TOLERANCE = 1e-3

OUTPUT_LAYER = (
    "its output layer does more than multiply the last states by its weights (it scales or caps the logits, or adds a "
    "bias). Such output layers are not supported."
)
CACHE = (
    "some of its layers keep something else than keys and values of what they read. "
    "Such layers (Mamba, linear attention) are not supported."
)


@torch.inference_mode()
def fault_of(model: PreTrainedModel) -> str | None:
    """Say why scores, losses and texts of this network would be wrong, or None when they can be computed."""
    head = model.get_output_embeddings()
    # A prompt's cache is branched and joined with others by its keys and values alone.
    if not {type(layer) for layer in DynamicCache(config=model.config).layers} <= KEYS_AND_VALUES:
        return CACHE
    if head is None or head.bias is not None:
        return OUTPUT_LAYER
    logits, products = _both(model, head)
    tolerance = max(TOLERANCE, 2 * torch.finfo(head.weight.dtype).eps)
    return None if (logits - products).norm() <= tolerance * products.norm() else OUTPUT_LAYER


def _both(model: PreTrainedModel, head: nn.Module) -> tuple[Tensor, Tensor]:
    """What the model makes of its decoder's states, and these states times the output layer's weights."""
    products: list[Tensor] = []

    def enlarged(decoder: nn.Module, inputs: tuple, output):
        small = (output.last_hidden_state @ head.weight.T).float()
        output.last_hidden_state = output.last_hidden_state * (LOGITS / small.square().mean().sqrt())
        products.append((output.last_hidden_state @ head.weight.T).float())
        return output

    hook = model.get_decoder().register_forward_hook(enlarged)
    ids = torch.arange(TOKENS, device=model.device)[None]
    try:
        logits = model(input_ids=ids, use_cache=False).logits
    finally:
        hook.remove()
    return logits.float(), products[0]
