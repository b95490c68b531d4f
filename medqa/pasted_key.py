"""The key and the explanation of a pasted question, in the ways people write them. Nothing is guessed."""

from __future__ import annotations

import re
from dataclasses import dataclass

from medqa.pasted_options import NAMED, Run, options_run
from medqa.question import LETTERS, QuestionError

# Ways to write a key

_SIGN = r"(?: ?[:.=–—→>)-])+"
_LETTER = r"[(\[{'\"‘“]?[A-H1-8][)\]}'\"’”]?"
_ALONE = rf"(?={_LETTER}\.?$)"
_ANSWER = r"(?:the )?(?:(?:correct|right|best) )?(?:answers?|ans|key)(?: keys?)?"
_PLAIN = r"[^\s:.()\[\]{}–-]"
# "Right answer: D", but not "deviation to the right Answer: D", "both are correct Answer: D".
_WITHIN = r"(?:the )?(?-i:[Cc]orrect (?=[ak])|Correct (?=[AK])|Right (?=[ak])|(?:CORRECT|RIGHT) (?=[AK]))?"
_NAME = rf"(?:(?:so|hence|thus|therefore),? )?{_ANSWER}|(?:the )?(?:(?:correct|right|best) )?(?:option|choice)"
_KEY_WORDS = re.compile(
    # On a line of its own "is" or a space will do, or nothing where the key is on the next.
    rf"^[^\w\n]*(?:{_NAME}|(?:सही )?उत्तर)(?:{_SIGN}(?: is\b)?| is\b ?:?| {_ALONE})\s*"
    rf"|^[^\w\n]*{_ANSWER}\n\s*"
    # Within a line "answer is" is prose, unless a letter ends the line.
    rf"|(?<!\w)[(\[{{]?{_WITHIN}(?:answers?|ans|key)(?: keys?)?(?: ?[:.=–-]+\s*| (?:is )?{_ALONE})"
    # These go on with an explanation or an option where no letter follows.
    rf"|^[^\w\n]*(?:solution|sol|correct|right){_SIGN}\s*(?={_LETTER}(?:\.?$|[.:] |(?<=[)\]}}]) ))"
    rf"|^[^\w\n]*(?=(?:option |choice )?\(?[A-H]\)? is (?:the )?(?:correct|right)\b)"
    rf"|^(?P<other>(?:{_PLAIN}+ ){{0,2}}{_PLAIN}{{2,}} ?): ?(?=[(\[]?[A-H][)\]]?\.?$)"
    rf"|^(?P<lone>(?=(?:q?\d{{1,3}} ?[.)-] ?)?{_LETTER}\.?$))",
    re.I | re.M,
)
_EXPLANATION = re.compile(
    r"^[^\w\n]*(?:explanations?|rationale|solution|sol|discussion|expl?|references?|ref|व्याख्या)"
    r"(?: ?(?:[:.]|[–—-](?=\s))+\s*|\n\s*)|(?<=\s)explanation ?:\s*",
    re.I | re.M,
)

# What is written

_KEY = re.compile(
    r"(?i:option |choice )?[(\[{'\"‘“]*(?P<key>[A-Za-z]|\d{1,2})['\"’”]*"
    r"(?:[)\]}.:*]+|(?<![a-z])(?=[\s,&/–-])|\Z|(?=\n)) *[–-]? *"
)
# "1. D", "1-D", "Q12 (D)": the number of the question, then its key.
_NUMBERED = re.compile(
    r"(?:q(?:uestion)?[ .]*)?(?P<number>\d{1,3}) ?[.):–—=>-]* ?[(\[]?(?P<key>[A-H])"
    r"(?:[)\].:]+|(?= ?(?:[\s,;&/–-]|and\b|or\b|\Z))) *[–-]? *",
    re.I,
)
_LIST = re.compile(r"(?:q?\d{1,3} ?[.):–-]+ ?\(?[A-H]\)?[\s,;]*)+", re.I)
_MORE = re.compile(
    r"[)\].]*\s*(?:(?:[,;&/]|and\b|or\b)\s*\(?[A-H1-8]\)?(?!\w)|[,;]?\s*\d{1,3} ?[.):–-]+ ?\(?[A-H]\)?(?!\w))", re.I
)
# "Answer: A patient …": there A is no letter.
_ARTICLE = re.compile(r"[aA] (?!(?:is|because|as|since|due|i\.? ?e)\b)[a-z0-9]")
_CONFIRMS = re.compile(
    r"(?:is (?:the )?(?:correct|right)(?: (?:answer|option|choice))?[.:;,]?|i\.? ?e\b[.,: ]*)\s*", re.I
)
_AROUND = " .()[]{}'\"‘’“”"


@dataclass(frozen=True)
class Parts:
    """`question`: stem and options. `key`: what follows "Answer:"; it and the explanation may be empty."""

    question: str
    key: str = ""
    explanation: str = ""


def parts(text: str) -> Parts:
    """Only what comes after a run of options counts: "Choose the best answer: A) …" is no key."""
    for found in _KEY_WORDS.finditer(text):
        head, tail = text[: found.start()], text[found.end() :]
        run = options_run(head)
        if run is None or _goes_on(found, run, head, tail):
            continue
        key, explanation = _split(tail, after_options=False)
        options = options_run(key)
        # "Choose the best answer: 1. A 2. B" goes on with options, "Answers: 1. A 2. B" with keys.
        keys = not head.rstrip(" ").rpartition("\n")[2] and _LIST.fullmatch(key)
        if options is None or keys or (options.start > 0 and _KEY.match(key)):
            question, before = _split(head)
            return Parts(question, key.strip(), one_line(before, explanation))
    question, explanation = _split(text)
    return Parts(question, "", one_line(explanation))


def _goes_on(found: re.Match, run: Run, head: str, tail: str) -> bool:
    """Whether what looks like a key is the last option's own text, or the next option. Raises QuestionError."""
    if found["other"]:
        return NAMED.search(f"{found['other'].strip()} ") is not None
    if found["lone"] is None:
        return False
    line, _, further = tail.partition("\n")
    label, options = line.strip(_AROUND), options_run(found.string)
    if options and any(mark.start == found.start() for mark in options.marks):
        return True
    if not label.isalnum():  # "1. D": of numbered options it would be the first
        return not run.lettered
    if NAMED.search(f"{head.rstrip()[-20:]} "):  # "deficiency of vitamin\nD"
        return True
    if run.lettered == label.isdigit():
        if _split(further, after_options=False)[0].strip():  # options with labels on lines of their own begin
            return True
        raise QuestionError(
            f"“{label}” stands alone under the options. Write a key as “Answer: A”, or leave the line out."
        )
    # "… binds to\na" within an option; of options that carry capitals a small letter ends the text at most.
    return run.marks[0].label.isupper() != label.isupper() and run.lettered and bool(further.strip())


def _split(text: str, after_options: bool = True) -> tuple[str, str]:
    """Before and after "Explanation:"."""
    for found in _EXPLANATION.finditer(text):
        if not after_options or options_run(text[: found.start()]):
            return text[: found.start()], text[found.end() :]
    return text, ""


def one_line(*texts: str) -> str:
    return " ".join(" ".join(texts).split())


def marked_places(text: str) -> int:
    """In how many places a key or an explanation may begin."""
    return sum(1 for pattern in (_KEY_WORDS, _EXPLANATION) for _ in pattern.finditer(text))


def without_key_lines(stem: str, options: tuple[str, ...] = ()) -> tuple[str, list[str]]:
    """Some write the key above the question or above its options: such lines, each nothing but the key."""
    kept, keys = [], []
    for line in stem.split("\n"):
        found = _KEY_WORDS.match(line)
        key = line[found.end() :] if found and found[0].strip() and not found["other"] else ""
        label = _KEY.match(key)
        rest = key[label.end() :].strip() if label else ""
        if label and (not rest or any(_same(option, rest) for option in options)):
            keys.append(key)
        else:
            kept.append(line)
    return "\n".join(kept), keys


# Reading one


def read_key(key: str, options: tuple[str, ...], lettered: bool) -> tuple[int, str]:
    """The index of the option that the key names, by letter, number or text, and what follows it.

    `lettered`: the options carry letters, not numbers. Raises QuestionError.
    """
    line, _, further = key.partition("\n")
    by_text = [i for i, option in enumerate(options) if _same(option, line)]
    found = _KEY.match(key)
    if by_text and (not found or found.end() < len(line)):
        return by_text[0], one_line(further)
    found = _label(key, line, options, lettered)
    label, index = found["key"], _index(found["key"])
    if not 0 <= index < len(options):
        raise QuestionError(
            f"The key is {label}, and there are {len(options)} options (A to {LETTERS[len(options) - 1]})."
        )
    if by_text and by_text != [index]:
        raise QuestionError(
            f"The key {label} is the place of one option and the text of option {LETTERS[by_text[0]]}. Write a letter."
        )
    return index, _after(key, found.end(), options, index)


def _label(key: str, line: str, options: tuple[str, ...], lettered: bool) -> re.Match:
    found, numbered = _KEY.match(key), _NUMBERED.match(key)
    if numbered and not (found and any(_same(option, line[found.end() :]) for option in options)):
        # Of numbered options the number may be the key itself.
        if not lettered and _index(numbered["number"]) != _index(numbered["key"]):
            raise QuestionError(
                f"The key “{line[:60]}” has a number and a letter, and the options have numbers. Write one of the two."
            )
        found = numbered
    if not found or _ARTICLE.match(line):
        raise QuestionError(f"The key “{line[:60]}” names none of the options. Write its letter: “Answer: A”.")
    if _MORE.match(key, found.end("key")):
        raise QuestionError(f"The key “{line[:60]}” names more than one option. Write the one letter: “Answer: A”.")
    return found


def _after(key: str, end: int, options: tuple[str, ...], index: int) -> str:
    """What follows the label. The option's text goes, unless it begins a sentence: "B) Heparin binds antithrombin."."""
    confirmed = _CONFIRMS.match(key, end)
    end = confirmed.end() if confirmed else end
    line, _, further = key[end:].partition("\n")
    others = [i for i, other in enumerate(options) if i != index and _same(other, line)]
    if others:
        raise QuestionError(
            f"The key is {LETTERS[index]}, but the text after it is option {LETTERS[others[0]]}. Change one."
        )
    if _same(options[index], line):
        return one_line(further)
    rest, option = one_line(key[end:]), options[index]
    if rest.casefold().startswith(option.casefold()) and rest[len(option) :].lstrip()[:1] in tuple(".:;–-"):
        return rest[len(option) :].lstrip(" .:;–-")
    return rest.strip("])}") if not rest.strip(_AROUND) else rest


def _index(label: str) -> int:
    return int(label) - 1 if label.isdigit() else ord(label.upper()) - ord("A")


def _same(option: str, text: str) -> bool:
    return one_line(option.strip(_AROUND)).casefold() == one_line(text.strip(_AROUND)).casefold()
