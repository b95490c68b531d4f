"""transformers.Trainer with the loss computed only where there are labels, and batches of similar lengths."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice

import torch
from accelerate.data_loader import prepare_data_loader
from peft.helpers import disable_input_dtype_casting
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, Sampler
from transformers import PreTrainedModel, Trainer

from medqa.passes import TOKENS_AT_ONCE
from medqa.prompt import Example
from train import packing, ranks
from train.fused import LabelLoss, label_states
from train.graphs import GraphedDecoder
from train.packing import decoder_inputs, decoder_options
from train.sharding import in_company

# Batches are cut from this many at a time, sorted by length: little padding, still well mixed.
BATCHES_PER_SORT = 16
# Packed rows have no padding, and unsorted batches are of more equal size: they come in fewer shapes.
BATCHES_PER_SORT_PACKED = 1
Layout = Callable[[Sequence[Example]], dict[str, Tensor | list[int]]]
# In place of a row's index: a row of nothing but padding.
NOTHING = -1


class Examples(Dataset):
    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Example:
        return Example((), 0, False) if index == NOTHING else self.examples[index]


def collate(examples: Sequence[Example]) -> dict[str, Tensor | list[int]]:
    """`input_ids` and `labels`, each [examples, longest], padded on the right; labels not shifted.

    `lengths` counts what is not padding, in plain numbers: counting on the GPU would make it wait.
    """
    longest = max(len(example.input_ids) for example in examples)
    padding = [longest - len(example.input_ids) for example in examples]
    return {
        "input_ids": torch.tensor([[*e.input_ids, *[0] * pad] for e, pad in zip(examples, padding, strict=True)]),
        "labels": torch.tensor([e.labels + [-100] * pad for e, pad in zip(examples, padding, strict=True)]),
        "lengths": [len(example.input_ids) for example in examples],
    }


def in_parts(examples: Sequence[Example], tokens: int, laid_out: Layout = collate) -> dict[str, list | int]:
    """The batches these rows go through the model in, with what is counted better here than on a GPU."""
    batches = [laid_out(examples[rows]) for rows in parts([len(e.input_ids) for e in examples], tokens)]
    for batch in batches:
        batch["positions"] = label_positions(batch["labels"])
    return {
        "parts": batches,
        "tokens": sum(sum(batch["lengths"]) for batch in batches),
        "labelled": sum(len(batch["positions"]) for batch in batches),
    }


def parts(lengths: Sequence[int], tokens: int) -> Iterator[slice]:
    """Neighbouring rows whose padded size stays within the budget (a longer one goes alone); none of rows all empty."""
    start = longest = 0
    for i, length in enumerate(lengths):
        if i > start and max(longest, length) * (i + 1 - start) > tokens:
            yield slice(start, i)
            start, longest = i, 0
        longest = max(longest, length)
    if longest:
        yield slice(start, len(lengths))


def label_positions(labels: Tensor) -> Tensor:
    """Of labels [rows, tokens], flattened, the places whose states predict one."""
    return (functional.pad(labels[:, 1:], (0, 1), value=-100) != -100).flatten().nonzero().squeeze(1)


def label_loss(model: PreTrainedModel, inputs: dict[str, Tensor]) -> Tensor:
    """Summed cross-entropy, in nats, of the labelled tokens. `positions`: those of its labels, where they are known.

    The output layer runs on their positions alone: for Qwen3 it is 151,936 wide, and prompts are most of an example.
    """
    positions = inputs["positions"] if "positions" in inputs else label_positions(inputs["labels"])
    targets = inputs["labels"].flatten()[positions + 1]
    # Where LoRA runs as PEFT's own layers, its float32 matrices multiply in bfloat16 beside a bfloat16 base; the update
    # stays float32. PEFT's cast of their inputs to float32, which autocast would undo at once, costs a fifth of a step.
    mixed = model.dtype == torch.bfloat16
    # Each weight is used once in a pass, so a cache of casts would save none, and graphs can't have one.
    autocast = torch.autocast(model.device.type, torch.bfloat16, enabled=mixed, cache_enabled=False)
    with autocast, disable_input_dtype_casting(model, mixed):
        # No attention mask: padding is on the right and attention is causal; a mask would keep SDPA off its fast path.
        read = decoder_inputs(inputs)
        states = label_states(model.get_decoder(), positions, **read, **decoder_options(read))
        # Its weights are all there is to the output layer: a base of another kind is not loaded.
        weight = model.get_output_embeddings().weight
        return LabelLoss.apply(states, weight, targets)


class LengthSortedSampler(Sampler[int]):
    """Each epoch a new seeded order, in batches of similar lengths, the batches themselves shuffled."""

    def __init__(
        self, lengths: Sequence[int], batch_size: int, seed: int, batches_per_sort: int = BATCHES_PER_SORT
    ) -> None:
        self.lengths = lengths
        self.batch_size = batch_size
        self.batches_per_sort = batches_per_sort
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
        group = self.batch_size * self.batches_per_sort
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


class Share(Sampler[int]):
    """This rank's rows of each effective batch, as many in every rank: NOTHING where a short one does not go round."""

    def __init__(self, whole: LengthSortedSampler) -> None:
        self.whole = whole

    def __len__(self) -> int:
        full, rest = divmod(len(self.whole), self.whole.batch_size)
        return full * (self.whole.batch_size // ranks.count()) + -(-rest // ranks.count())

    def set_epoch(self, epoch: int) -> None:
        self.whole.set_epoch(epoch)

    def __iter__(self) -> Iterator[int]:
        order = iter(self.whole)
        while batch := list(islice(order, self.whole.batch_size)):
            # Dealt like cards: a batch comes sorted by length, and each rank gets as many tokens as the others.
            rows = batch[ranks.number() :: ranks.count()]
            yield from rows
            yield from [NOTHING] * (-(-len(batch) // ranks.count()) - len(rows))


class LabelTrainer(Trainer):
    """Trains on `Examples`. Its loss is the mean over the labelled tokens of the whole effective batch, of all ranks.

    `packed`: the model's attention is packing.py's.
    The ranks' gradients are added up here, once a step, and not by DDP: its hooks wait for a call of the whole model's
    forward, and `label_loss` calls its parts; and it would send the frozen base to every rank first.
    """

    # Makes Trainer count the labelled tokens of an accumulated batch and leave the scaling to compute_loss.
    loss_is_scaled_for_ga = True

    def __init__(self, *, sampler: LengthSortedSampler, packed: bool = False, **options: object) -> None:
        super().__init__(**options)
        self.model_accepts_loss_kwargs = True
        # Leaves the model as it is; in training mode it would be wrapped in DDP.
        self.accelerator.prepare_model = partial(self.accelerator.prepare_model, evaluation_mode=True)
        self._sampler = Share(sampler)
        self._graphs: GraphedDecoder | None = None
        self._budget = TOKENS_AT_ONCE[self.args.device.type]
        self._laid_out: Layout = collate
        self.tokens_seen = 0
        if packed:
            self._laid_out = partial(packing.pack, rows=self._train_batch_size)
            # NCCL's watchdog looks after its events from a thread of its own, which a capture need not survive.
            if self.args.device.type == "cuda" and ranks.count() == 1:
                self._graphs = GraphedDecoder.take_over(self.model.get_base_model().get_decoder())

    def get_train_dataloader(self) -> DataLoader:
        loader = DataLoader(
            self.train_dataset,
            batch_size=self._train_batch_size,
            sampler=self._sampler,
            collate_fn=partial(in_parts, tokens=self._budget, laid_out=self._laid_out),
            pin_memory=self.args.dataloader_pin_memory,
        )
        # As if there were one process: the sampler deals out the rows itself. accelerate would repeat rows of a short
        # last batch until it goes round.
        return prepare_data_loader(
            loader, self.args.device, num_processes=1, process_index=0, put_on_device=True, non_blocking=True
        )

    def training_step(self, model, inputs, num_items_in_batch=None):
        loss = ranks.together(partial(self._share_of_step, model, inputs, num_items_in_batch))
        if ranks.count() > 1 and self.accelerator.sync_gradients:
            ranks.add_up_gradients(model.parameters())
        self._step_loss += loss
        # Trainer logs the mean of what the ranks return; each has its part of a sum.
        return loss * ranks.count()

    def get_batch_samples(self, epoch_iterator, num_batches, device):
        """The batches of a step, and how many labels they have in all ranks together."""
        if self._graphs:
            self._graphs.begin_step()
        self._step_loss, self._step_began = torch.zeros((), device=device), self._now()
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        return batches, ranks.total(sum(batch["labelled"] for batch in batches))[0]

    def _share_of_step(self, model, inputs, num_items_in_batch) -> Tensor:
        self.tokens_seen += inputs["tokens"]
        loss = torch.zeros((), device=self.args.device)
        with in_company(model.get_base_model()):
            for part in inputs["parts"]:
                loss += super().training_step(model, part, num_items_in_batch)
        return loss

    def _clip_grad_norm(self, model):
        self._gradient_norm = super()._clip_grad_norm(model)
        return self._gradient_norm

    def step_figures(self) -> Callable[[], list[float]]:
        """What gives, once they are computed, the last step's loss (this rank's part), gradient norm and seconds."""
        figures = torch.stack([self._step_loss, self._gradient_norm])
        if not figures.is_cuda:
            return partial(list, [*figures.tolist(), time.monotonic() - self._step_began])
        here = torch.empty_like(figures, device="cpu", pin_memory=True)
        here.copy_(figures, non_blocking=True)
        began, ended = self._step_began, self._now()

        def read() -> list[float]:
            ended.synchronize()
            return [*here.tolist(), began.elapsed_time(ended) / 1000]

        return read

    def _now(self) -> float | torch.cuda.Event:
        """On a GPU, when it will have got so far."""
        if self.args.device.type != "cuda":
            return time.monotonic()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        loss = label_loss(self.accelerator.unwrap_model(model).get_base_model(), inputs)
        return loss / num_items_in_batch

    def floating_point_ops(self, inputs: dict[str, Tensor]) -> int:
        return 0
