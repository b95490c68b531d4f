"""Adapters found under the runs folder or fetched from the Hub by name. Loads none of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from medqa import hub, runs
from medqa.errors import UserError
from medqa.spec import without_folder

WEIGHTS = "adapter_model.safetensors"


class AdapterError(UserError):
    """An adapter that can't be used; the message names it and the way out."""


@dataclass(frozen=True)
class Adapter:
    """A PEFT LoRA folder. `card` is its medqa.json, empty for one made elsewhere."""

    name: str
    folder: Path
    base: str
    card: dict

    @property
    def dataset(self) -> str:
        return self.card.get("dataset", "not recorded")

    @property
    def held_out(self) -> dict:
        """{"before": {...}, "after": {...}} on the data set's held-out questions; empty when not measured."""
        return next(iter(self.card.get("scores", {}).values()), {})

    @property
    def label(self) -> str:
        """`quick-2 · medqa-nano · handbook · 27 % → 97 %`"""
        parts = [self.name, without_folder(self.base), without_folder(self.dataset)]
        if "before" in self.held_out and "after" in self.held_out:
            parts.append(" → ".join(f"{percent(self.held_out[when])} %" for when in ("before", "after")))
        return " · ".join(parts)


def percent(score: dict) -> int:
    return round(100 * score["correct"] / score["total"])


def found(folder: Path) -> list[Adapter]:
    """Every run's finished adapter that can be used, newest run first."""
    adapters = []
    for run in runs.all_runs(folder):
        if run.has_adapter:
            try:
                adapters.append(read(run.name, run.adapter))
            except AdapterError:
                continue
    return adapters


def named(name: str, folder: Path) -> Adapter:
    """A run's adapter by its run's name, or one from the Hub by its id. Raises AdapterError."""
    known = found(folder)
    adapter = next((adapter for adapter in known if adapter.name == name), None)
    if adapter:
        return adapter
    if hub.is_repository_id(name):
        return from_hub(name)
    there = ", ".join(adapter.name for adapter in known) or "none yet"
    raise AdapterError(f"There is no adapter “{name}”. Adapters of finished runs: {there}.")


def from_hub(repository: str) -> Adapter:
    """Fetch a PEFT LoRA adapter: safetensors only. Raises AdapterError."""
    if not hub.is_repository_id(repository):
        raise AdapterError(f"“{repository}” is not a Hub id. It looks like owner/name.")
    try:
        folder = hub.fetch(repository, "choose an adapter of a finished run.")
    except hub.HubError as error:
        raise AdapterError(f"The adapter {error}") from error
    return read(repository, folder)


def read(name: str, folder: Path) -> Adapter:
    """Raises AdapterError unless the folder is a LoRA adapter in safetensors that names its base model."""
    config = _object(folder / "adapter_config.json")
    if not config:
        raise AdapterError(f"{name} is no PEFT adapter: adapter_config.json is missing or damaged.")
    if config.get("peft_type") != "LORA":
        raise AdapterError(f"{name} is a {config.get('peft_type')} adapter; only LORA is supported.")
    if not (folder / WEIGHTS).exists():
        raise AdapterError(f"{name} has no {WEIGHTS}. Only safetensors are loaded: other formats can run code.")
    card = _object(folder / "medqa.json")
    base = card.get("base_model") or config.get("base_model_name_or_path")
    if not base:
        raise AdapterError(f"{name} does not name its base model in adapter_config.json.")
    return Adapter(name, folder, base, card)


def _object(path: Path) -> dict:
    """The JSON object in a file; {} when it is missing, damaged or no object."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
