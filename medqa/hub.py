"""Files from the Hugging Face Hub into the local cache: weights as safetensors only, never code."""

from __future__ import annotations

from pathlib import Path

from medqa.errors import UserError

# No *.py, *.bin or *.pt: nothing fetched can run.
WEIGHTS = "*.safetensors"
PATTERNS = ["*.json", WEIGHTS, "*.jinja", "*.txt", "*.model", "README.md"]


class HubError(UserError):
    """A repository that could not be had; the message says why and names the ways out."""


def is_repository_id(name: str) -> bool:
    """owner/name, by the Hub client's own rules."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    if name.count("/") != 1:
        return False
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def fetch(repository: str, way_out: str, weights: bool = True) -> Path:
    """The folder of a repository's newest snapshot, from the cache when the Hub can't be reached. Raises HubError.

    Without `weights` they need not be there: tokenizer and configuration are megabytes, they may be gigabytes.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        wanted = [pattern for pattern in PATTERNS if weights or pattern != WEIGHTS]
        return Path(snapshot_download(repository, allow_patterns=wanted))
    except GatedRepoError as error:
        raise HubError(f"{repository} is gated: accept its terms on the Hub and set HF_TOKEN. Or {way_out}") from error
    except RepositoryNotFoundError as error:
        raise HubError(
            f"The Hub has no repository {repository} (or it is private). Check the id, or {way_out}"
        ) from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise HubError(
            f"{repository} can't be reached on the Hub and is not in the local cache. {_capital(way_out)}"
        ) from error


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
