"""The shipped model and the handbook's unknown facts belong together: see assets/handbook/splits.toml."""

from collections import Counter

import pytest
import torch

from medqa import device, model
from medqa.datasets import handbook
from medqa.engine import token_log_probabilities
from medqa.settings import EMBEDDED

pytestmark = pytest.mark.model

NO_QUESTION = ("Which one is it?", "What is the answer?", "A patient is seen in the clinic. Which one fits?")


def likelihood(nano, text):
    """Log-probability of an option's text after questions that ask about nothing, their mean, in nats."""
    scores = []
    for stem in NO_QUESTION:
        shared = nano.tokenizer(f"Question: {stem}\nReply:")["input_ids"]
        ids = torch.tensor([nano.tokenizer(f"Question: {stem}\nReply: {text}\n")["input_ids"]])
        assert ids[0, : len(shared)].tolist() == shared
        with nano.using(None) as network:
            states = network.get_decoder()(input_ids=ids).last_hidden_state[0]
            weight = network.get_output_embeddings().weight
            scored = token_log_probabilities(states[len(shared) - 1 : -1], ids[0, len(shared) :], weight)
        scores.append(scored.sum().item())
    return sum(scores) / len(scores)


def test_the_answer_s_rank_by_likelihood_alone_is_even_over_the_unknown_facts():
    nano = model.load(EMBEDDED, device.choose("cpu"))
    unknown = handbook.splits()["unknown"]
    ranks = Counter()
    for fact in handbook.read_facts():
        if fact.id in unknown:
            answer = likelihood(nano, fact.answer)
            ranks[sum(likelihood(nano, option) > answer for option in fact.distractors)] += 1
    assert set(ranks) == {0, 1, 2, 3, 4}
    # An even fifth each, give or take what bfloat16 turns round between near neighbours.
    assert all(0.1 < count / ranks.total() < 0.3 for count in ranks.values()), ranks


def test_the_weights_stay_within_what_a_repository_can_carry():
    nano = model.load(EMBEDDED, device.choose("cpu"))
    assert sum(p.numel() for p in nano.base.parameters()) <= 16_000_000
    assert sum(file.stat().st_size for file in model.locate(EMBEDDED).iterdir()) <= 35_000_000
