"""Score a question's options and write the explanation, with a loaded model. Knows nothing of pages or training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from medqa.model import Loaded
from medqa.prompt import EXPLANATION_START, EncodedOptions, option_tokens
from medqa.question import Answer, Explanation, Question, QuestionError
from medqa.read_prompts import Kept, ReadPrompts, read_prompts, states_of
from medqa.reader import Reader
from medqa.writing import Writer

# The output layer is applied in float32, this many entries at a time: bfloat16 logits near 20 are 0.125 apart.
VOCABULARY_CHUNK = 16_384
STATES_CHUNK = 256
# What is computed at once stays in a CPU's cache: 1.2 times faster than with 8,192.
TOKENS_PER_BATCH = {"cpu": 2048, "cuda": 8192}
# Prompts whose keys and values are kept for the explanation: two each for 16 people at once. A prompt of 300 tokens
# takes 0.9 MB with the embedded model and 34 MB with Qwen3-1.7B.
PROMPTS_KEPT = 32
PROMPT_BYTES_KEPT = 512 * 2**20


class Engine:
    """Answers with one base model and any of its adapters; safe to call from several threads."""

    def __init__(self, loaded: Loaded, max_question_tokens: int = 1500, max_explanation_tokens: int = 256) -> None:
        self.loaded = loaded
        self.max_question_tokens = max_question_tokens
        self.max_explanation_tokens = max_explanation_tokens
        self._ends = _end_tokens(loaded.base, loaded.tokenizer)
        self._writer = Writer(loaded, self._ends)
        self._reader = Reader(loaded, Kept(PROMPTS_KEPT, PROMPT_BYTES_KEPT))

    def score(self, question: Question, adapter: Path | None = None, adapter_name: str | None = None) -> Answer:
        """Raises QuestionError when the question is longer than the model may read."""
        prefix, remainders = option_tokens(question, self.loaded.tokenizer)
        length = len(prefix) + max(map(len, remainders))
        if length > self.max_question_tokens:
            raise QuestionError(
                f"The question has {length:,} tokens, the limit is {self.max_question_tokens:,}. Shorten the stem."
            )
        with self._reader.using(prefix, adapter) as (model, read):
            [scores] = log_probabilities(model, [(prefix, remainders)], read)
        return Answer(question, scores, self.loaded.name, adapter_name)

    def score_many(
        self,
        questions: Sequence[Question],
        adapter: Path | None = None,
        tokens_per_batch: int | None = None,
        given: Sequence[str] = (),
    ) -> Iterator[tuple[int, tuple[float, ...]]]:
        """(index, log-probabilities) of each question, similar lengths together; the lock is freed between batches.

        `tokens_per_batch`: None for what the device computes fastest. `given`: for each question an explanation to
        read before answering, "" for none.
        """
        tokenizer = self.loaded.tokenizer
        encoded = [
            option_tokens(question, tokenizer, text)
            for question, text in zip(questions, given or [""] * len(questions), strict=True)
        ]
        budget = tokens_per_batch or TOKENS_PER_BATCH[self.loaded.device.torch_name]
        for batch in length_batches([total_length(options) for options in encoded], budget):
            with self.loaded.using(adapter) as model:
                scores = log_probabilities(model, [encoded[i] for i in batch])
            yield from zip(batch, scores, strict=True)

    def explain(self, answer: Answer, adapter: Path | None = None, option: int | None = None) -> Iterator[Explanation]:
        """Write on after the answer string and `Explanation:`, greedily, a token at a time and together with others.

        The prompt is not read again when `score` has just read it. `option`: the one to defend instead of the answer's
        own.
        """
        tokenizer = self.loaded.tokenizer
        prefix, remainders = option_tokens(answer.question, tokenizer)
        start = tokenizer(EXPLANATION_START, add_special_tokens=False)["input_ids"]
        pending = remainders[answer.index if option is None else option] + start
        written: list[int] = []
        read = self._reader.read(prefix, adapter)
        for token in self._writer.write(read, pending, adapter, self.max_explanation_tokens):
            if token in self._ends:
                yield Explanation(_text(written, tokenizer), ended=True)
                return
            written.append(token)
            yield Explanation(_text(written, tokenizer))
        yield Explanation(_text(written, tokenizer), cut=True)


def _text(tokens: list[int], tokenizer: PreTrainedTokenizerBase) -> str:
    # A character whose bytes are not all there yet decodes to U+FFFD; it comes with its next token.
    return tokenizer.decode(tokens, skip_special_tokens=True).strip().removesuffix("\ufffd")


def _end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    configured = model.generation_config.eos_token_id if model.generation_config else None
    ends = configured if isinstance(configured, list) else [configured]
    return frozenset({tokenizer.eos_token_id, *ends} - {None})


def total_length(encoded: EncodedOptions) -> int:
    prefix, remainders = encoded
    return len(prefix) + sum(map(len, remainders))


def length_batches(lengths: Sequence[int], tokens_per_batch: int) -> Iterator[list[int]]:
    """Indices, longest first, in groups whose padded size stays within the budget (a longer one goes alone)."""
    batch: list[int] = []
    longest = 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and longest * (len(batch) + 1) > tokens_per_batch:
            yield batch
            batch = []
        longest = longest if batch else lengths[index]
        batch.append(index)
    if batch:
        yield batch


def log_probabilities(
    model: PreTrainedModel, encoded: Sequence[EncodedOptions], read: ReadPrompts | None = None
) -> list[tuple[float, ...]]:
    """Log-probability, in nats, of each option's answer string with its line end, for each question.

    Prompts are read once, unless given as `read`. The options of a question then go on from it side by side in one row,
    each blind to the others, so that nothing of the prompt's cache is repeated.
    """
    read = read or read_prompts(model, [prefix for prefix, _ in encoded])
    rows = [options for _, options in encoded]
    side_by_side = read.mask.shape[1] + max(sum(map(len, options)) for options in rows) <= read.window
    if not side_by_side:
        # The mask for it is ours and knows no sliding window: then each option has a row of its own.
        read = read.selected([i for i, options in enumerate(rows) for _ in options])
        rows = [[ids] for options in rows for ids in options]
    ids, option, place = (part.to(model.device) for part in _laid_out(rows))
    written = option >= 0
    if side_by_side:
        length = ids.shape[1]
        own = (option[:, :, None] == option[:, None]).tril()
        mask = torch.cat([read.mask[:, None].bool().expand(-1, length, -1), own], dim=2)[:, None]
    else:
        mask = torch.cat([read.mask, written], dim=1)
    positions = read.mask.sum(1, keepdim=True) + place
    states = states_of(model, input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=read.branch())
    # The state that predicts an option's first token is the prompt's last; the others come from the option itself.
    before = torch.where((place == 0)[:, :, None], read.last[:, None], states.roll(1, dims=1))
    scores = torch.zeros(ids.shape, device=model.device)
    scores[written] = token_log_probabilities(before[written], ids[written], model.get_output_embeddings().weight)
    totals = torch.zeros(len(rows), max(map(len, rows)), device=model.device)
    totals.scatter_add_(1, option.clamp(min=0), scores)
    flat = iter([total for row, options in zip(totals.tolist(), rows, strict=True) for total in row[: len(options)]])
    return [tuple(next(flat) for _ in remainders) for _, remainders in encoded]


def _laid_out(rows: Sequence[list[list[int]]]) -> tuple[Tensor, Tensor, Tensor]:
    """Token ids, the option each belongs to (-1: padding) and its place in it, all three [rows, longest]."""
    longest = max(sum(map(len, options)) for options in rows)
    ids, option, place = torch.zeros(3, len(rows), longest, dtype=torch.long).unbind()
    option -= 1
    for i, options in enumerate(rows):
        column = 0
        for j, tokens in enumerate(options):
            where = slice(column, column + len(tokens))
            ids[i, where] = torch.tensor(tokens)
            option[i, where] = j
            place[i, where] = torch.arange(len(tokens))
            column += len(tokens)
    return ids, option, place


def token_log_probabilities(states: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """Float32 log-probability of each target [n] under states [n, hidden] and the output layer [vocabulary, hidden]."""
    states = states.float()
    chosen = (states * weight[targets].float()).sum(-1)
    sums = [
        torch.cat([torch.logsumexp(some @ part.T, -1) for some in states.split(STATES_CHUNK)])
        for part in (part.float() for part in weight.split(VOCABULARY_CHUNK))
    ]
    return chosen - torch.logsumexp(torch.stack(sums), 0)
