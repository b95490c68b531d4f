"""How many GPUs of this machine PyTorch can use: known before it is loaded, from the kernel's list and its build."""

from __future__ import annotations

import importlib.util
import os
import re
from functools import lru_cache
from pathlib import Path

# What PyTorch calls its builds, and where the kernel lists the cards of each.
CARDS = {"cuda": "proc/driver/nvidia/gpus/*", "hip": "sys/class/kfd/kfd/topology/nodes/*/gpu_id"}
# Each may name fewer of them, for HIP, for ROCm as a whole, for CUDA.
VISIBLE = ("HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES")


def count(root: Path = Path("/")) -> int:
    there = max((sum(map(_is_gpu, root.glob(CARDS[build]))) for build in builds()), default=0)
    return min([there, *(_named(os.environ[name], there) for name in VISIBLE if name in os.environ)])


@lru_cache(maxsize=1)
def builds() -> tuple[str, ...]:
    """What the installed PyTorch is built for: "cuda", "hip", or nothing, which is the CPU alone."""
    torch = importlib.util.find_spec("torch")
    if torch is None or torch.origin is None:
        return ()
    # Written as it is built: `cuda: Optional[str] = '13.0'`, or None.
    version = Path(torch.origin).with_name("version.py").read_text(encoding="utf-8")
    return tuple(build for build in CARDS if re.search(rf"^{build}\b.*= *['\"]", version, re.MULTILINE))


def _named(text: str, there: int) -> int:
    """Read as CUDA does: up to the first that is no card, and none at all where one is named twice."""
    named: list[str] = []
    for one in map(str.strip, text.split(",")):
        if one in named:
            return 0
        if not (one.isdecimal() and int(one) < there) and not one.startswith(("GPU-", "MIG-")):
            break
        named.append(one)
    return len(named)


def _is_gpu(node: Path) -> bool:
    """To AMD's driver the CPU is a node too, with 0 for its id; a card kept from this container can't be read."""
    try:
        return node.is_dir() or node.read_text().strip() != "0"
    except OSError:
        return False
