"""Why not another option? Its distance to the choice, what pulls towards it, and what the model writes to defend it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medqa.probes import Tell, unheard
from medqa.probes.findings import LIMIT, SLIGHT, Findings, findings, log_odds, odds, signed
from medqa.probes.scoring import written_together
from medqa.question import LETTERS, Answer, Explanation, Question, QuestionError

if TYPE_CHECKING:
    from medqa.engine import Engine

# Of the words of two texts. By eye, texts that differ in one word in five still say the same.
ALIKE_SHARE = 0.8
ALIKE = "The model defends every option in nearly the same words; its explanation is no evidence for the answer."
# Negations and numbers: one such word can turn what a text says.
_TURNS = re.compile(r"not|no|none|never|without|cannot|nor|neither|\w+n['’]t|\d.*")
NAMED_AT_MOST = 3
_WORD = re.compile(r"\w+(?:[-’']\w+)*")


@dataclass(frozen=True)
class WhyNot:
    """`defences`: what the model wrote for each option when made to defend it; () when it was not made to."""

    option: int
    findings: Findings
    defences: tuple[Explanation, ...] = ()

    @property
    def question(self) -> Question:
        return self.findings.whole.question

    @property
    def margin(self) -> float:
        """Of the choice before this option, in nats."""
        return log_odds(self.findings.whole, self.findings.chosen, self.option)

    @property
    def pulls(self) -> tuple[float, ...]:
        """Of each finding, in nats: positive towards this option, negative towards the choice."""
        return self.findings.influences_on(self.option, self.findings.chosen)

    @property
    def likeness(self) -> tuple[float, ...]:
        """For each option, how alike its defence and that of the choice are: the share of words they have in common.

        Words, because a reader can check them; how probable a text is to the model says nothing about what it says.
        """
        texts = [_own_words(defence.text, self.question.options) for defence in self.defences]
        return tuple(_shared(texts[self.findings.chosen], text) for text in texts)

    @property
    def alike(self) -> tuple[bool, ...]:
        """For each option, whether its defence says nearly the same as that of the choice.

        "It is contraindicated" and "it is not contraindicated" share most words, as "2 mg" and "20 mg" do.
        """
        texts = [_own_words(defence.text, self.question.options) for defence in self.defences]
        turning = [frozenset(word for word in text if _TURNS.fullmatch(word)) for text in texts]
        chosen = self.findings.chosen
        return tuple(
            share >= ALIKE_SHARE and turns == turning[chosen]
            for share, turns in zip(self.likeness, turning, strict=True)
        )

    @property
    def defends_all_alike(self) -> bool:
        return bool(self.alike) and all(self.alike)

    @property
    def sentences(self) -> tuple[str, ...]:
        chosen, option = self.question.named(self.findings.chosen), self.question.named(self.option)
        letter = LETTERS[self.findings.chosen]
        said = [f"{option} lies {self.margin:.2f} in log-odds behind {chosen}: {letter} is {odds(self.margin)}."]
        if self.pulls:
            said += [
                f"Towards {LETTERS[self.option]} pull: {self._strongest(1)}.",
                f"Away from it, towards {letter}: {self._strongest(-1)}.",
                LIMIT,
            ]
        else:
            said.append("This question states no findings apart from what it asks, so nothing can be left out.")
        return (*said, *self._on_defences())

    def _strongest(self, sign: int) -> str:
        pulling = sorted(((sign * pull, i) for i, pull in enumerate(self.pulls) if sign * pull >= SLIGHT), reverse=True)
        texts = self.findings.cut.findings
        named_ones = [f"“{texts[i]}” ({signed(self.pulls[i])})" for _, i in pulling[:NAMED_AT_MOST]]
        return ", ".join(named_ones) or "nothing noticeable"

    def _on_defences(self) -> tuple[str, ...]:
        if not self.defences:
            return ()
        if not all(defence.text for defence in self.defences):
            return ("For some options the model wrote nothing, so its defences can't be compared.",)
        if self.defends_all_alike:
            return (ALIKE,)
        option, chosen = LETTERS[self.option], LETTERS[self.findings.chosen]
        share = self.likeness[self.option]
        shared = f"shares {100 * share:.0f} % of its words with that of {chosen}, the options' own words apart"
        if self.alike[self.option]:
            return (f"The defence of {option} {shared}: it says nearly the same, so it defends neither.",)
        return (f"The defence of {option} {shared}. That they differ makes neither of them true.",)


def why_not(
    engine: Engine,
    question: Question,
    adapter: Path | None = None,
    option: int | None = None,
    *,
    tell: Tell = unheard,
    answer: Answer | None = None,
    scored: Findings | None = None,
    defended: Sequence[Explanation] | None = None,
) -> WhyNot:
    """`option`: the runner-up when None. `answer` (the card's), `scored`, `defended`: what is there already; () for no
    defences.

    Raises QuestionError when the option is the model's own choice.
    """
    scored = scored or findings(engine, question, adapter, tell=tell, answer=answer)
    option = scored.runner_up if option is None else option
    if option == scored.chosen:
        raise QuestionError(f"{question.named(option)} is what the model chose. Ask about another option.")
    if defended is None:
        defended = defences(engine, scored.whole, adapter, tell=tell)
    return WhyNot(option, scored, tuple(defended))


def defences(
    engine: Engine,
    answer: Answer,
    adapter: Path | None = None,
    *,
    tell: Tell = unheard,
    own: Explanation | None = None,
) -> tuple[Explanation, ...]:
    """What the model writes for each option when made to defend it. `own`: that of its choice, when it is there."""
    options = range(len(answer.question.options))
    texts = [
        [own] if own and option == answer.index else engine.explain(answer, adapter, option=option)
        for option in options
    ]
    return tuple(written_together(texts, lambda whole: tell(whole, len(options))))


def _own_words(text: str, options: Sequence[str]) -> frozenset[str]:
    """Words a reader would compare: without the options' own, which differ whatever is said of them."""
    return frozenset(_words(text) - set().union(*map(_words, options)))


def _words(text: str) -> set[str]:
    return {word.casefold() for word in _WORD.findall(text)}


def _shared(one: frozenset[str], other: frozenset[str]) -> float:
    """Of all words of the two, how many both have. Two texts of options' words alone have nothing else to say: 1."""
    return len(one & other) / len(one | other) if one | other else 1.0
