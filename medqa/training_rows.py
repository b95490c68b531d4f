"""The rows an adapter was trained on, in a folder inside its own, with a BM25 index of their words. Knows no model.

Plain files, and reading them unpickles nothing: rows.jsonl, starts.npy (where each row begins in it), and what the
library bm25s writes. Whoever gets the adapter gets its rows, unless this folder is taken out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from medqa.adapters import AdapterError
from medqa.question import Question
from medqa.words import words

if TYPE_CHECKING:
    import numpy as np
    from bm25s import BM25

FOLDER = "training_rows"
# Indexes kept in memory: 0.2 MB for 1,000 rows, 40 MB for as many as MedMCQA has.
KEPT = 2
README = """The questions this adapter was trained on (rows.jsonl) and an index of their words (bm25s): MedQA shows
which of them are nearest to a question asked. Delete this folder to pass the adapter on without them.
"""


@dataclass(frozen=True)
class Nearest:
    """`found`: rows with their BM25 score, best first. `rows_with`: in how many rows each word asked for stands."""

    rows: int
    found: tuple[tuple[Question, float], ...]
    rows_with: Mapping[str, int]


def words_of(question: Question) -> list[str]:
    """Those a question is found by: its stem's and its options', not its explanation's."""
    return words(" ".join((question.stem, *question.options)))


def write(adapter: Path, questions: Sequence[Question]) -> None:
    """For as many rows as MedMCQA has (182,822) it takes 10 s of one core, 0.7 GB of memory and 140 MB of disk."""
    import bm25s
    import numpy as np

    folder = adapter / FOLDER
    folder.mkdir()
    index = bm25s.BM25()
    # bm25s can't index rows that have not one word between them; "" is its own word for nothing.
    index.index([words_of(question) or [""] for question in questions], show_progress=False)
    index.save(folder, show_progress=False)
    starts = []
    with (folder / "rows.jsonl").open("wb") as file:
        for question in questions:
            starts.append(file.tell())
            file.write(json.dumps(vars(question), ensure_ascii=False).encode() + b"\n")
    np.save(folder / "starts.npy", np.array(starts, np.int64))
    (folder / "README.txt").write_text(README, encoding="utf-8")


def nearest(adapter: Path, asked: Sequence[str], most: int) -> Nearest | None:
    """The rows that share words with those asked for; None where the adapter has no rows.

    Raises AdapterError when they can't be read.
    """
    folder = adapter / FOLDER
    if not folder.is_dir():
        return None
    try:
        with (folder / "rows.jsonl").open("rb") as file:
            index, starts = _index(folder, _identity(os.fstat(file.fileno())))
            found = _found(index, asked, most)
            rows = []
            for row, score in found:
                file.seek(starts[row])
                rows.append((_question(file.readline()), score))
        return Nearest(len(starts), tuple(rows), _rows_with(index, asked))
    except Exception as error:  # numpy, json and bm25s each have errors of their own for what is damaged
        raise AdapterError(
            f"The training rows that came with this adapter can't be read ({type(error).__name__}). "
            "Its answers don't need them; training it again writes them anew."
        ) from error


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


@lru_cache(maxsize=KEPT)
def _index(folder: Path, identity: tuple[int, ...]) -> tuple[BM25, np.ndarray]:
    """`identity` is that of the rows' file: a resumed run replaces its adapter, and the index with it."""
    import bm25s
    import numpy as np

    # Not memory-mapped: a file cut short later would end the whole process.
    index = bm25s.BM25.load(folder, backend="numpy")
    starts = np.load(folder / "starts.npy")
    if index.scores["num_docs"] != len(starts):
        raise ValueError(f"an index of {index.scores['num_docs']} rows for {len(starts)}")
    if _identity((folder / "rows.jsonl").stat()) != identity:
        raise ValueError("the adapter was replaced meanwhile")
    return index, starts


def _found(index: BM25, asked: Sequence[str], most: int) -> list[tuple[int, float]]:
    known = [word for word in dict.fromkeys(asked) if word in index.vocab_dict]
    if not known:
        return []
    rows, scores = index.retrieve([known], k=min(most, index.scores["num_docs"]), show_progress=False)
    pairs = zip(rows[0].tolist(), scores[0].tolist(), strict=True)
    return [(row, score) for row, score in pairs if score > 0]


def _rows_with(index: BM25, asked: Sequence[str]) -> dict[str, int]:
    # The index is a sparse matrix with a column for each word.
    columns, begins = index.vocab_dict, index.scores["indptr"]
    known = [word for word in dict.fromkeys(asked) if word in columns]
    return {word: int(begins[columns[word] + 1] - begins[columns[word]]) for word in known}


def _question(line: bytes) -> Question:
    fields = json.loads(line)
    texts = (fields["stem"], *fields["options"], fields["explanation"] or "", fields["subject"] or "", fields["source"])
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("a row has something else where text belongs")
    return Question(**fields | {"options": tuple(fields["options"])})
