"""Answer a receipt's question again, and say what differs. Loads no model itself: it is given an engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medqa import adapters
from medqa.adapters import Adapter, AdapterError
from medqa.question import LETTERS, Answer, Explanation
from medqa.receipt import Made, Receipt, ReceiptError, made_by, told_name, weights_sha256
from medqa.settings import Settings

if TYPE_CHECKING:
    from medqa.engine import Engine

# By how much a probability may be off. In float32 only the order of additions differs, with threads and kernels. Where
# one side is bfloat16: over 170 questions, medqa-nano with an adapter, it and float32 differed by 0.044 at most.
FLOAT32 = 0.01
BFLOAT16 = 0.05
NOT_CHECKED = (
    "Not checked: the receipt's date, its key, its probes and what its card said besides. They stand as they do in the "
    "file, where anybody could have changed them."
)


@dataclass(frozen=True)
class Reproduced:
    """A receipt beside what answers it now."""

    receipt: Receipt
    answer: Answer
    explanation: Explanation
    made: Made

    @property
    def bound(self) -> float:
        """The largest difference of a probability that is put down to arithmetic."""
        return BFLOAT16 if "bfloat16" in (self.made.dtype, self.receipt.made.dtype) else FLOAT32

    @property
    def furthest(self) -> float:
        """The largest difference of a probability that there is."""
        pairs = zip(self.receipt.answer.probabilities, self.answer.probabilities, strict=True)
        return max(abs(before - now) for before, now in pairs)

    @property
    def answer_differs(self) -> tuple[str, ...]:
        """Sentences; none when choice, probabilities and explanation come out again, as far as both texts go."""
        then, said = self.receipt.answer, []
        if then.letter != self.answer.letter:
            said.append(f"The choice is {_choice(self.answer)} now; in the receipt it is {_choice(then)}.")
        if self.furthest > self.bound:
            said.append(
                f"A probability differs by {100 * self.furthest:.1f} percentage points; up to "
                f"{100 * self.bound:.0f} are put down to the number format."
            )
        if not self._explanation_again:
            near_tie = "; in another number format a near tie between two words may tip"
            reason = near_tie if self.made.dtype != self.receipt.made.dtype else ""
            said.append(f"The model writes another explanation now{reason}.")
        return tuple(said)

    @property
    def _explanation_again(self) -> str:
        """How far the explanation is the same, to end the verdict with; "" when it is another one.

        A text that a length limit cut, which may be another one here, is compared as far as it goes.
        """
        then, now = self.receipt.explanation, self.explanation
        if then.text == now.text:
            return "the same explanation" if now.text else "no explanation either time"
        if then.cut and then.text and now.text.startswith(then.text):
            return f"the explanation the same as far as the receipt's goes ({_characters(then.text)})"
        if now.cut and now.text and then.text.startswith(now.text):
            return f"the explanation the same as far as it is written here ({_characters(now.text)})"
        return ""

    @property
    def surroundings_differ(self) -> tuple[str, ...]:
        """Sentences about what answers now and what answered then."""
        return tuple(sentence for sentence in (*self._weights(), *self._machine()) if sentence)

    def _weights(self) -> tuple[str, ...]:
        then, now = self.receipt.made, self.made
        base = adapter = ""
        if then.base_revision != now.base_revision:
            base = (
                f"The base model is another revision: {_short(now.base_revision)} here ({now.base}), "
                f"{_short(then.base_revision)} in the receipt ({then.base})."
            )
        if then.adapter_sha256 != now.adapter_sha256:
            adapter = f"The adapter is another one: {_adapter(now)} here, {_adapter(then)} in the receipt."
        return base, adapter

    def _machine(self) -> list[str]:
        then, now = self.receipt.made, self.made
        said = []
        if (then.device, then.hardware, then.dtype) != (now.device, now.hardware, now.dtype):
            said.append(f"It is computed on {_device(now)} here, on {_device(then)} in the receipt.")
        for package in dict.fromkeys((*then.versions, *now.versions)):
            here, there = (made.versions.get(package, "not recorded") for made in (now, then))
            if here != there:
                said.append(f"{package} is {here} here, {there} in the receipt.")
        return said

    @property
    def sentences(self) -> tuple[str, ...]:
        """The verdict first, then every difference."""
        if self.answer_differs:
            verdict = "The answer does not come out the same."
        else:
            verdict = (
                f"The answer comes out again: {_choice(self.answer)}, every probability within "
                f"{100 * self.bound:.0f} percentage points (furthest off: {100 * self.furthest:.2f}), "
                f"{self._explanation_again}."
            )
        same = () if self.surroundings_differ else ("Base model, adapter, device and versions are the receipt's own.",)
        return verdict, *self.answer_differs, *self.surroundings_differ, *same, NOT_CHECKED


def _choice(answer: Answer) -> str:
    return f"{LETTERS[answer.index]}) {answer.question.options[answer.index]}"


def _characters(text: str) -> str:
    return f"{len(text):,} character{'' if len(text) == 1 else 's'}"


def _short(digest: str) -> str:
    return digest[:12]


def _adapter(made: Made) -> str:
    return f"“{made.adapter}” (SHA-256 {_short(made.adapter_sha256)} …)" if made.adapter_sha256 else "none"


def _device(made: Made) -> str:
    return f"{made.device} ({made.hardware}) in {made.dtype}"


def reproduce(receipt: Receipt, engine: Engine, adapter: Adapter | None) -> Reproduced:
    """Raises QuestionError and ModelError, as answering does."""
    made = made_by(engine, adapter)
    folder = adapter.folder if adapter else None
    answer = engine.score(receipt.question, folder, adapter.name if adapter else None)
    *_, explanation = engine.explain(answer, folder)
    return Reproduced(receipt, answer, explanation, made)


def adapter_of(receipt: Receipt, runs: Path) -> Adapter | None:
    """The receipt's adapter among the finished runs: the one with its weights, else the one with its name.

    Raises ReceiptError when there is neither.
    """
    made = receipt.made
    if made.adapter is None:
        return None
    known = adapters.found(runs)
    same = next((adapter for adapter in known if weights_sha256(adapter.folder) == made.adapter_sha256), None)
    same = same or next((adapter for adapter in known if adapter.name == made.adapter), None)
    if same is None:
        raise ReceiptError(
            f"The receipt's adapter {_adapter(made)} is not among the finished runs here, neither by its weights nor "
            "by its name. Copy its run folder here first."
        )
    return same


def adapter_here(receipt: Receipt, settings: Settings) -> Adapter | None:
    """As `adapter_of`; an adapter from the Hub is fetched again, but not for a visitor of a public page."""
    try:
        return adapter_of(receipt, settings.runs)
    except ReceiptError as missing:
        if settings.public or "/" not in receipt.made.adapter:
            raise
        try:
            return adapters.from_hub(receipt.made.adapter)
        except AdapterError as error:
            raise ReceiptError(f"{missing} {error}") from error


def base_here(receipt: Receipt, adapter: Adapter | None, settings: Settings) -> str:
    """The base model to answer with. A file that somebody gave names no other model to load.

    Raises ReceiptError when the receipt's base alone answered and it is not the one of these settings.
    """
    if adapter:
        return adapter.base
    if receipt.made.base != told_name(settings.base_model):
        raise ReceiptError(
            f"The receipt's base model is {receipt.made.base}, here it is {told_name(settings.base_model)}. Start "
            f"MedQA with MEDQA_BASE_MODEL={receipt.made.base}, or the path of the folder that holds it."
        )
    return settings.base_model
