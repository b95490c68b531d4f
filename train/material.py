"""What a run learns from and is measured on: the data set, tokenised. Knows no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from medqa import datasets
from medqa.datasets import fingerprint, held_out_split
from medqa.datasets.rows import DatasetError, Loaded
from medqa.disputes import Dispute
from medqa.evaluate import drawn
from medqa.prompt import Example, training_examples
from medqa.question import Question
from medqa.runs import EventWriter
from medqa.spec import RunSpec
from train.reporting import HeldOut


@dataclass(frozen=True)
class Material:
    questions: tuple[Question, ...]
    examples: tuple[Example, ...]
    too_long: int
    loaded: Loaded
    held_out: HeldOut
    # As the event "prepared" has them.
    fingerprints: dict[str, str]

    def check_unchanged(self, dataset: str, prepared: dict) -> None:
        """`prepared`: that of the run's turn before; an older version's has no fingerprints. Raises DatasetError."""
        if any(prepared.get(name, now) != now for name, now in self.fingerprints.items()):
            raise DatasetError(
                f"The questions of {dataset} are not those this run began with, so it can't go on where it was. "
                "Put them back as they were, then resume; or start a new run under another name."
            )


def prepare(
    spec: RunSpec, tokenizer: PreTrainedTokenizerBase, write: EventWriter, wrong_keys: Sequence[Dispute]
) -> Material:
    """Load and tokenise. `wrong_keys`: the marks that count. Raises DatasetError when nothing is left to train on."""
    loaded = datasets.load(spec.dataset, "train", spec.rows, spec.seed, spec.cop_base, spec.disputed_rows, wrong_keys)
    questions, examples = _fitting(loaded.questions, tokenizer, spec.max_length)
    if not questions:
        raise DatasetError(
            f"None of the {len(loaded.questions)} questions of {spec.dataset} fits into {spec.max_length} tokens. "
            "Raise the maximum length."
        )
    try:
        held_out = _held_out(spec, tokenizer, wrong_keys)
    except DatasetError as error:
        write("note", message=f"Accuracy is not measured in this run: {error}")
        held_out = HeldOut((), ())
    fingerprints = {"rows_sha256": fingerprint(questions), "held_out_sha256": fingerprint(held_out.questions)}
    return Material(questions, examples, len(loaded.questions) - len(questions), loaded, held_out, fingerprints)


def _held_out(spec: RunSpec, tokenizer: PreTrainedTokenizerBase, wrong_keys: Sequence[Dispute]) -> HeldOut:
    split = held_out_split(spec.dataset)
    available = datasets.load(spec.dataset, split, cop_base=spec.cop_base, wrong_keys=wrong_keys).questions
    return HeldOut(*_fitting(drawn(available, spec.evaluation_questions), tokenizer, spec.max_length))


def _fitting(
    questions: Sequence[Question], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> tuple[tuple[Question, ...], tuple[Example, ...]]:
    """The questions that fit, and their examples, in the same order."""
    pairs = zip(questions, training_examples(questions, tokenizer, max_length), strict=True)
    kept = [(question, example) for question, example in pairs if example is not None]
    return tuple(question for question, _ in kept), tuple(example for _, example in kept)
