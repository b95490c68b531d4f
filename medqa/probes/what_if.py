"""What if the question were another? The answers before and after an edit."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from medqa.probes import Tell, unheard
from medqa.question import LETTERS, Answer, Question, QuestionError, percent_text

if TYPE_CHECKING:
    from medqa.engine import Engine

# A smaller move of a probability is not worth a sentence.
WORTH_SAYING = 0.01
MOST_MOVES = 2
# More changes of words than that read worse than the edited text itself.
MOST_CHANGES = 6
LIMIT = (
    "This shows how the model's score follows the words, not what is right for the other patient; "
    "a key belongs to the question as asked."
)


class Piece(NamedTuple):
    """A stretch of words: "kept", "removed" or "added"."""

    kind: str
    text: str


@dataclass(frozen=True)
class WhatIf:
    before: Answer
    after: Answer

    @property
    def changed(self) -> bool:
        """Whether another option is chosen."""
        return self.before.index != self.after.index

    @property
    def edited(self) -> bool:
        return (self.before.question.stem, self.before.question.options) != (
            self.after.question.stem,
            self.after.question.options,
        )

    @property
    def moves(self) -> tuple[float, ...]:
        """For each option, what the edit added to its probability."""
        return tuple(
            after - before for before, after in zip(self.before.probabilities, self.after.probabilities, strict=True)
        )

    @property
    def largest_moves(self) -> tuple[int, ...]:
        """The options that moved, the furthest first."""
        order = sorted(range(len(self.moves)), key=lambda i: -abs(self.moves[i]))
        return tuple(i for i in order if abs(self.moves[i]) >= WORTH_SAYING)

    @property
    def sentences(self) -> tuple[str, ...]:
        if not self.edited:
            return ("Nothing is edited yet: this is the question as asked.",)
        chosen = [answer.question.named(answer.index) for answer in (self.before, self.after)]
        verdict = (
            f"The answer changed from {chosen[0]} to {chosen[1]}." if self.changed else f"The answer stays {chosen[1]}."
        )
        moved = [self._moved(i) for i in self.largest_moves[:MOST_MOVES]]
        return verdict, *(moved or ["No option moved by a whole point of probability."]), *self._edits, LIMIT

    @property
    def _edits(self) -> tuple[str, ...]:
        """What was edited, so that a verdict read without the page says of what."""
        before, after = self.before.question, self.after.question
        options = zip(before.options, after.options, strict=True)
        texts = [("the question", before.stem, after.stem)]
        texts += [(f"option {LETTERS[i]}", *pair) for i, pair in enumerate(options)]
        return tuple(_edit(name, *pair) for name, *pair in texts if pair[0] != pair[1])

    def _moved(self, i: int) -> str:
        before, after = self.before.probabilities[i], self.after.probabilities[i]
        return (
            f"{self.after.question.named(i)} went {'up' if after > before else 'down'} "
            f"from {percent_text(before)} to {percent_text(after)} ({points(self.moves[i])} points)."
        )


def points(move: float) -> str:
    """`+3.2`: with its decimal, as 90.4 and 93.6 % are shown as 90 and 94."""
    return f"{100 * move:+.1f}".replace("-", "−")


def what_if(
    engine: Engine, question: Question, edited: Question, adapter: Path | None = None, *, tell: Tell = unheard
) -> WhatIf:
    """Raises QuestionError when the edited question is too long or has another number of options."""
    asked, now = len(question.options), len(edited.options)
    if asked != now:
        raise QuestionError(f"The question has {asked} options and the edited one {now}. Keep their number.")
    # Not in one batch: padding changes the last digits, and "before" must be the answer the card shows.
    after = engine.score(edited, adapter)
    tell(1, 2)
    before = engine.score(question, adapter)
    tell(2, 2)
    return WhatIf(before, after)


def edited_question(question: Question, stem: str, options: str) -> Question:
    """`options`: one a line. The key stays behind: it belongs to the question as asked."""
    lines = tuple(line.strip() for line in options.splitlines() if line.strip())
    return replace(question, stem=stem.strip(), options=lines, answer=None, explanation=None)


def difference(before: str, after: str) -> tuple[Piece, ...]:
    """The two texts word by word, spaces kept with the words they follow."""
    old, new = _words(before), _words(after)
    pieces = []
    matcher = SequenceMatcher(None, [word.strip() for word in old], [word.strip() for word in new], autojunk=False)
    for kind, i, j, k, m in matcher.get_opcodes():
        if kind == "equal":
            pieces.append(Piece("kept", "".join(new[k:m])))
            continue
        if j > i:
            pieces.append(Piece("removed", "".join(old[i:j])))
        if m > k:
            pieces.append(Piece("added", "".join(new[k:m])))
    return tuple(pieces)


def _edit(name: str, before: str, after: str) -> str:
    pieces = difference(before, after)
    changes = []
    for i, piece in enumerate(pieces):
        text, following = piece.text.strip(), pieces[i + 1] if i + 1 < len(pieces) else None
        if piece.kind == "removed":
            # A replacement is one change: its removed words come right before those added.
            replaced = following is not None and following.kind == "added"
            changes.append(f"“{text}” → “{following.text.strip()}”" if replaced else f"“{text}” left out")
        elif piece.kind == "added" and not (i and pieces[i - 1].kind == "removed"):
            place = f"before “{following.text.split()[0]}”" if following else "at the end"
            changes.append(f"“{text}” added {place}")
    if len(changes) > MOST_CHANGES:
        return f"Edited, {name} reads: “{after}”"
    return f"Edited in {name}: {'; '.join(changes) or 'spaces and line breaks only'}."


def _words(text: str) -> list[str]:
    return re.findall(r"\S+\s*", text)
