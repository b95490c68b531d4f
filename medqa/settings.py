"""Where things are and how much is allowed, from the environment. Knows nothing of pages or models."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from medqa.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
ASSETS = ROOT / "assets"
EMBEDDED = "medqa-nano"


@dataclass(frozen=True)
class Settings:
    """Each field is read from the environment variable `MEDQA_` + its name in capitals."""

    runs: Path = ROOT / "runs"
    base_model: str = EMBEDDED
    device: str = "auto"
    host: str = "127.0.0.1"
    port: int = 7860
    share: bool = False
    public: bool = False
    proxy: bool = False
    disputes: bool = True
    standby: bool = True
    max_question_tokens: int = 1500
    max_explanation_tokens: int = 256
    max_upload_megabytes: int = 50


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Raises UserError naming the variable, its value and what is wanted."""
    chosen = {}
    for name, default in ((f, getattr(Settings, f)) for f in Settings.__dataclass_fields__):
        variable = f"MEDQA_{name.upper()}"
        text = environment.get(variable, "").strip()
        if text:
            chosen[name] = _parsed(variable, text, type(default) if not isinstance(default, Path) else Path)
    # A Space sets SPACE_ID; inside its container the page must be reachable from the proxy.
    if "SPACE_ID" in environment:
        chosen.setdefault("host", "0.0.0.0")
        chosen.setdefault("public", True)
    # Where strangers can reach the page they are visitors, unless the host says otherwise.
    if chosen.get("share") or not is_loopback(chosen.get("host", Settings.host)):
        chosen.setdefault("public", True)
    # What any visitor writes is kept only where the host wants it.
    if chosen.get("public"):
        chosen.setdefault("disputes", False)
    return Settings(**chosen)


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        # Of names only this one is sure to lead back here.
        return host == "localhost"


def _parsed(variable: str, text: str, wanted: type) -> object:
    if wanted is bool:
        if text.lower() not in ("0", "1", "true", "false", "yes", "no"):
            raise UserError(f"{variable} is {text!r}; it should be 1 or 0.")
        return text.lower() in ("1", "true", "yes")
    if wanted is int:
        if not text.isdecimal():
            raise UserError(f"{variable} is {text!r}; it should be a whole number.")
        return int(text)
    return Path(text).expanduser().resolve() if wanted is Path else text
