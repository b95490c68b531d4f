"""transformers.Trainer with the loss computed only where there are labels, and batches of similar lengths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from peft.helpers import disable_input_dtype_casting
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset, Sampler
from transformers import PreTrainedModel, Trainer

from medqa.prompt import Example

# Batches are cut from this many at a time, sorted by length: little padding, still well mixed.
BATCHES_PER_SORT = 16


class Examples(Dataset):
    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Example:
        return self.examples[index]


def collate(examples: Sequence[Example]) -> dict[str, Tensor | int]:
    """`input_ids` and `labels`, each [examples, longest], padded on the right; labels not shifted.

    `tokens` counts what is not padding, as a plain number: counting on the GPU would make it wait.
    """
    longest = max(len(example.input_ids) for example in examples)
    padding = [longest - len(example.input_ids) for example in examples]
    return {
        "input_ids": torch.tensor([[*e.input_ids, *[0] * pad] for e, pad in zip(examples, padding, strict=True)]),
        "labels": torch.tensor([e.labels + [-100] * pad for e, pad in zip(examples, padding, strict=True)]),
        "tokens": sum(len(example.input_ids) for example in examples),
    }


def label_loss(model: PreTrainedModel, inputs: dict[str, Tensor]) -> Tensor:
    """Summed cross-entropy, in nats, of the labelled tokens.

    The output layer runs on their positions alone: for Qwen3 it is 151,936 wide, and prompts are most of an example.
    """
    targets = inputs["labels"][:, 1:]
    labelled = targets != -100
    # LoRA's float32 matrices multiply in bfloat16 beside a bfloat16 base; the update stays float32. PEFT's own cast of
    # their inputs to float32, which autocast would undo at once, is a fifth of a step on a CPU.
    mixed = model.dtype == torch.bfloat16
    with torch.autocast(model.device.type, torch.bfloat16, enabled=mixed), disable_input_dtype_casting(model, mixed):
        # No attention mask: padding is on the right and attention is causal; a mask would keep SDPA off its fast path.
        hidden = model.get_decoder()(input_ids=inputs["input_ids"], use_cache=False).last_hidden_state
        logits = model.get_output_embeddings()(hidden[:, :-1][labelled])
    return functional.cross_entropy(logits.float(), targets[labelled], reduction="sum")


class LengthSortedSampler(Sampler[int]):
    """Each epoch a new seeded order, in batches of similar lengths, the batches themselves shuffled."""

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self.lengths = lengths
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.lengths)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        # Seeded by epoch rather than by torch's global state: a resumed run meets the same order.
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(len(self.lengths), generator=generator).tolist()
        group = self.batch_size * BATCHES_PER_SORT
        batches = []
        for start in range(0, len(order), group):
            by_length = sorted(order[start : start + group], key=self.lengths.__getitem__)
            batches += [by_length[i : i + self.batch_size] for i in range(0, len(by_length), self.batch_size)]
        # Only the last batch of an epoch may be short, or the sampler's stream would be cut in other places.
        short = [batch for batch in batches if len(batch) < self.batch_size]
        whole = [batch for batch in batches if len(batch) == self.batch_size]
        shuffled = torch.randperm(len(whole), generator=generator).tolist()
        yield from (index for i in shuffled for index in whole[i])
        yield from (index for batch in short for index in batch)


class LabelTrainer(Trainer):
    """Trains on `Examples`. Its loss is the mean over the labelled tokens of the whole effective batch."""

    # Makes Trainer count the labelled tokens of an accumulated batch and leave the scaling to compute_loss.
    loss_is_scaled_for_ga = True

    def __init__(self, *, sampler: LengthSortedSampler, **options: object) -> None:
        super().__init__(data_collator=collate, **options)
        self.model_accepts_loss_kwargs = True
        self._sampler = sampler
        self.tokens_seen = 0

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> LengthSortedSampler:
        return self._sampler

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        self.tokens_seen += inputs.pop("tokens")
        loss = label_loss(self.accelerator.unwrap_model(model).get_base_model(), inputs)
        return loss / num_items_in_batch

    def floating_point_ops(self, inputs: dict[str, Tensor]) -> int:
        return 0
