"""An engine whose answers are known: a probe of it must find what the rule says."""

import math
from types import SimpleNamespace


class Scorer:
    """`rule(question)` gives the log-probability of each option. `scored` is what was asked of it."""

    def __init__(self, rule):
        self.rule = rule
        self.loaded = SimpleNamespace(name="a rule")
        self.scored = []

    def score_many(self, questions, adapter, tokens_per_batch, given=()):
        self.scored += questions
        for i in reversed(range(len(questions))):  # an engine answers the longest first
            yield i, self.rule(questions[i])


def by_shares(rule):
    """`rule(question)` gives the probability of each option."""
    return Scorer(lambda question: tuple(map(math.log, rule(question))))
