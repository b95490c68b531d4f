"""A base model's files: found by name, fetched, told apart by revision. Loads none of it, nor what would."""

from __future__ import annotations

import hashlib
from pathlib import Path

from medqa import hub
from medqa.errors import UserError
from medqa.settings import ASSETS, EMBEDDED

WAY_OUT = f"give the path of a local folder that holds the model, or choose {EMBEDDED}, which needs no network."


class ModelError(UserError):
    """A base model that can't be used; the message names it and the way out."""


def locate(name: str, weights: bool = True) -> Path:
    """The folder of a base model: the embedded one, a local folder, or a Hub id (fetched). Raises ModelError.

    Without `weights` those of the Hub are not fetched.
    """
    if name == EMBEDDED:
        return ASSETS / EMBEDDED
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").exists() or not list(folder.glob("*.safetensors")):
            raise ModelError(
                f"The folder {name} holds no model: config.json and .safetensors files are wanted. "
                f"{WAY_OUT[0].upper()}{WAY_OUT[1:]}"
            )
        return folder
    if not hub.is_repository_id(name):
        raise ModelError(
            f"There is no base model “{name}”: it is neither a folder nor a Hub id such as Qwen/Qwen3-1.7B. "
            f"{WAY_OUT[0].upper()}{WAY_OUT[1:]}"
        )
    try:
        return hub.fetch(name, WAY_OUT, weights)
    except hub.HubError as error:
        raise ModelError(f"The base model {error}") from error


def revision(name: str) -> str:
    """What pins the exact weights: the Hub's commit for a Hub id, else the SHA-256 of the first weights file."""
    folder = locate(name)
    if folder.parent.name == "snapshots":
        return folder.name
    weights = min(folder.glob("*.safetensors"))
    with weights.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
