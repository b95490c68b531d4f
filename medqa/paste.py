"""A whole question pasted into one box, read into stem, options, key and explanation. Knows no model and no file."""

from __future__ import annotations

import re

from medqa.pasted_key import marked_places, one_line, parts, read_key, without_key_lines
from medqa.pasted_options import BULLETS, MARK, TICKS, WRITE, Run, options_run, why_none
from medqa.question import LETTERS, MAX_OPTIONS, Question, QuestionError

MAX_CHARACTERS = 8000  # four times the longest USMLE vignette
MAX_PLACES = 100  # reading takes time by their cube; real questions have up to 30
LONGEST_QUOTE = 60

_LEAD_IN = re.compile(r"(?:q(?:uestion)?[ .:)]*\d{1,3} ?[.:)]|\d{1,3} ?[.:)]|q(?:uestion)? ?[.:)])\s+", re.I)
# Web pages and PDFs leave these. Joiners stay within Indic words, where they shape letters.
_UNSEEN = re.compile("[\u00ad\u200b\u200e\u200f\u2060\ufeff]|(?<![^\x00-\x7f])[\u200c\u200d]")
_WIDE = {code: code - 0xFEE0 for code in (*range(0xFF08, 0xFF0A), *range(0xFF0E, 0xFF1B), *range(0xFF21, 0xFF5B))}
_BOLD = re.compile(r"\*\*(?=\S)(.+?)(?<=\S)\*\*")
_BULLET = re.compile(rf"[{BULLETS}] ")
_TICK = re.compile(
    rf"^[{TICKS}]+ ?(?=\S)| ?[{TICKS}]+$"
    r"| ?[(\[](?:(?:the )?(?:correct|right)(?: answer| option)?|answer|ans|key)[)\]]$",
    re.I,
)
# Options in a row: "A) x, B) y; C) z", "A) x | B) y", "• A) x • B) y", "Option A: x Option B: y".
_BETWEEN = re.compile(rf"(?:[,;|]| [{BULLETS}/]| (?:Option|OPTION|Choice))+$")

# Below the options question banks say what a question is about. "Reference: …" is read as an explanation.
_NAMES = "difficulty|(?:sub-?)?topic|subject|chapter|category|source|tags?|year|exam|keywords?"
_ABOUT = rf"\n[^\w\n]*(?:{_NAMES})(?: level| name)? ?:[^\n]*"
_LINE_ABOUT = re.compile(_ABOUT, re.I)
_LINES_ABOUT_AT_END = re.compile(rf"(?:{_ABOUT})+$", re.I)


def read_pasted(text: str, max_characters: int = MAX_CHARACTERS) -> Question:
    """Raises QuestionError with a sentence for the person who pasted. Nothing is guessed."""
    if len(text) > max_characters:
        raise QuestionError(f"The text has {len(text):,} characters, the limit is {max_characters:,}. Shorten it.")
    first, _, others = _plain(text).partition("\n")
    first, keys = without_key_lines(first)
    text = f"{first}\n{others}".strip()
    if not text:
        raise QuestionError(f"The text is empty. Paste a question with its options. {WRITE}")
    text = _LEAD_IN.sub("", text, count=1) if _LEAD_IN.match(text) else text
    places = len(MARK.findall(text)) + marked_places(text)
    if places > MAX_PLACES:
        raise QuestionError(
            f"In {places} places something like an option or a key begins, more than {MAX_PLACES}. Paste one question."
        )
    text = _LINES_ABOUT_AT_END.sub("", text)
    return _read(_without_lines_about(text if options_run(text) else _lettered(text)), keys)


def _without_lines_about(text: str) -> str:
    """Below the last option. What stands below them then is no part of it: it may be the rest of such a line."""
    run = options_run(text)
    last = run.marks[-1].end if run else len(text)
    return text[:last] + _LINE_ABOUT.sub("\n", text[last:])


def _plain(text: str) -> str:
    """Without what is there for the eye: bold, quoting, full-width letters, spaces."""
    text = _UNSEEN.sub("", text.translate(_WIDE)).strip()
    lines = [one_line(line) for line in text.splitlines()]
    if all(line.startswith(">") for line in lines if line):
        lines = [line.lstrip("> ") for line in lines]
    return _BOLD.sub(r"\1", "\n".join(lines)).strip()


def _lettered(text: str) -> str:
    """Options behind bullets get letters, where they are all that follows the stem."""
    lines = text.split("\n")
    at = [i for i, line in enumerate(lines) if _BULLET.match(line)]
    apart = at and any(line for i, line in enumerate(lines[: at[-1]]) if i > at[0] and i not in at)
    if not 2 <= len(at) <= MAX_OPTIONS or at[0] == 0 or apart or len({lines[i][0] for i in at}) > 1:
        return text
    for label, i in zip(LETTERS, at, strict=False):
        lines[i] = f"{label}) {lines[i][2:]}"
    lettered = "\n".join(lines)
    return lettered if parts(lettered).question.rstrip().endswith(f"\n{lines[at[-1]]}") else text


def _read(text: str, keys: list[str]) -> Question:
    found = parts(text)
    head, run = found.question, options_run(found.question)
    if run is None or run.strays:
        raise QuestionError(why_none(head, run))
    ends = [mark.start for mark in run.marks[1:]] + [len(head)]
    texts = [head[mark.end : end].strip() for mark, end in zip(run.marks, ends, strict=True)]
    texts[-1], _, further = texts[-1].partition("\n\n")
    stem, options = _without_separators(head[: run.start].strip(), tuple(map(one_line, texts)))
    options, starred = _starred(run, options)
    stem, above = without_key_lines(stem, options)
    read = [read_key(key, options, run.lettered) for key in (*keys, *above, found.key) if key]
    answer = _one({index for index, _ in read} | ({starred} - {None}))
    if further.strip() and answer is None:
        raise QuestionError(
            f"Below the options stands “{one_line(further)[:LONGEST_QUOTE]}”, which is no option. Write “Explanation:” "
            "before it, or leave it out."
        )
    explanation = one_line(further, *(rest for _, rest in read), found.explanation)
    return Question(stem.strip(), options, answer, explanation or None)


def _one(answers: set[int]) -> int | None:
    if len(answers) > 1:
        letters = " and ".join(LETTERS[i] for i in sorted(answers))
        raise QuestionError(f"{letters} are both given as the key. Keep the right one.")
    return next(iter(answers), None)


def _without_separators(stem: str, options: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    if all(_BETWEEN.search(option) for option in options[:-1]):
        return _BETWEEN.sub("", stem), tuple(_BETWEEN.sub("", option).rstrip() for option in options)
    return stem, options


def _starred(run: Run, options: tuple[str, ...]) -> tuple[tuple[str, ...], int | None]:
    """The options, and the one with a star or tick, which is the key. Where all begin with one they are bullets."""
    at_label = {i for i, mark in enumerate(run.marks) if mark.starred}
    at_label = set() if len(at_label) == len(options) else at_label
    starred = at_label | {i for i, option in enumerate(options) if _TICK.search(option)}
    if len(starred) == 1:
        return tuple(_TICK.sub("", option).strip() for option in options), starred.pop()
    if at_label:
        letters = ", ".join(LETTERS[i] for i in sorted(starred))
        raise QuestionError(f"Options {letters} are marked with a star or tick. Mark the one key, or none.")
    return options, None
