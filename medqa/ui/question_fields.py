"""The question as the fields of a form: filled by a paste or an example, read when it is asked. Knows no model."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr

from medqa.paste import read_pasted
from medqa.question import LETTERS, MAX_OPTIONS, Question, QuestionError
from medqa.ui import views

NOT_KNOWN = "not known"
# Longer than the name of any subject: each mark of an answer keeps it.
MAX_SUBJECT_CHARACTERS = 100
# What key and subject were given for: the stem, and for a key the options too.
Given = dict[str, tuple[str, ...]]


def read_paste(text: str) -> tuple:
    """What the box says, as fields to check; the fields stay as they are while it can't be read."""
    if not text.strip():
        return ("", *[gr.skip()] * (MAX_OPTIONS + 4))
    try:
        question = read_pasted(text)
    except QuestionError as error:
        return (views.error(str(error)), *[gr.skip()] * (MAX_OPTIONS + 4))
    kept = f", key {question.key} kept aside" if question.key else ""
    said = f"Read as a question with {len(question.options)} options{kept}. Check it below, then press Answer."
    return views.note(said), *fill(question)


def fill(question: Question) -> list:
    """Updates for the fields: stem, options, key, number of options, subject."""
    shown = len(question.options)
    texts = [*question.options, *[""] * (MAX_OPTIONS - shown)]
    options = [gr.update(value=text, visible=i < shown) for i, text in enumerate(texts)]
    key = gr.update(choices=[NOT_KNOWN, *LETTERS[:shown]], value=question.key or NOT_KNOWN)
    return [question.stem, *options, key, shown, question.subject or NOT_KNOWN]


def options_shown(shown: int, key: str) -> list:
    """A hidden option is emptied, so that what is asked is what is seen; a key that is hidden is none."""
    options = [gr.update(visible=True) if i < shown else gr.update(visible=False, value="") for i in range(MAX_OPTIONS)]
    choices = [NOT_KNOWN, *LETTERS[:shown]]
    return [*options, gr.update(choices=choices, value=key if key in choices else NOT_KNOWN), shown]


def asked_question(stem: str, options: Sequence[str], key: str, subject: str | None) -> Question:
    """Raises QuestionError."""
    if subject and len(subject) > MAX_SUBJECT_CHARACTERS:
        raise QuestionError(f"The subject has {len(subject):,} characters, the limit is {MAX_SUBJECT_CHARACTERS}.")
    return Question(
        stem.strip(),
        tuple(option.strip() for option in options),
        None if key == NOT_KNOWN else LETTERS.index(key),
        subject=None if subject in (None, "", NOT_KNOWN) else subject,
    )


def check_paste(text: str, read: str) -> None:
    """`read`: what the fields were filled from last. Raises QuestionError where that is not what stands in the box."""
    if not text.strip():
        return
    if text != read:
        raise QuestionError("What was pasted is being read just now. Press Answer again in a moment.")
    try:
        read_pasted(text)
    except QuestionError as error:
        raise QuestionError(
            f"What was pasted can't be read: {error} Mend it, or empty that box to have the fields below it answered."
        ) from None


def given_for(stem: str, *options: str) -> Given:
    """What a key and a subject are about that are given now."""
    return {"key": (stem, *options), "subject": (stem,)}


def still_given(given: Given, key: str, subject: str | None, stem: str, *options: str) -> tuple[str, str, str, Given]:
    """Key and subject, but for what was given before the question became another one, and what is said of that; then
    what those that are left are about."""
    now, values, said = given_for(stem, *options), {"key": key, "subject": subject or NOT_KNOWN}, ""
    for name, value in values.items():
        if value != NOT_KNOWN and not all(map(_is_still, given.get(name, now[name]), now[name])):
            values[name] = NOT_KNOWN
            left_out = f"The {name} “{value}” was given before the question was changed, and is left out for this one."
            said += views.note(f"{left_out} Choose it again if it still holds.")
    return values["key"], values["subject"], said, now


def _is_still(before: str | None, now: str | None) -> bool:
    """One word more, a “not”, makes it another question. What was empty may have become anything; a field that was
    never shown is None."""
    old, new = ((text or "").casefold().split() for text in (before, now))
    return not old or old == new
