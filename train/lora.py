"""The base model with the layers that LoRA trains. Trains nothing."""

from __future__ import annotations

from dataclasses import replace

from peft import LoraConfig, PeftModel, get_peft_model

from medqa.device import Device
from medqa.model import linear_layers, load_base
from medqa.spec import ALL_LINEAR, RunSpec
from train import attention
from train.failures import TrainingFailed
from train.fused import fuse
from train.sharding import share_out


def with_lora(spec: RunSpec, device: Device, shared: bool = False) -> PeftModel:
    base = load_base(spec.base_model, replace(device, torch_name="cpu") if shared else device)
    if device.torch_name == "cpu":
        attention.use(base)
    if shared:
        share_out(base, device)
    targets = ALL_LINEAR if spec.target_modules == (ALL_LINEAR,) else list(spec.target_modules)
    layers = sorted({name.split(".")[-1] for name in linear_layers(base)})
    missing = [name for name in targets if name not in layers] if targets != ALL_LINEAR else []
    if missing:
        raise TrainingFailed(
            f"{spec.base_model} has no layers called {', '.join(missing)} that LoRA can train here. "
            f"It has: {', '.join(layers)}."
        )
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=spec.lora_rank,
        lora_alpha=spec.lora_alpha,
        lora_dropout=spec.lora_dropout,
        target_modules=targets,
    )
    model = get_peft_model(base, config)
    fuse(model)
    return model
