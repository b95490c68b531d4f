"""The only template: a question to chat messages, to option tokens, to a training example. Loads no model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medqa.question import LETTERS, Question

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

INSTRUCTION = "Choose the correct option and explain why."
ANSWER_START = "Answer: "
# The blank line before the explanation. It ends every answer string: "Iron" is not "Iron deficiency".
LINE_END = "\n\n"
# With it the explanation's first word follows a space, as it does in the answer string: to a byte-level tokenizer it is
# then the same token, and a small model can go on from the answer it has just given instead of recalling it anew.
EXPLANATION_START = "Explanation:"
EncodedOptions = tuple[list[int], list[list[int]]]


def messages(question: Question) -> list[dict[str, str]]:
    options = "\n".join(answer_string(question, i) for i in range(len(question.options)))
    return [
        {"role": "system", "content": INSTRUCTION},
        {"role": "user", "content": f"{question.stem.strip()}\n\n{options}"},
    ]


def answer_string(question: Question, index: int) -> str:
    """`B) Right coronary artery`: on one line whatever the option's own line breaks."""
    return f"{LETTERS[index]}) {' '.join(question.options[index].split())}"


def rendered(question: Question, tokenizer: PreTrainedTokenizerBase) -> str:
    """The chat up to where the assistant's text begins, by the tokenizer's own template, thinking off."""
    chat = [{**m, "content": _harmless(m["content"], tokenizer)} for m in messages(question)]
    return tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True, enable_thinking=False)


def _harmless(text: str, tokenizer: PreTrainedTokenizerBase) -> str:
    """Break up control tokens such as `<|im_end|>` in what people typed: they would forge an answer."""
    for token in tokenizer.get_added_vocab():
        if token.strip() and token in text:
            text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


def option_tokens(question: Question, tokenizer: PreTrainedTokenizerBase, given: str = "") -> EncodedOptions:
    """Token ids of what all options share (prompt and `Answer:`), and of each option's own remainder.

    `given`: an explanation the assistant has written before it answers.

    Each option is tokenised whole with its prompt and cut where the options part, because tokens merge across the
    boundary (`" B"`). What they share adds the same to every score, so cutting there leaves the softmax exact.
    """
    prompt = rendered(question, tokenizer)
    indices = range(len(question.options))
    if given:
        prompt += f"{EXPLANATION_START} {_harmless(given, tokenizer)}{LINE_END}"
    texts = [prompt + ANSWER_START + _harmless(answer_string(question, i), tokenizer) + LINE_END for i in indices]
    whole = tokenizer(texts, add_special_tokens=False)["input_ids"]
    shared = next(i for i, column in enumerate(zip(*whole, strict=False)) if len(set(column)) > 1)
    return whole[0][:shared], [ids[shared:] for ids in whole]


@dataclass(frozen=True)
class Example:
    """Tokens before `first_label` are the prompt: no loss there. `cut`: the explanation lost its end."""

    input_ids: tuple[int, ...]
    first_label: int
    cut: bool

    @property
    def labels(self) -> list[int]:
        """The input ids with the prompt masked by -100, not shifted."""
        return [-100] * self.first_label + list(self.input_ids[self.first_label :])


def training_example(question: Question, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Example | None:
    """The prompt, then the assistant's text with its end token.

    A question without explanation ends after the answer's line end, without an end token: it teaches the answer, not
    silence. An over-long example loses the end of its explanation; None when not even question and answer fit.
    """
    if question.answer is None:
        raise ValueError(f"Question {question.source!r} has no key, so it can't be trained on.")
    prompt = rendered(question, tokenizer)
    answer = ANSWER_START + _harmless(answer_string(question, question.answer), tokenizer) + LINE_END
    explanation = _harmless((question.explanation or "").strip(), tokenizer)
    asked = tokenizer(prompt + answer, add_special_tokens=False, return_offsets_mapping=True)
    if len(asked["input_ids"]) > max_length:
        return None
    first_label = next(i for i, (_, stop) in enumerate(asked["offset_mapping"]) if stop > len(prompt))
    # On its own: some tokenizers (GPT-2's rule) split the blank line differently when text follows it, and the answer
    # must be trained on the very tokens that are scored and written on from.
    told = f"{EXPLANATION_START} {explanation}{tokenizer.eos_token}" if explanation else ""
    explained = tokenizer(told, add_special_tokens=False)["input_ids"]
    ids = asked["input_ids"] + explained
    return Example(tuple(ids[:max_length]), first_label, cut=len(ids) > max_length)
