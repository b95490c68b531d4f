"""What clinicians hold against answers: marks appended to one file, each with the answer's receipt. Loads no model."""

from __future__ import annotations

import fcntl
import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from medqa import receipt as receipts
from medqa.errors import UserError
from medqa.question import LETTERS
from medqa.receipt import Receipt
from medqa.spec import MARKS_FILE as FILE

AGREE, WRONG_ANSWER, WRONG_KEY = "agree", "wrong answer", "wrong key"
VERDICTS = {
    AGREE: "I agree with the answer",
    WRONG_ANSWER: "The answer is wrong",
    WRONG_KEY: "The key is wrong",
    "explanation": "The explanation is wrong or unsafe",
    "outdated": "This is outdated",
}
MOST_CHARACTERS = 2000
# Some 10,000 marks. Visitors of a public page must not fill the disk.
MOST_BYTES = 50_000_000


class DisputeError(UserError):
    """A mark that can't be kept; the message is one sentence for a person."""


@dataclass(frozen=True)
class Dispute:
    """`right`: 0-based index of the option held to be right, None when not said. `date`: ISO 8601, "" until kept."""

    receipt: Receipt
    verdict: str
    right: int | None = None
    words: str = ""
    date: str = ""

    @property
    def time(self) -> float:
        """When it was kept, in Unix seconds."""
        return datetime.fromisoformat(self.date).timestamp()

    def to_json(self) -> dict:
        return {
            "date": self.date,
            "verdict": self.verdict,
            "right": None if self.right is None else LETTERS[self.right],
            "words": self.words,
            "receipt": self.receipt.to_json(),
        }

    @classmethod
    def from_json(cls, values: dict) -> Dispute:
        right = receipts.index_of(values["right"])
        datetime.fromisoformat(values["date"])  # refuses what is no date
        return cls(receipts.from_json(values["receipt"]), values["verdict"], right, values["words"], values["date"])


def checked(dispute: Dispute) -> Dispute:
    """Raises DisputeError."""
    question = dispute.receipt.question
    if dispute.verdict not in VERDICTS:
        raise DisputeError(f"“{dispute.verdict}” is no mark. Choose one of: {', '.join(VERDICTS.values())}.")
    if len(dispute.words) > MOST_CHARACTERS:
        raise DisputeError(
            f"Your words have {len(dispute.words):,} characters, the limit is {MOST_CHARACTERS:,}. Shorten them."
        )
    if dispute.right is not None and not 0 <= dispute.right < len(question.options):
        raise DisputeError(
            f"The option you hold right is number {dispute.right + 1}, and there are {len(question.options)}."
        )
    if contradiction := _contradiction(dispute):
        raise DisputeError(contradiction)
    return dispute


def _contradiction(dispute: Dispute) -> str:
    """What a mark holds against itself, and the way out; "" when nothing."""
    question, answer = dispute.receipt.question, dispute.receipt.answer
    if dispute.verdict == WRONG_KEY and question.answer is None:
        return "The question came without a key, so none can be wrong. Choose another mark, or give one and ask again."
    if dispute.right is None:
        return ""
    held = LETTERS[dispute.right]
    if dispute.verdict == WRONG_KEY and dispute.right == question.answer:
        return f"{held} is the key already. Choose the option that should be, or none."
    if dispute.verdict == AGREE and dispute.right != answer.index:
        return f"You agree with the answer, {answer.letter}, and hold {held} right. Choose another mark, or no option."
    if dispute.verdict == WRONG_ANSWER and dispute.right == answer.index:
        return f"{held} is the answer you call wrong. Choose the option that is right, or none."
    return ""


def keep(dispute: Dispute, runs: Path) -> None:
    """Append it, dated now, as one whole line. Any number of processes may. Raises DisputeError."""
    # As fine as the time of a run's events: a run counts the marks made before it.
    values = checked(dispute).to_json() | {"date": datetime.now(UTC).isoformat(timespec="milliseconds")}
    line = json.dumps(values, ensure_ascii=False).encode() + b"\n"
    try:
        runs.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(runs / FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            _append(descriptor, line)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise DisputeError(f"The mark can't be kept: {FILE} can't be written ({error.strerror}).") from error


def _append(descriptor: int, line: bytes) -> None:
    """Only who holds the lock. On a full disk nothing of the line stays."""
    size = os.fstat(descriptor).st_size
    # A process killed in mid-line left no newline; without one this line would be lost with it.
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        line = b"\n" + line
    if size + len(line) > MOST_BYTES:
        raise DisputeError(
            f"The mark is not kept: the file of marks is full ({MOST_BYTES // 1_000_000} MB). Whoever runs this MedQA "
            f"can export it and move {FILE} away."
        )
    try:
        if os.write(descriptor, line) < len(line):
            raise OSError(0, "the disk is full")
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def lines(runs: Path) -> Iterator[dict]:
    """What was kept, oldest first. A half-written last line and damaged ones are skipped."""
    try:
        content = (runs / FILE).read_bytes()
    except FileNotFoundError:
        return
    for line in content[: content.rfind(b"\n") + 1].split(b"\n"):
        try:
            values = json.loads(line)
        except ValueError:
            continue
        if isinstance(values, dict):
            yield values


def read(runs: Path) -> list[Dispute]:
    """Those this version understands, oldest first."""
    found = []
    for values in lines(runs):
        try:
            found.append(Dispute.from_json(values))
        except (UserError, ValueError, KeyError, TypeError):
            continue
    return found


def wrong_keys(runs: Path, until: float = math.inf) -> list[Dispute]:
    """Those kept until this time, in Unix seconds."""
    return [dispute for dispute in read(runs) if dispute.verdict == WRONG_KEY and dispute.time <= until]


def as_jsonl(runs: Path) -> str:
    return "".join(json.dumps(values, ensure_ascii=False) + "\n" for values in lines(runs))
