"""The frozen base shared out among the ranks with FSDP2, for a base that one device can't hold. LoRA stays in each.

A pass gathers one decoder layer after another from all ranks, and drops each again: so all ranks make as many passes,
forward and back, whatever they have to compute.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from medqa.device import Device, free_memory, is_out_of_memory
from medqa.estimate import BaseWeights, base_weights, memory_bytes, shape_of
from medqa.model import decoder_layers
from medqa.spec import RunSpec
from train import ranks
from train.failures import TrainingFailed

OUT_OF_MEMORY = (
    "A device is out of memory. With the base's weights shared out the others wait for it in the middle of a pass, so "
    "this run can't go on with fewer examples at a time. Resume it on more devices, or start again with a smaller "
    "effective batch or a lower maximum length."
)


def chosen(spec: RunSpec, device: Device) -> BaseWeights:
    """The same in all ranks: by the device with the least free memory."""
    spec = replace(spec, devices=ranks.count())
    parameters = shape_of(spec.base_model, spec.lora_rank, spec.target_modules).parameters if spec.devices > 1 else 0
    return base_weights(spec, parameters, device.dtype_name, _free_memory(device))


def rows_at_once(spec: RunSpec, device: Device, share: int, longest: int) -> int:
    """The most rows that the estimate of memory has room for and that divide a rank's share; 1 where it has none.

    A shared run can't find out by trying, see OUT_OF_MEMORY.
    """
    shape, free = shape_of(spec.base_model, spec.lora_rank, spec.target_modules), _free_memory(device)
    count = ranks.count()

    def fits(rows: int) -> bool:
        batch = replace(spec, batch_size=rows * count, devices=count)
        return memory_bytes(batch, longest, shape, device, shared=True) <= free

    return max((rows for rows in range(1, share + 1) if share % rows == 0 and fits(rows)), default=1)


def _free_memory(device: Device) -> int:
    return ranks.least(free_memory(device, ranks.on_this_host()))


def share_out(base: PreTrainedModel, device: Device) -> None:
    """Leave each rank its part of every decoder layer, on its device; `base` comes on the CPU, with nothing attached.

    Layer by layer, so that the base is never whole on a device. Embeddings and output layer are: the loss and the
    scores read the output layer's weights outside of its forward. Raises TrainingFailed.
    """
    decoder = base.get_decoder()
    layers = decoder_layers(base)
    if not layers:
        raise TrainingFailed(
            f"The layers of {base.name_or_path} can't be told apart, so its weights can't be shared out. "
            "Start again with base_weights=whole."
        )
    mesh = torch.distributed.init_device_mesh(device.torch_name, (ranks.count(),))
    for layer in layers:
        fully_shard(layer, mesh=mesh, reshard_after_forward=True)
    rest = {parameter for parameter in decoder.parameters() if not isinstance(parameter, DTensor)}
    # Has no weights of its own to share: it lets the layers know of each other, and gather the next one ahead of time.
    fully_shard(decoder, mesh=mesh, ignored_params=rest)
    base.to(device.torch_name)


def is_shared(model: PreTrainedModel) -> bool:
    return ranks.count() > 1 and isinstance(model.get_decoder(), FSDPModule)


def parameters_here(model: nn.Module) -> int:
    """How many this rank holds."""
    return sum((p.to_local() if isinstance(p, DTensor) else p).numel() for p in model.parameters())


@contextmanager
def in_company(model: PreTrainedModel) -> Iterator[None]:
    """This rank's passes through a base, inside; where it is shared, all ranks leave together.

    Each says so before a pass. One that has none left makes empty ones until nobody says so any more, and their way
    back where the others want gradients. Raises TrainingFailed when a shared pass runs out of memory.
    """
    if not is_shared(model):
        yield
        return
    said = model.get_decoder().register_forward_pre_hook(_say_so)
    try:
        try:
            yield
        finally:
            said.remove()
        while True:
            busy, with_gradients = ranks.total(0, 0)
            if not busy:
                break
            _empty_pass(model, with_gradients > 0)
    except Exception as error:
        if is_out_of_memory(error):
            raise TrainingFailed(OUT_OF_MEMORY) from error
        raise


def _say_so(*_: object) -> None:
    ranks.total(1, torch.is_grad_enabled())


def _empty_pass(model: PreTrainedModel, with_gradients: bool) -> None:
    token = torch.zeros(1, 1, dtype=torch.long, device=model.device)
    mixed = torch.autocast(model.device.type, torch.bfloat16, enabled=model.dtype == torch.bfloat16)
    with torch.set_grad_enabled(with_gradients), mixed:
        states = model.get_decoder()(input_ids=token, use_cache=False).last_hidden_state
    if with_gradients:
        states.backward(torch.zeros_like(states))
