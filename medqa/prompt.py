"""The only template: a question to chat messages, to option tokens, to a training example. Loads no model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
# Of each are kept the places of its tokens too: a whole data set at once would be gigabytes.
TOKENISED_AT_ONCE = 1000
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


def refusal_by(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """What its chat template says to a question as laid out here; None when it takes one."""
    # Some templates take no system message, and say so with an exception of their own making.
    from jinja2 import TemplateError

    try:
        rendered(Question("Which?", ("This", "That")), tokenizer)
    except (TemplateError, TypeError, ValueError) as error:
        return str(error)
    return None


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
    [example] = training_examples([question], tokenizer, max_length)
    return example


def training_examples(
    questions: Sequence[Question], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> Iterator[Example | None]:
    """The same for each question, in their order. A tokenizer works on as many texts at a time as there are cores."""
    for start in range(0, len(questions), TOKENISED_AT_ONCE):
        some = questions[start : start + TOKENISED_AT_ONCE]
        prompts = [rendered(question, tokenizer) for question in some]
        answers = [_answer(question, tokenizer) for question in some]
        asked = tokenizer([p + a for p, a in zip(prompts, answers, strict=True)], add_special_tokens=False)
        # On its own: some tokenizers (GPT-2's rule) split the blank line differently when text follows it, and the
        # answer must be trained on the very tokens that are scored and written on from.
        explained = tokenizer([_explanation(q, tokenizer) for q in some], add_special_tokens=False)["input_ids"]
        for i, prompt in enumerate(prompts):
            ids = asked["input_ids"][i] + explained[i]
            fits = len(asked["input_ids"][i]) <= max_length
            first_label = asked.char_to_token(i, len(prompt))
            yield Example(tuple(ids[:max_length]), first_label, cut=len(ids) > max_length) if fits else None


def _answer(question: Question, tokenizer: PreTrainedTokenizerBase) -> str:
    if question.answer is None:
        raise ValueError(f"Question {question.source!r} has no key, so it can't be trained on.")
    return ANSWER_START + _harmless(answer_string(question, question.answer), tokenizer) + LINE_END


def _explanation(question: Question, tokenizer: PreTrainedTokenizerBase) -> str:
    explanation = _harmless((question.explanation or "").strip(), tokenizer)
    return f"{EXPLANATION_START} {explanation}{tokenizer.eos_token}" if explanation else ""
