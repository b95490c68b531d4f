"""Score a question's options and write the explanation, with a loaded model. Knows nothing of pages or training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from medqa.model import Loaded
from medqa.prompt import EXPLANATION_START, EncodedOptions, option_tokens
from medqa.question import Answer, Explanation, Question, QuestionError

# The output layer is applied in float32, this many entries at a time: bfloat16 logits near 20 are 0.125 apart.
VOCABULARY_CHUNK = 16_384


class Engine:
    """Answers with one base model and any of its adapters; safe to call from several threads."""

    def __init__(self, loaded: Loaded, max_question_tokens: int = 1500, max_explanation_tokens: int = 256) -> None:
        self.loaded = loaded
        self.max_question_tokens = max_question_tokens
        self.max_explanation_tokens = max_explanation_tokens

    def score(self, question: Question, adapter: Path | None = None, adapter_name: str | None = None) -> Answer:
        """Raises QuestionError when the question is longer than the model may read."""
        prefix, remainders = option_tokens(question, self.loaded.tokenizer)
        length = len(prefix) + max(map(len, remainders))
        if length > self.max_question_tokens:
            raise QuestionError(
                f"The question has {length:,} tokens, the limit is {self.max_question_tokens:,}. Shorten the stem."
            )
        with self.loaded.using(adapter) as model:
            [scores] = log_probabilities(model, [(prefix, remainders)])
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
        """Write on after the answer string and `Explanation:`, greedily; the lock is freed between tokens.

        `option`: the one to defend instead of the answer's own.
        """
        tokenizer = self.loaded.tokenizer
        prefix, remainders = option_tokens(answer.question, tokenizer)
        stops = _end_tokens(self.loaded.base, tokenizer)
        cache = DynamicCache(config=self.loaded.base.config)
        start = tokenizer(EXPLANATION_START, add_special_tokens=False)["input_ids"]
        pending = prefix + remainders[answer.index if option is None else option] + start
        written: list[int] = []
        while len(written) < self.max_explanation_tokens:
            with self.loaded.using(adapter) as model:
                ids = torch.tensor([pending], device=model.device)
                hidden = model.get_decoder()(input_ids=ids, past_key_values=cache, use_cache=True).last_hidden_state
                token = int(model.get_output_embeddings()(hidden[:, -1]).argmax())
            if token in stops:
                yield Explanation(_text(written, tokenizer), ended=True)
                return
            written.append(token)
            pending = [token]
            yield Explanation(_text(written, tokenizer))
        yield Explanation(_text(written, tokenizer), cut=True)


def _text(tokens: list[int], tokenizer: PreTrainedTokenizerBase) -> str:
    # A character whose bytes are not all there yet decodes to U+FFFD; it comes with its next token.
    return tokenizer.decode(tokens, skip_special_tokens=True).strip().removesuffix("\ufffd")


def _end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    configured = model.generation_config.eos_token_id if model.generation_config else None
    ends = configured if isinstance(configured, list) else [configured]
    return {tokenizer.eos_token_id, *ends} - {None}


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


def log_probabilities(model: PreTrainedModel, encoded: Sequence[EncodedOptions]) -> list[tuple[float, ...]]:
    """Log-probability, in nats, of each option's answer string with its line end, for each question.

    Prompts are read once, padded on the left; their cache is then repeated for the options, padded on the right.
    """
    owner = torch.tensor([i for i, (_, options) in enumerate(encoded) for _ in options], device=model.device)
    prompts, prompt_mask = _padded([prefix for prefix, _ in encoded], left=True, device=model.device)
    options, option_mask = _padded(
        [ids for _, remainders in encoded for ids in remainders], left=False, device=model.device
    )

    decoder = model.get_decoder()
    cache = DynamicCache(config=model.config)
    positions = (prompt_mask.cumsum(1) - 1).clamp(min=0)
    read = decoder(
        input_ids=prompts, attention_mask=prompt_mask, position_ids=positions, past_key_values=cache, use_cache=True
    )
    cache.batch_select_indices(owner)
    mask = torch.cat([prompt_mask[owner], option_mask], dim=1)
    positions = prompt_mask.sum(1)[owner, None] + torch.arange(options.shape[1], device=model.device)
    went_on = decoder(
        input_ids=options, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
    )
    # The state that predicts an option's first token is the prompt's last; the others come from the option itself.
    states = torch.cat([read.last_hidden_state[owner, -1:], went_on.last_hidden_state[:, :-1]], dim=1)
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


def _padded(rows: list[list[int]], left: bool, device: torch.device) -> tuple[Tensor, Tensor]:
    """Ids and mask, both [rows, longest]; padded with token 0, which the mask hides."""
    longest = max(map(len, rows))
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        where = slice(longest - len(row), longest) if left else slice(0, len(row))
        ids[i, where] = torch.tensor(row)
        mask[i, where] = 1
    return ids.to(device), mask.to(device)
