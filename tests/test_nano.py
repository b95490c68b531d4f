"""The shipped model and the handbook's unknown facts belong together: see assets/handbook/splits.toml."""

from collections import Counter

import pytest
import torch

from medqa import device, model
from medqa.base_model import locate
from medqa.datasets import handbook
from medqa.engine import token_log_probabilities
from medqa.settings import EMBEDDED

pytestmark = pytest.mark.model

NO_QUESTION = ("Which one is it?", "What is the answer?", "A patient is seen in the clinic. Which one fits?")


def likelihoods(nano, texts):
    """Log-probability of each option's text after questions that ask about nothing, their mean, in nats."""
    asked = [f"Question: {stem}\nReply:" for stem in NO_QUESTION]
    starts = [nano.tokenizer(start)["input_ids"] for start in asked] * len(texts)
    whole = [nano.tokenizer(f"{start} {text}\n")["input_ids"] for text in texts for start in asked]
    assert all(ids[: len(start)] == start for start, ids in zip(starts, whole, strict=True))
    longest = max(map(len, whole))
    padded = torch.tensor([ids + [0] * (longest - len(ids)) for ids in whole])  # nothing looks back on what follows
    answers = [slice(len(start), len(ids)) for start, ids in zip(starts, whole, strict=True)]
    with nano.using(None) as network:
        states = network.get_decoder()(input_ids=padded).last_hidden_state
        before = torch.cat(
            [row[answer.start - 1 : answer.stop - 1] for row, answer in zip(states, answers, strict=True)]
        )
        tokens = torch.cat([row[answer] for row, answer in zip(padded, answers, strict=True)])
        scored = token_log_probabilities(before, tokens, network.get_output_embeddings().weight)
    sums = [part.sum().item() for part in scored.split([answer.stop - answer.start for answer in answers])]
    return [sum(sums[i : i + len(asked)]) / len(asked) for i in range(0, len(sums), len(asked))]


def test_the_answer_s_rank_by_likelihood_alone_is_even_over_the_unknown_facts():
    nano = model.load(EMBEDDED, device.choose("cpu"))
    unknown = handbook.splits()["unknown"]
    ranks = Counter()
    for fact in handbook.read_facts():
        if fact.id in unknown:
            answer, *others = likelihoods(nano, [fact.answer, *fact.distractors])
            ranks[sum(other > answer for other in others)] += 1
    assert set(ranks) == {0, 1, 2, 3, 4}
    # An even fifth each, give or take what bfloat16 turns round between near neighbours.
    assert all(0.1 < count / ranks.total() < 0.3 for count in ranks.values()), ranks


def test_the_weights_stay_within_what_a_repository_can_carry():
    nano = model.load(EMBEDDED, device.choose("cpu"))
    assert sum(p.numel() for p in nano.base.parameters()) <= 16_000_000
    assert sum(file.stat().st_size for file in locate(EMBEDDED).iterdir()) <= 35_000_000
