"""A step of a small Qwen3 on a CPU, one token of each text, in as few operations as its arithmetic takes.

A step of medqa-nano by its modules is 550 operations, most of which take longer to start than to compute; here it is
281. Knows nothing of adapters: its weights are those of a network in which one was merged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel, Qwen3ForCausalLM
from transformers.models.qwen3.modeling_qwen3 import Qwen3DecoderLayer


class _Layer(NamedTuple):
    """Weights of products are [in, out] and contiguous: so a product with few rows is up to twice as fast."""

    before_attention: Tensor
    query_key_value: Tensor
    # The norms of query and key, for each head: as they are, and with the halves exchanged that a rotation exchanges.
    scale: Tensor
    scale_turned: Tensor
    output: Tensor
    before_mlp: Tensor
    gate_up: Tensor
    down: Tensor


class LeanDecoder:
    """Gives the logits that the network's own modules give, but for rounding."""

    def __init__(self, network: Qwen3ForCausalLM) -> None:
        config = network.config
        self._heads, self._key_heads = config.num_attention_heads, config.num_key_value_heads
        self._width, self._epsilon = config.head_dim, config.rms_norm_eps
        self._embedding = network.get_input_embeddings().weight
        self._head = network.get_output_embeddings().weight.T.contiguous()
        self._last_norm = network.model.norm.weight
        self._rotation = network.model.rotary_emb
        self._layers = [self._layer(layer) for layer in network.model.layers]

    def _layer(self, layer: Qwen3DecoderLayer) -> _Layer:
        attention, mlp = layer.self_attn, layer.mlp
        scale = torch.cat(
            [attention.q_norm.weight.expand(self._heads, -1), attention.k_norm.weight.expand(self._key_heads, -1)]
        )
        return _Layer(
            layer.input_layernorm.weight,
            _joined(attention.q_proj, attention.k_proj, attention.v_proj),
            scale,
            scale.roll(self._width // 2, -1),
            _joined(attention.o_proj),
            layer.post_attention_layernorm.weight,
            _joined(mlp.gate_proj, mlp.up_proj),
            _joined(mlp.down_proj),
        )

    def logits(
        self, tokens: Tensor, positions: Tensor, read: Sequence[tuple[Tensor, Tensor]], column: int, bias: Tensor | None
    ) -> Tensor:
        """[texts, vocabulary] after one token of each, whose keys and values are written into that column.

        `positions` [texts, 1]; `read`: each layer's keys and values, both [texts, heads, columns, width]; `bias`
        [texts, 1, 1, columns] is added to the attention's logits.
        """
        texts, half = len(tokens), self._width // 2
        heads, rotated = self._heads, self._heads + self._key_heads
        seen = slice(column + 1)
        bias = None if bias is None else bias[..., seen]
        states = functional.embedding(tokens, self._embedding)
        cos, sin = self._rotation(states, positions)
        sin = torch.cat([-sin[..., :half], sin[..., half:]], -1)
        for layer, (keys, values) in zip(self._layers, read, strict=True):
            parts = (self._norm(states, layer.before_attention) @ layer.query_key_value).view(texts, -1, self._width)
            unit = functional.rms_norm(parts[:, :rotated], (self._width,), None, self._epsilon)
            # The rotation of unit * scale, whose halves change places.
            turned = torch.addcmul(unit * (layer.scale * cos), unit.roll(half, -1), layer.scale_turned * sin)
            keys[:, :, column], values[:, :, column] = turned[:, heads:], parts[:, rotated:]
            # Heads that share their keys stand below one another, as rows of one query.
            query = turned[:, :heads].view(texts, self._key_heads, -1, self._width)
            attended = functional.scaled_dot_product_attention(query, keys[:, :, seen], values[:, :, seen], bias)
            states = torch.addmm(states, attended.reshape(texts, -1), layer.output)
            gate, up = (self._norm(states, layer.before_mlp) @ layer.gate_up).chunk(2, -1)
            states = torch.addmm(states, functional.silu(gate).mul_(up), layer.down)
        return self._norm(states, self._last_norm) @ self._head

    def _norm(self, states: Tensor, weight: Tensor) -> Tensor:
        return functional.rms_norm(states, weight.shape, weight, self._epsilon)


def lean(network: PreTrainedModel) -> LeanDecoder | None:
    """None for a network of another kind."""
    config = network.config
    known = (
        type(network) is Qwen3ForCausalLM
        and set(config.layer_types) == {"full_attention"}
        and config.hidden_act == "silu"
        and not config.attention_bias
    )
    return LeanDecoder(network) if known else None


def _joined(*projections: nn.Linear) -> Tensor:
    """Their weights side by side, [in, out]. From now on they share this memory: two would be too many."""
    joined = torch.cat([projection.weight for projection in projections]).T.contiguous()
    rows = joined.T.split([projection.out_features for projection in projections])
    for projection, weight in zip(projections, rows, strict=True):
        projection.weight = nn.Parameter(weight, requires_grad=False)
    return joined
