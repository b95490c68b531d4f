"""The command line: `python -m medqa train|resume|ask|probe|evaluate|adapters|export|receipt|disputes|doctor`.

The same library as the page.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib.metadata import PackageNotFoundError, version

from medqa import answer_commands, probe_command, receipt_commands, run_commands
from medqa.errors import UserError
from medqa.settings import Settings, from_environment

PACKAGES = ("torch", "transformers", "peft", "accelerate", "datasets", "gradio")


def main(arguments: list[str] | None = None) -> int:
    chosen = parser().parse_args(arguments)
    try:
        return chosen.command(chosen, from_environment())
    except UserError as error:
        print(f"medqa: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("medqa: interrupted", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m medqa", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    run_commands.add_to(commands)
    answer_commands.add_to(commands)
    probe_command.add_to(commands)
    receipt_commands.add_to(commands)

    doctor = commands.add_parser("doctor", help="device, number format, versions, warnings")
    doctor.add_argument("--json", action="store_true")
    doctor.set_defaults(command=doctor_command)
    return top


def doctor_command(chosen: argparse.Namespace, settings: Settings) -> int:
    import torch

    from medqa import device

    device_found = device.choose(settings.device)
    memory = device.memory(device_found)
    facts = {
        "device": device_found.kind,
        "hardware": device_found.hardware,
        "dtype": device_found.dtype_name,
        "reason": device_found.reason,
        "build": f"ROCm {torch.version.hip}"
        if torch.version.hip
        else f"CUDA {torch.version.cuda}"
        if torch.version.cuda
        else "CPU",
        "memory_gb": round(memory.total / 2**30, 1),
        "memory_used_gb": round(memory.used / 2**30, 1),
        "python": sys.version.split()[0],
        "versions": {name: _version(name) for name in PACKAGES},
        "runs": str(settings.runs),
        "base_model": settings.base_model,
        "warnings": device.warnings(),
    }
    if chosen.json:
        print(json.dumps(facts))
        return 0
    for name, value in facts.items():
        if name == "warnings":
            print("\n".join(f"warning: {text}" for text in value) or "warnings: none")
        else:
            text = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
            print(f"{name.replace('_', ' ')}: {text}")
    return 0


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
