"""Score a question's options and write the explanation, with a loaded model. Knows nothing of pages or training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from medqa.model import Loaded, adapter_key
from medqa.prompt import EXPLANATION_START, EncodedOptions, option_tokens
from medqa.question import Answer, Explanation, Question, QuestionError
from medqa.read_prompts import Kept, ReadPrompts, padded, read_prompts
from medqa.writing import Writer

# The output layer is applied in float32, this many entries at a time: bfloat16 logits near 20 are 0.125 apart.
VOCABULARY_CHUNK = 16_384
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
        self._kept = Kept(PROMPTS_KEPT, PROMPT_BYTES_KEPT)

    def score(self, question: Question, adapter: Path | None = None, adapter_name: str | None = None) -> Answer:
        """Raises QuestionError when the question is longer than the model may read."""
        prefix, remainders = option_tokens(question, self.loaded.tokenizer)
        length = len(prefix) + max(map(len, remainders))
        if length > self.max_question_tokens:
            raise QuestionError(
                f"The question has {length:,} tokens, the limit is {self.max_question_tokens:,}. Shorten the stem."
            )
        with self.loaded.using(adapter) as model:
            [scores] = log_probabilities(model, [(prefix, remainders)], self._read(prefix, adapter))
        return Answer(question, scores, self.loaded.name, adapter_name)

    def score_many(
        self,
        questions: Sequence[Question],
        adapter: Path | None = None,
        tokens_per_batch: int = 8192,
        given: Sequence[str] = (),
    ) -> Iterator[tuple[int, tuple[float, ...]]]:
        """(index, log-probabilities) of each question, similar lengths together; the lock is freed between batches.

        `given`: for each question an explanation to read before answering, "" for none.
        """
        tokenizer = self.loaded.tokenizer
        encoded = [
            option_tokens(question, tokenizer, text)
            for question, text in zip(questions, given or [""] * len(questions), strict=True)
        ]
        for batch in length_batches([total_length(options) for options in encoded], tokens_per_batch):
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
        read = self._read(prefix, adapter)
        for token in self._writer.write(read, pending, adapter, self.max_explanation_tokens):
            if token in self._ends:
                yield Explanation(_text(written, tokenizer), ended=True)
                return
            written.append(token)
            yield Explanation(_text(written, tokenizer))
        yield Explanation(_text(written, tokenizer), cut=True)

    def _read(self, prefix: list[int], adapter: Path | None) -> ReadPrompts:
        key = (adapter_key(adapter), tuple(prefix))
        read = self._kept.get(key)
        if read is None:
            with self.loaded.using(adapter) as model:
                read = read_prompts(model, [prefix])
            self._kept.put(key, read)
        return read


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

    Prompts are read once, unless given as `read`, padded on the left; their cache is then repeated for the options,
    padded on the right.
    """
    owner = torch.tensor([i for i, (_, options) in enumerate(encoded) for _ in options], device=model.device)
    read = read or read_prompts(model, [prefix for prefix, _ in encoded])
    options, option_mask = padded(
        [ids for _, remainders in encoded for ids in remainders], left=False, device=model.device
    )
    mask = torch.cat([read.mask[owner], option_mask], dim=1)
    positions = read.mask.sum(1)[owner, None] + torch.arange(options.shape[1], device=model.device)
    went_on = model.get_decoder()(
        input_ids=options,
        attention_mask=mask,
        position_ids=positions,
        past_key_values=read.branch(owner),
        use_cache=True,
    )
    # The state that predicts an option's first token is the prompt's last; the others come from the option itself.
    states = torch.cat([read.last[owner, None], went_on.last_hidden_state[:, :-1]], dim=1)
    kept = option_mask.bool()
    scores = torch.zeros(kept.shape, device=model.device)
    scores[kept] = token_log_probabilities(states[kept], options[kept], model.get_output_embeddings().weight)
    totals = iter(scores.sum(1).tolist())
    return [tuple(next(totals) for _ in remainders) for _, remainders in encoded]


def token_log_probabilities(states: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """Float32 log-probability of each target [n] under states [n, hidden] and the output layer [vocabulary, hidden]."""
    states = states.float()
    chosen = (states * weight[targets].float()).sum(-1)
    chunks = [torch.logsumexp(states @ part.float().T, -1) for part in weight.split(VOCABULARY_CHUNK)]
    return chosen - torch.logsumexp(torch.stack(chunks), 0)
