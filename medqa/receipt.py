"""A receipt: one answer with all that is needed to get it again, as JSON. Loads no model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medqa.adapters import WEIGHTS, Adapter, AdapterError
from medqa.base_model import revision
from medqa.errors import UserError
from medqa.question import LETTERS, Answer, Explanation, Question, QuestionError
from medqa.trust import is_sure

if TYPE_CHECKING:
    from medqa.engine import Engine

FORMAT = 1
# An answer with every probe takes some 20 kB; a question of 1,500 tokens adds about 10.
MOST_BYTES = 1_000_000
PACKAGES = ("torch", "transformers", "peft")
# The sources an answer depends on. A version number would have to be raised by hand at each change of theirs.
SOURCES = (
    "question.py",
    "prompt.py",
    "model.py",
    "read_prompts.py",
    "reader.py",
    "batch.py",
    "graphed_batch.py",
    "lean_decoder.py",
    "writing.py",
    "engine.py",
)


class ReceiptError(UserError):
    """A receipt that can't be made, read or checked; the message is one sentence for a person."""


@dataclass(frozen=True)
class Made:
    """What made an answer. `base` is a Hub id or a folder's last part; its revision is what pins it."""

    base: str
    base_revision: str
    adapter: str | None
    adapter_sha256: str | None
    device: str
    hardware: str
    dtype: str
    versions: dict[str, str]


@dataclass(frozen=True)
class Said:
    """What its card said of an answer, in the card's sentences; "" where it said nothing.

    `not_sure_below`: the share below which it was to name no option. `record`: how often it was right when as sure.
    """

    doubts: tuple[str, ...] = ()
    not_sure_below: float = 0.0
    record: str = ""
    explanation_doubt: str = ""


@dataclass(frozen=True)
class Receipt:
    """`probes`: title to the sentences of its result, for those that were run. `date`: ISO 8601, of the answer.

    `said` is None in one that was saved before receipts kept it.
    """

    question: Question
    log_probabilities: tuple[float, ...]
    explanation: Explanation
    made: Made
    date: str
    probes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    said: Said | None = None

    @property
    def answer(self) -> Answer:
        return Answer(self.question, self.log_probabilities, self.made.base, self.made.adapter)

    @property
    def sure(self) -> bool:
        """Whether its card named an option."""
        return self.said is None or is_sure(self.answer, self.said.not_sure_below)

    def to_json(self) -> dict:
        q, answer = self.question, self.answer
        subject = {"subject": q.subject} if q.subject else {}
        said = {"said": {"sure": self.sure, **asdict(self.said)}} if self.said else {}
        return {
            "medqa_receipt": FORMAT,
            "date": self.date,
            "question": {"stem": q.stem, "options": list(q.options), "key": q.key, **subject},
            "letter": answer.letter,
            "probabilities": list(answer.probabilities),
            "log_probabilities": list(self.log_probabilities),
            "explanation": asdict(self.explanation),
            "probes": {title: list(sentences) for title, sentences in self.probes.items()},
            "made": asdict(self.made),
            **said,
        }

    def as_text(self) -> str:
        return json.dumps(self.to_json(), ensure_ascii=False, indent=1) + "\n"


def made_by(engine: Engine, adapter: Adapter | None) -> Made:
    """What answers now: the base as it was loaded, the adapter's weights as they lie on the disk now."""
    base, device = engine.loaded.name, engine.loaded.device
    return Made(
        base=told_name(base),
        base_revision=revision(str(engine.loaded.folder)),
        adapter=adapter.name if adapter else None,
        adapter_sha256=weights_sha256(adapter.folder) if adapter else None,
        device=device.kind,
        hardware=device.hardware,
        dtype=device.dtype_name,
        versions={"medqa": _sources_version(), **{name: version(name) for name in PACKAGES}},
    )


def told_name(base: str) -> str:
    """A receipt is passed on: of a folder it tells the last part only."""
    return Path(base).name if Path(base).expanduser().is_dir() else base


def weights_sha256(folder: Path) -> str:
    """Of an adapter. Raises AdapterError where it has just been deleted."""
    weights = folder / WEIGHTS
    try:
        found = weights.stat()
        return _file_sha256(weights, found.st_mtime_ns, found.st_ino)
    except OSError as error:
        raise AdapterError("The adapter is gone. Choose another one.") from error


@lru_cache(maxsize=256)
def _file_sha256(path: Path, changed: int, number: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=1)
def _sources_version() -> str:
    digest = hashlib.sha256()
    for name in SOURCES:
        digest.update((Path(__file__).parent / name).read_bytes())
    return f"sources {digest.hexdigest()[:12]}"


def read(file: Path) -> Receipt:
    """Raises ReceiptError."""
    try:
        if file.stat().st_size > MOST_BYTES:
            raise ReceiptError(f"{file.name} is larger than {MOST_BYTES // 1_000_000} MB: it is no receipt.")
        values = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ReceiptError(f"{file.name} can't be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise ReceiptError(
            f"{file.name} is not readable as JSON: it is damaged, or it is no receipt. Give the JSON that was saved."
        ) from error
    return from_json(values)


def from_json(values: object) -> Receipt:
    """Raises ReceiptError saying whether it is no receipt, a newer one or a damaged one."""
    if not isinstance(values, dict) or "medqa_receipt" not in values:
        raise ReceiptError("This is no MedQA receipt. Give the JSON that “Save receipt (JSON)” made.")
    found = values["medqa_receipt"]
    if isinstance(found, int) and found > FORMAT:
        raise ReceiptError(f"The receipt has format {found}; this MedQA reads up to {FORMAT}. Update MedQA to read it.")
    try:
        return _parsed(values)
    except KeyError as error:
        raise ReceiptError(f"The receipt is damaged: it lacks {error}. Use an undamaged copy.") from error
    except (ValueError, QuestionError) as error:
        raise ReceiptError(f"The receipt is damaged: {error} Use an undamaged copy.") from error


def _parsed(values: dict[str, Any]) -> Receipt:
    asked, written = _held(values, "question", dict), _held(values, "explanation", dict)
    options = tuple(_text(option, "an option") for option in _held(asked, "options", list))
    scores = _numbers(values, "log_probabilities")
    if len(scores) != len(options):
        raise ValueError(f"it has {len(options)} options and {len(scores)} log-probabilities.")
    # Receipts did not keep it at first.
    subject = _text(asked["subject"], "the subject") if asked.get("subject") is not None else None
    receipt = Receipt(
        question=Question(_text(asked["stem"], "the question"), options, index_of(asked["key"]), subject=subject),
        log_probabilities=scores,
        explanation=Explanation(
            _text(written["text"], "the explanation"), bool(written["ended"]), bool(written["cut"])
        ),
        made=_made(_held(values, "made", dict)),
        date=_text(values["date"], "the date"),
        probes={
            _text(title, "a probe's title"): tuple(
                _text(sentence, "a probe's sentence") for sentence in _held(values["probes"], title, list)
            )
            for title in _held(values, "probes", dict)
        },
        said=_said(_held(values, "said", dict)) if "said" in values else None,
    )
    mine, stated = receipt.answer.probabilities, _numbers(values, "probabilities")
    follow = len(stated) == len(mine) and all(abs(a - b) < 1e-6 for a, b in zip(mine, stated, strict=True))
    if values["letter"] != receipt.answer.letter or not follow:
        raise ValueError("its letter and probabilities don't follow from its log-probabilities.")
    if receipt.said and values["said"]["sure"] != receipt.sure:
        raise ValueError("whether it was sure doesn't follow from its probabilities.")
    return receipt


def _said(values: dict[str, Any]) -> Said:
    [below] = _finite([values["not_sure_below"]], "not_sure_below")
    doubts = tuple(_text(doubt, "a doubt") for doubt in _held(values, "doubts", list))
    return Said(doubts, below, *(_text(values[name], name) for name in ("record", "explanation_doubt")))


def _made(values: dict[str, Any]) -> Made:
    texts = {name: _text(values[name], name) for name in ("base", "base_revision", "device", "hardware", "dtype")}
    adapter = {
        name: None if values[name] is None else _text(values[name], name) for name in ("adapter", "adapter_sha256")
    }
    if (adapter["adapter"] is None) != (adapter["adapter_sha256"] is None):
        raise ValueError("an adapter's name and the SHA-256 of its weights belong together.")
    versions = {name: _text(found, "a version") for name, found in _held(values, "versions", dict).items()}
    return Made(**texts, **adapter, versions=versions)


def index_of(letter: object) -> int | None:
    """Raises ValueError unless it is one letter or None."""
    if letter is None:
        return None
    # A list: within a string "" and "AB" are found too.
    if letter not in list(LETTERS):
        raise ValueError(f"{letter!r:.20} is no letter of an option.")
    return LETTERS.index(letter)


def _held(values: dict[str, Any], name: str, kind: type) -> Any:
    if not isinstance(values[name], kind):
        raise ValueError(f"its {name} is no {kind.__name__}.")
    return values[name]


def _numbers(values: dict[str, Any], name: str) -> tuple[float, ...]:
    return _finite(_held(values, name, list), name)


def _finite(listed: list, name: str) -> tuple[float, ...]:
    # The bound refuses what JSON allows: infinity, not a number, and integers too large for a float.
    if not all(isinstance(n, int | float) and not isinstance(n, bool) and abs(n) < 1e9 for n in listed):
        raise ValueError(f"not all of its {name} are numbers.")
    return tuple(map(float, listed))


def _text(value: object, what: str) -> str:
    # A lone surrogate, which JSON allows, can be neither shown nor saved.
    if not isinstance(value, str) or any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError(f"{what} is no text.")
    return value
