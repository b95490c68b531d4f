"""How many GPUs this machine has, as its kernel lists them: known before torch is loaded."""

from __future__ import annotations

import os
from pathlib import Path

NVIDIA = "proc/driver/nvidia/gpus/*"
AMD = "sys/class/kfd/kfd/topology/nodes/*/gpu_id"
# Each may name fewer of them, for HIP, for ROCm as a whole, for CUDA.
VISIBLE = ("HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES")


def count(root: Path = Path("/")) -> int:
    there = len(list(root.glob(NVIDIA))) or sum(_is_gpu(node) for node in root.glob(AMD))
    named = [os.environ[name].split(",") for name in VISIBLE if name in os.environ]
    return min([there, *(len([one for one in names if one.strip()]) for names in named)])


def _is_gpu(node: Path) -> bool:
    """The CPU is a node too, with 0 for its id; a card kept from this container can't be read."""
    try:
        return node.read_text().strip() != "0"
    except OSError:
        return False
