"""The processes that train one run together, one for each device. A run on one device has one rank and meets nobody.

The launcher (torch's elastic agent, by `accelerate launch`) numbers them in the environment, and ends all when one
fails.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterable
from typing import TypeVar

# A rank that fails waits so long before it ends, and with it all others: the first rank, which has most likely met the
# same, is the one that writes why.
SECONDS_FOR_LAST_WORDS = 10
PR_SET_PDEATHSIG = 1  # linux/prctl.h

Result = TypeVar("Result")


def number() -> int:
    return int(os.environ.get("RANK", 0))


def count() -> int:
    return int(os.environ.get("WORLD_SIZE", 1))


def on_this_host() -> int:
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1))


def first() -> bool:
    """Whether this is the rank that writes: events, checkpoints, the adapter."""
    return number() == 0


def silent(event: str, **values: object) -> None:
    """Takes an event as EventWriter does, and writes nothing: what the ranks but the first are given."""


def end_with_launcher() -> None:
    """The launcher holds the run's lock, so a rank must not outlive it, not even its kill -9."""
    if count() == 1 or sys.platform != "linux":
        return
    launcher = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # It may have ended just before.
    if os.getppid() != launcher:
        os.kill(os.getpid(), signal.SIGKILL)


def join(torch_name: str) -> None:
    """Meet the other ranks and take this one's device. Raises TrainingFailed."""
    if count() == 1:
        return
    import torch

    from train.failures import TrainingFailed

    if torch_name == "cuda":
        wanted, there = on_this_host(), torch.cuda.device_count()
        if wanted > there:
            raise TrainingFailed(
                f"{wanted} devices are asked for on this machine, and PyTorch sees {there} here. "
                f"Start again with devices={there}, or go on with: python -m medqa resume NAME --devices {there}"
            )
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    # Counts and requests go over gloo, so that they never wait for the GPU.
    torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if torch_name == "cuda" else "gloo")


def total(*numbers: float) -> tuple[float, ...]:
    """Each number added up over all ranks, which meet here."""
    if count() == 1:
        return numbers
    import torch

    added = torch.tensor(numbers, dtype=torch.float64)
    torch.distributed.all_reduce(added)
    return tuple(added.tolist())


def least(number: int) -> int:
    """The smallest of all ranks, which meet here."""
    if count() == 1:
        return number
    import torch

    smallest = torch.tensor(number)
    torch.distributed.all_reduce(smallest, torch.distributed.ReduceOp.MIN)
    return smallest.item()


def meet() -> None:
    total(0)


def together(work: Callable[[], Result]) -> Result:
    """What `work` returns. When memory runs out in one rank it raises in all, or the others would wait for that one."""
    if count() == 1:
        return work()
    import torch

    from medqa.device import is_out_of_memory

    result, lacking = None, None
    try:
        result = work()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        lacking = error
    if total(lacking is not None)[0]:
        raise lacking or torch.OutOfMemoryError("Another rank is out of memory.")
    return result


def add_up_gradients(parameters: Iterable) -> None:
    """Every rank's gradient becomes the sum of all, bit for bit the same in each; one without a gradient adds zero."""
    import torch

    trained = [parameter for parameter in parameters if parameter.requires_grad]
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
    # LoRA's gradients are a few megabytes: one message, whose cost is its latency.
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    torch.distributed.all_reduce(flat)
    for parameter, part in zip(trained, flat.split([p.numel() for p in trained]), strict=True):
        parameter.grad = part.view_as(parameter)
