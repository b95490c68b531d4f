"""Data sets by name or path: their rows as Questions, with fixed splits. Knows no prompt and no model.

rows.py          what is kept of raw rows, what is left out and why
medmcqa.py       MedMCQA's columns
medqa_usmle.py   MedQA-USMLE's columns
upload.py        a user's own CSV, JSON or JSONL file; keys.py reads which option a key names
handbook.py      the facts that ship with the app
disputed.py      questions whose key was marked wrong, with the key given instead
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from medqa import disputes
from medqa.datasets import disputed, medmcqa, medqa_usmle, upload
from medqa.datasets.rows import (
    STEM_CHARACTERS,
    DatasetError,
    Loaded,
    Skipped,
    one_line,
    plain,
    without,
    without_repeats,
)
from medqa.disputes import Dispute
from medqa.question import Question
from medqa.settings import from_environment

__all__ = [
    "HUB_IDS",
    "NAMES",
    "SHOWN_TO_ALL",
    "DatasetError",
    "Loaded",
    "Skipped",
    "fingerprint",
    "held_out_split",
    "load",
    "load_parts",
]

NAMES = {
    "handbook": "Exam facts that ship with the app; no network needed.",
    "medmcqa": "MedMCQA: Indian entrance exams (NEET-PG, AIIMS), 4 options, half of them explained.",
    "medqa_usmle": "MedQA-USMLE: US licensing exam vignettes, 4 options, no explanations.",
    "medqa_usmle_5": "MedQA-USMLE with 5 options; from a local copy only.",
    "disputes": "Questions whose key was marked wrong on the Answer tab, with the corrected key.",
}
# Visitors of a public page see rows of these, but not what another one has disputed.
SHOWN_TO_ALL = tuple(name for name in NAMES if name != "disputes")
FOLDER_VARIABLE = "MEDQA_DATA"
HUB_IDS = {"medmcqa": medmcqa.HUB_ID, "medqa_usmle": medqa_usmle.HUB_ID, "medqa_usmle_5": medqa_usmle.HUB_ID_5_OPTIONS}
# What a split may be called, the first one found is taken. Some sets hold out only a "test".
SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "test"),
    "test": ("test",),
}
SUFFIXES = (".jsonl", ".json", ".csv", ".parquet")
HELD_OUT_SHARE = 5  # one in five rows of a single file
HUB_TIMEOUT_SECONDS = 5


def held_out_split(name: str) -> str:
    """The split a run is scored on."""
    return "test" if name == "handbook" else "validation"


def load(
    name: str,
    split: str = "train",
    limit: int | None = None,
    seed: int = 0,
    cop_base: int | None = None,
    disputed_rows: str = "keep",
    wrong_keys: Sequence[Dispute] | None = None,
) -> Loaded:
    """Questions of a built-in data set or of a local file or folder. Raises DatasetError.

    `limit`: a shuffle with `seed`, then the first so many; None is all of them in their order.
    `cop_base`: 0 or 1 states how numeric keys count; None reads it from the rows.
    `disputed_rows`: "leave out" those whose key somebody has marked wrong, before any are drawn; or "keep" them.
    `wrong_keys`: the marks that count; None is all there are now in the folder of runs.
    Questions asked twice are left out, and those of "train" that are also in "validation".
    """
    left_out = disputed_rows == "leave out" and name != "disputes"
    if wrong_keys is None and (left_out or name == "disputes"):
        wrong_keys = disputes.wrong_keys(from_environment().runs)
    loaded = _load_handbook(split) if name == "handbook" else _load_rows(name, split, cop_base, wrong_keys)
    if left_out:
        loaded = without(loaded, disputed.marked(wrong_keys), "disputed key")
    shown = name if name in NAMES else Path(name).name  # a visitor is not told where the server keeps its files
    _check_not_empty(loaded, shown, split)
    if limit is None:
        return loaded
    if not 0 < limit <= len(loaded.questions):
        way_out = "Choose fewer." if limit > 0 else "Choose at least 1."
        raise DatasetError(f"{limit:,} examples asked for, {shown} has {len(loaded.questions):,}. {way_out}")
    return Loaded(tuple(random.Random(seed).sample(loaded.questions, len(loaded.questions))[:limit]), loaded.skipped)


def load_parts(path: Path, cop_base: int | None = None) -> tuple[Loaded, Loaded]:
    """The "train" and "validation" of a single file, read once. The latter may be empty: there is then no question to
    measure a run on, which keeps nobody from training. Raises DatasetError.
    """
    everything = _all_of_file(path, cop_base)
    train, held_out = (_part(everything, split, path.name) for split in ("train", "validation"))
    _check_not_empty(train, path.name, "train")
    return train, held_out


def fingerprint(questions: Iterable[Question]) -> str:
    """The sha256 of what the questions say and ask, in this order; where they came from does not count."""
    digest = hashlib.sha256()
    for q in questions:
        content = (q.stem, q.options, q.answer, q.explanation, q.subject)
        digest.update(json.dumps(content, ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()


def _check_not_empty(loaded: Loaded, shown: str, split: str) -> None:
    if not loaded.questions:
        reasons = ", ".join(f"{reason}: {count:,}" for reason, count in loaded.skipped_by_reason.items())
        raise DatasetError(f"{shown} has no usable question in {split} ({reasons or 'no rows'}).")


def _load_handbook(split: str) -> Loaded:
    from medqa.datasets import handbook

    if split not in handbook.SPLITS:
        raise DatasetError(f"handbook has no split {split}. It has {', '.join(handbook.SPLITS)}.")
    return without_repeats(Loaded(tuple(handbook.questions(split))))


def _load_rows(name: str, split: str, cop_base: int | None, wrong_keys: Sequence[Dispute] | None) -> Loaded:
    if split not in SPLITS:
        raise DatasetError(f"{name} has no split {split}. It has {', '.join(SPLITS)}.")
    if name == "disputes":
        return _part(disputed.corrected(wrong_keys), split, name)
    if name in NAMES:
        return _load_built_in(name, split, cop_base)
    path = Path(name).expanduser()
    if path.is_dir():
        return _load_folder(path, split, cop_base)
    if path.is_file():
        return _load_file(path, split, cop_base)
    raise DatasetError(f"There is no data set {name}. Choose {', '.join(NAMES)}, or the path of a file or folder.")


def _load_built_in(name: str, split: str, cop_base: int | None) -> Loaded:
    if os.environ.get(FOLDER_VARIABLE):
        folder = Path(os.environ[FOLDER_VARIABLE]).expanduser()
        if (folder / name).is_dir():
            return _load_folder(folder / name, split, cop_base)
        if name == "medqa_usmle_5" and (folder / "medqa_usmle").is_dir():
            return _load_folder(folder / "medqa_usmle", split, cop_base, ending="_5_options")
    if HUB_IDS[name] is None:
        raise DatasetError(
            f"{name} is loaded from a local copy only: the Hub's (bigbio/med_qa) needs its own code run. "
            f"Put {name}/train.jsonl and {name}/validation.jsonl into the folder that {FOLDER_VARIABLE} names, or give "
            "a path."
        )
    splits = _from_hub(name)
    return _split_of(splits, splits, split, name, cop_base)


# Local files


def _load_folder(folder: Path, split: str, cop_base: int | None, ending: str = "") -> Loaded:
    """The `ending` comes between the split's name and the suffix."""
    files = {
        word: path
        for words in SPLITS.values()
        for word in words
        for suffix in reversed(SUFFIXES)
        if (path := folder / f"{word}{ending}{suffix}").is_file()
    }
    looked_for = [f"{word}{ending}" for word in SPLITS[split]]
    if not any(word in files for word in SPLITS[split]):
        raise DatasetError(
            f"{folder.name} has no {split} split. Looked for {', '.join(looked_for)} with {', '.join(SUFFIXES)}. "
            "Add one, or give the path of a single file: a fifth of it is then its validation split."
        )
    wanted = {_first(SPLITS[s], files) for s in (split, "validation")} - {None}
    rows = {word: _read_file(files[word]) for word in wanted}
    return _split_of(rows, files, split, folder.name, cop_base)


def _load_file(path: Path, split: str, cop_base: int | None) -> Loaded:
    return _part(_all_of_file(path, cop_base), split, path.name)


def _all_of_file(path: Path, cop_base: int | None) -> Loaded:
    return upload.to_questions(_read_file(path), path.stem, cop_base)


def _part(everything: Loaded, split: str, name: str) -> Loaded:
    """What has no splits: a fifth of its stems, chosen by their hash, is "validation", the rest is "train"."""
    if split == "test":
        raise DatasetError(f"{name} is in one piece: it has the splits train and validation.")
    return without_repeats(
        Loaded(
            tuple(q for q in everything.questions if _is_held_out(q.stem) == (split == "validation")),
            tuple(s for s in everything.skipped if _is_held_out(s.stem) == (split == "validation")),
        )
    )


def _read_file(path: Path) -> list[dict[str, Any]]:
    if path.suffix.lower() != ".parquet":
        return upload.read_rows(path)
    import pyarrow.parquet

    try:
        return pyarrow.parquet.read_table(path).to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise DatasetError(f"{path.name} can't be read as Parquet: {error}.") from error


# The Hub


def _from_hub(name: str) -> Mapping[str, Iterable[Any]]:
    """All splits of a data set on the Hub, or in its cache. Its code is never run."""
    import datasets

    # Unreachable, `datasets` retries for 23 s, or for over a minute behind a firewall that drops packets. One short
    # request decides, and without an answer only its cache is asked.
    was_offline = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = was_offline or not _hub_answers()
    try:
        return datasets.load_dataset(HUB_IDS[name])
    except Exception as error:  # network, Hub and file errors have no common base class
        raise DatasetError(
            f"{name} could not be had from the Hugging Face Hub ({HUB_IDS[name]}: {error}). Give a local copy, as a "
            f"path or as {name}/train.jsonl and {name}/validation.jsonl in the folder that {FOLDER_VARIABLE} names; or "
            "choose the handbook."
        ) from error
    finally:
        datasets.config.HF_HUB_OFFLINE = was_offline


def _hub_answers() -> bool:
    import huggingface_hub

    try:
        huggingface_hub.get_session().head(huggingface_hub.constants.ENDPOINT, timeout=HUB_TIMEOUT_SECONDS)
    except Exception:  # which library's errors these are changes with huggingface_hub's versions
        return False
    return True


# Splits and repeats


def _first(words: Iterable[str], present: Iterable[str]) -> str | None:
    return next((word for word in words if word in present), None)


def _split_of(
    rows: Mapping[str, Iterable[Any]], present: Iterable[str], split: str, name: str, cop_base: int | None
) -> Loaded:
    """One split, its repeats left out. What "train" shares with "validation" goes, so that scores stay honest."""
    word = _first(SPLITS[split], present)
    if word is None:
        raise DatasetError(f"{name} has no {split} split. It has {', '.join(present)}.")
    held_out_word = _first(SPLITS["validation"], present) if split == "train" else None
    loaded = upload.to_questions(rows[word], f"{name}/{word}", cop_base)
    held_out = (
        upload.to_questions(rows[held_out_word], f"{name}/{held_out_word}", cop_base).questions if held_out_word else ()
    )
    return without_repeats(loaded, held_out)


def _is_held_out(stem: str) -> bool:
    # Only what a skipped row keeps of its stem, so that a row's split does not hang on its being usable.
    digest = hashlib.sha256(plain(one_line(stem)[:STEM_CHARACTERS]).encode()).digest()
    return int.from_bytes(digest[:8]) % HELD_OUT_SHARE == 0
