"""Where did it learn this? The adapter's training rows that share most words with the question."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medqa import training_rows
from medqa.question import Question, percent_text
from medqa.training_rows import words_of

# The share of the words of two questions that both have, from which one is nearly the other. Of MedMCQA's held-out
# questions those above it are repeats of training rows, with other punctuation or options moved; the handbook's test
# questions, which ask the same facts in other words, reach 0.74, vignettes of MedQA-USMLE 0.62.
NEARLY = 0.8
# A repeat scores high, but longer rows that have all its words besides others may score higher.
CANDIDATES = 20
# A word in more of the rows is not named as shared: it tells nothing.
COMMON_SHARE = 0.1
COMMON_ROWS = 5
LONGEST_QUOTE = 160


@dataclass(frozen=True)
class Neighbour:
    """`score`: BM25's. `same`: of the words of both questions, the share that both have. `shared`: rarest first."""

    row: Question
    score: float
    same: float
    shared: tuple[str, ...]


@dataclass(frozen=True)
class Neighbours:
    """`rows`: how many training rows were searched. `absent`: why there are none, else ""."""

    question: Question
    rows: int
    found: tuple[Neighbour, ...]
    absent: str = ""

    @property
    def repeats(self) -> tuple[Neighbour, ...]:
        """Training rows that nearly are the question."""
        return tuple(neighbour for neighbour in self.found if neighbour.same >= NEARLY)

    @property
    def warning(self) -> str:
        """Empty unless the question is nearly a training row."""
        if not self.repeats:
            return ""
        same = max(neighbour.same for neighbour in self.repeats)
        which = (
            "has the very words of a training row, options included, in whatever order"
            if same == 1
            else f"is nearly a training row: {percent_text(same)} of the words of the two, options included, stand in "
            f"both, and {percent_text(NEARLY)} is enough for this warning"
        )
        way_on = "A right answer may be memory. Compare the two: one changed word can change the key."
        return f"This question {which}. {way_on}"

    @property
    def sentences(self) -> tuple[str, ...]:
        if self.absent:
            return (self.absent,)
        return tuple(filter(None, (self.warning, self._nearest, self._limits)))

    @property
    def _nearest(self) -> str:
        if not self.found:
            return f"None of the {self.rows:,} questions the adapter was trained on shares a word with this one."
        row = self.found[0].row
        stem = row.stem if len(row.stem) <= LONGEST_QUOTE else f"{row.stem[:LONGEST_QUOTE].rstrip()} …"
        key = "It has no key." if row.answer is None else f"Its key is {row.named(row.answer)}."
        return (
            f"The nearest of the {self.rows:,} questions the adapter was trained on, by shared words, rare ones "
            f"counting more (BM25): “{stem}” {key}"
        )

    @property
    def _limits(self) -> str:
        return (
            "Nearest means shared words, not cause: the model may have learnt the answer elsewhere, for instance in "
            "pretraining, and a row that says the same in other words may not be found."
        )


def neighbours(question: Question, adapter: Path | None, k: int = 5) -> Neighbours:
    """Needs no engine: nothing is scored by a model. Raises AdapterError when the adapter's rows are damaged."""
    if adapter is None:
        return Neighbours(
            question, 0, (),
            "The base model alone has no training rows to search. What it knows is from pretraining. "
            "Choose an adapter to see the rows it was trained on.",
        )  # fmt: skip
    asked = words_of(question)
    nearest = training_rows.nearest(adapter, asked, max(k, CANDIDATES))
    if nearest is None:
        return Neighbours(
            question, 0, (),
            "This adapter came without its training rows, so there is nothing to search: it was made elsewhere, "
            "by an older version, or passed on without them.",
        )  # fmt: skip
    common = max(COMMON_ROWS, COMMON_SHARE * nearest.rows)
    telling = {word: rows for word, rows in nearest.rows_with.items() if rows <= common}
    found = [_neighbour(row, score, asked, telling) for row, score in nearest.found]
    # Repeats first; otherwise they stay in the order of their scores.
    found.sort(key=lambda neighbour: neighbour.same < NEARLY)
    return Neighbours(question, nearest.rows, tuple(found[:k]))


def _neighbour(row: Question, score: float, asked: list[str], telling: dict[str, int]) -> Neighbour:
    here, there = set(asked), set(words_of(row))
    both = here & there
    shared = sorted(both & telling.keys(), key=lambda word: (telling[word], word))
    return Neighbour(row, score, len(both) / len(here | there), tuple(shared))
