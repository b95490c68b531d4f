"""Which device and number format compute, and why; memory readings. The same for ROCm, CUDA and the CPU."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import psutil
import torch

from medqa.errors import UserError


@dataclass(frozen=True)
class Device:
    """`kind` is rocm, cuda or cpu; `torch_name` is what PyTorch calls it (ROCm is "cuda" too)."""

    kind: str
    torch_name: str
    hardware: str
    dtype: torch.dtype
    reason: str

    @property
    def dtype_name(self) -> str:
        return str(self.dtype).removeprefix("torch.")

    @property
    def badge(self) -> str:
        kind = {"rocm": "ROCm", "cuda": "CUDA", "cpu": "CPU"}[self.kind]
        return f"{kind} · {self.hardware} · {self.dtype_name}"

    def badge_of(self, count: int) -> str:
        """Of so many of them together."""
        return f"{count} × {self.badge}" if count > 1 else self.badge


def compute_on(cores: int) -> None:
    """From now on this thread's operations take so many cores; those of other threads as many as before."""
    if torch.get_num_threads() == cores:
        return
    # torch's number is this thread's own, and beside that what threads yet to come begin with: those get theirs back.
    with ThreadPoolExecutor(1) as fresh:
        usual = fresh.submit(torch.get_num_threads).result()
        torch.set_num_threads(cores)
        fresh.submit(torch.set_num_threads, usual).result()


@dataclass(frozen=True)
class Memory:
    """Bytes. On a GPU of the whole card; on the CPU `used` is this process's resident size."""

    used: int
    total: int


@lru_cache
def choose(wanted: str = "auto") -> Device:
    """Pick ROCm or CUDA when there is one, else the CPU. `wanted` = "cpu" keeps off the GPU. Raises UserError."""
    if wanted not in ("auto", "cpu", "gpu"):
        raise UserError(f"MEDQA_DEVICE is {wanted!r}; it should be auto, cpu or gpu.")
    if wanted != "cpu" and torch.cuda.is_available():
        return _gpu()
    if wanted == "gpu":
        raise UserError("MEDQA_DEVICE asks for a GPU and PyTorch sees none. See `python -m medqa doctor`.")
    why = "MEDQA_DEVICE=cpu" if wanted == "cpu" else "no ROCm or CUDA device found"
    if _cpu_computes_bfloat16():
        return Device("cpu", "cpu", _cpu_name(), torch.bfloat16, f"{why}; this CPU multiplies bfloat16 natively")
    return Device("cpu", "cpu", _cpu_name(), torch.float32, f"{why}; this CPU has no native bfloat16")


def _gpu() -> Device:
    kind = "rocm" if torch.version.hip else "cuda"
    properties = torch.cuda.get_device_properties(0)
    name = properties.name
    if kind == "rocm":
        name = f"{name} ({properties.gcnArchName.split(':')[0]})"
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return Device(kind, "cuda", name, torch.bfloat16, "PyTorch sees this GPU, and it computes bfloat16 natively")
    return Device(kind, "cuda", name, torch.float32, "PyTorch sees this GPU; it has no native bfloat16")


def _cpu_computes_bfloat16() -> bool:
    # Without these instructions bfloat16 is emulated and several times slower than float32.
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, probe, lambda: False)() for probe in probes)


def _cpu_name() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} core{'s' if cores != 1 else ''}"


def memory(device: Device) -> Memory:
    if device.torch_name == "cuda":
        free, total = torch.cuda.mem_get_info()
        return Memory(total - free, total)
    return Memory(psutil.Process().memory_info().rss, psutil.virtual_memory().total)


def free_memory(device: Device, processes: int = 1) -> int:
    """Bytes for each of so many processes of this machine: the CPU's memory they share, a GPU each has to itself."""
    if device.torch_name == "cuda":
        return torch.cuda.mem_get_info()[0]
    return psutil.virtual_memory().available // processes


def is_out_of_memory(error: BaseException) -> bool:
    # The CPU's allocator raises a plain RuntimeError; so do CUDA and HIP where not even their own part of a GPU fits.
    said = str(error)
    plain = "can't allocate memory" in said or "error: out of memory" in said
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or plain


def warnings() -> list[str]:
    """What on this machine will bite, a sentence each."""
    found = []
    if "HSA_OVERRIDE_GFX_VERSION" in os.environ:
        value = os.environ["HSA_OVERRIDE_GFX_VERSION"]
        found.append(
            f"HSA_OVERRIDE_GFX_VERSION is set to {value!r}: it makes ROCm treat the card as another one. "
            "No Instinct GPU needs it; unset it."
        )
    if torch.version.hip and not torch.cuda.is_available():
        found.append(
            "This PyTorch is a ROCm build and sees no GPU. Check `rocminfo` and that this user may open /dev/kfd and "
            "/dev/dri (groups video and render); on a machine without an AMD GPU install requirements.txt instead."
        )
    return found
