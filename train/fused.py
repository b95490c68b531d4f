"""Layers and loss in fewer passes over memory: a small model's step is spent on those, not on matrix products.

Same mathematics as the modules they stand in for; only frozen weights are treated so. For training alone: adapters are
saved and scored elsewhere as PEFT's own.
"""

from __future__ import annotations

from functools import partial
from inspect import signature

import torch
from peft.tuners.lora.layer import Linear as LoraLinear
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.models.qwen3 import modeling_qwen3

from medqa.passes import LOGITS


class LabelLoss(Function):
    """Summed cross-entropy of a linear layer's outputs, its gradient found on the way, some rows at a time.

    `states` [n, hidden], `weight` [vocabulary, hidden] frozen, `targets` [n]. torch's linear_cross_entropy in
    chunks adds bfloat16 losses up in bfloat16 (12,096 for 12,179 nats).
    """

    @staticmethod
    def forward(ctx, states: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        gradient = torch.empty_like(states)
        total = torch.zeros((), device=states.device)
        rows = max(1, LOGITS[states.device.type] // len(weight))
        parts = zip(states.split(rows), gradient.split(rows), targets[:, None].split(rows), strict=True)
        for state, part, target in parts:
            logits = state @ weight.T
            shares = logits.softmax(-1, dtype=torch.float32)
            # log Σ exp(logits) by the likeliest token: its share is never too small for a number. A second exp of all
            # would cost as much as the softmax.
            total += (logits.amax(-1).float() - shares.amax(-1).log() - logits.gather(1, target)[:, 0]).sum()
            shares.scatter_add_(1, target, shares.new_full(target.shape, -1.0))
            part.copy_(shares.to(weight.dtype) @ weight)
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx, upstream: Tensor) -> tuple:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream.to(gradient.dtype), None, None


class _Lora(Function):
    """x Wᵀ + bias + scaling · dropout(x) Aᵀ Bᵀ in the dtype of x; A and B keep theirs."""

    @staticmethod
    def forward(
        ctx, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scaling: float, dropout: float
    ) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        read, kept = torch.native_dropout(rows, dropout, True) if dropout else (rows, None)
        a, b = a.to(x.dtype), (b * scaling).to(x.dtype)
        inner = read @ a.T
        out = functional.linear(rows, weight, bias).addmm_(inner, b.T)
        ctx.save_for_backward(read, kept, inner, a, b, weight)
        ctx.scaling, ctx.dropout = scaling, dropout
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx, upstream: Tensor) -> tuple:
        read, kept, inner, a, b, weight = ctx.saved_tensors
        above = upstream.reshape(-1, upstream.shape[-1])
        inner_gradient = above @ b
        below = None
        if ctx.needs_input_grad[0]:
            below = above @ weight
            if kept is None:
                below.addmm_(inner_gradient, a)
            else:
                below.add_((inner_gradient @ a).mul_(kept), alpha=1 / (1 - ctx.dropout))
            below = below.view(*upstream.shape[:-1], -1)
        # Autograd casts these to the float32 of A and B.
        return below, None, None, inner_gradient.T @ read, (above.T @ inner) * ctx.scaling, None, None


class _RmsNorm(Function):
    """x / rms(x) · weight, as in Qwen3: the quotient in float32, then rounded to the dtype of x."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        wide = x.float()
        inverse = torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon)
        unit = (wide * inverse).to(x.dtype)
        ctx.save_for_backward(unit, inverse, weight)
        return unit * weight

    @staticmethod
    def backward(ctx, upstream: Tensor) -> tuple:
        unit, inverse, weight = ctx.saved_tensors
        above = upstream * weight
        along = (above * unit).mean(-1, keepdim=True, dtype=torch.float32)
        return torch.addcmul(above.float(), unit, along, value=-1).mul_(inverse).to(upstream.dtype), None, None


class _Rotation(Function):
    """Rotary position embedding of x [rows, heads, tokens, width] by cosines and sines that broadcast to it."""

    @staticmethod
    def forward(ctx, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _rotated(x, cos, sin, 1)

    @staticmethod
    def backward(ctx, upstream: Tensor) -> tuple:
        return _rotated(upstream, *ctx.saved_tensors, -1), None, None


def _rotated(x: Tensor, cos: Tensor, sin: Tensor, direction: int) -> Tensor:
    half = x.shape[-1] // 2
    out = x * cos
    out[..., :half].addcmul_(x[..., half:], sin[..., :half], value=-direction)
    out[..., half:].addcmul_(x[..., :half], sin[..., half:], value=direction)
    return out


def rotate(query: Tensor, key: Tensor, cos: Tensor, sin: Tensor, unsqueeze_dim: int = 1) -> tuple[Tensor, Tensor]:
    """As transformers' apply_rotary_pos_emb, for models whose rotation takes the whole width of a head."""
    cos, sin = cos.unsqueeze(unsqueeze_dim), sin.unsqueeze(unsqueeze_dim)
    return _Rotation.apply(query, cos, sin), _Rotation.apply(key, cos, sin)


class LastLayer(modeling_qwen3.Qwen3DecoderLayer):
    """After its attention goes on with the states of `label_positions`, places among all tokens, and no others."""

    def forward(self, hidden_states: Tensor, label_positions: Tensor | None = None, **options: object) -> Tensor:
        if label_positions is None:
            return super().forward(hidden_states, **options)
        attended, _ = self.self_attn(hidden_states=self.input_layernorm(hidden_states), **options)
        labelled = (hidden_states + attended).flatten(0, 1)[label_positions][None]
        return labelled + self.mlp(self.post_attention_layernorm(labelled))


def label_states(decoder: PreTrainedModel, positions: Tensor, **inputs: object) -> Tensor:
    """The decoder's last states [positions, hidden] at those places among all tokens of its inputs."""
    # A captured graph goes over all tokens of packed rows: where the labels stand is another matter in each batch.
    picks = "row_bounds" not in inputs and isinstance(getattr(decoder, "layers", [None])[-1], LastLayer)
    here = {"label_positions": positions} if picks else {}
    states = decoder(**inputs, **here).last_hidden_state.flatten(0, 1)
    return states if picks else states[positions]


def fuse(model: nn.Module, adapter: str = "default") -> None:
    """Give a model in training the faster forward of its LoRA layers, norms and, in Qwen3, rotations and last layer."""
    # A function of its module, so it changes for all Qwen3 models of this process: the one in training.
    modeling_qwen3.apply_rotary_pos_emb = rotate
    layers = [module for module in model.modules() if type(module) is modeling_qwen3.Qwen3DecoderLayer]
    for last in layers[-1:]:
        last.__class__ = LastLayer
    for module in model.modules():
        if isinstance(module, LoraLinear) and _is_plain(module, adapter):
            module.forward = partial(_lora_forward, module, adapter, module.forward)
        elif _is_rms_norm(module):
            module.forward = partial(_norm_forward, module)


def _is_plain(module: LoraLinear, adapter: str) -> bool:
    base = module.base_layer
    return (
        type(base) is nn.Linear
        and not base.weight.requires_grad
        and isinstance(module.lora_dropout[adapter], nn.Identity | nn.Dropout)
        and adapter not in module.lora_variant
        and not module.lora_bias[adapter]
    )


def _is_rms_norm(module: nn.Module) -> bool:
    """Whether its own forward gives what _RmsNorm does: a layer norm has a `variance_epsilon` too, and a gated norm."""
    weight = getattr(module, "weight", None)
    if not hasattr(module, "variance_epsilon") or weight is None or weight.requires_grad:
        return False
    if len(signature(module.forward).parameters) > 1:
        return False
    # Weights of the trial's own: a rank of a shared base holds but a part of the module's.
    trial, states = torch.rand(2, *weight.shape, generator=torch.Generator().manual_seed(0)).to(weight.device)
    own = torch.func.functional_call(module, {"weight": trial}, states)
    return torch.allclose(own, _RmsNorm.apply(states, trial, module.variance_epsilon), rtol=1e-4)


def _lora_forward(module: LoraLinear, adapter: str, usual, x: Tensor) -> Tensor:
    if module.disable_adapters:
        return usual(x)
    base, a, b = module.base_layer, module.lora_A[adapter].weight, module.lora_B[adapter].weight
    dropout = module.lora_dropout[adapter]
    share = dropout.p if isinstance(dropout, nn.Dropout) and dropout.training else 0.0
    # On a GPU autocast has layer norms give float32.
    return _Lora.apply(x.to(base.weight.dtype), base.weight, base.bias, a, b, module.scaling[adapter], share)


def _norm_forward(module: nn.Module, x: Tensor) -> Tensor:
    if x.is_cuda and x.dtype == module.weight.dtype:
        # One kernel each way. Autocast would have it in float32.
        with torch.autocast("cuda", enabled=False):
            return functional.rms_norm(x, module.weight.shape, module.weight, module.variance_epsilon)
    return _RmsNorm.apply(x, module.weight, module.variance_epsilon)
