"""Brand names of drugs to generic names and back, by the table assets/drug_names.tsv."""

from __future__ import annotations

import re
from functools import cache

from medqa.probes.edits import CannotEdit, Edited
from medqa.settings import ASSETS

TABLE = ASSETS / "drug_names.tsv"
# A brand is swallowed, not measured: "serum digoxin concentration" keeps its name.
MEASURED = r"(?! (?:levels?|concentrations?|toxicity))"


@cache
def _rows() -> tuple[tuple[str, ...], ...]:
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    return tuple(tuple(line.split("\t")) for line in lines if line and not line.startswith("#"))


def brands() -> dict[str, str]:
    """Generic name by brand, in the table's order."""
    return {brand: generic for brand, generic, *_ in _rows()}


def to_generic(stem: str) -> Edited:
    return _swapped(stem, brands(), "brand name of the table (such as Lasix)")


def to_brand(stem: str) -> Edited:
    first: dict[str, str] = {}
    for brand, generic, _, *form in _rows():
        if not form:
            first.setdefault(generic, brand)
    return _swapped(stem, first, "generic name of the table that has a brand (such as furosemide)", MEASURED)


def _swapped(stem: str, names: dict[str, str], wanted: str, unless: str = "") -> Edited:
    other = {name.casefold(): new for name, new in names.items()}
    # Longest first, and never a part of a longer name: amoxicillin-clavulanate is not amoxicillin.
    pattern = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    swapped: dict[str, str] = {}
    twice: list[str] = []

    def swap(match: re.Match) -> str:
        generic_or_brand = other[match[0].casefold()]
        if _stands_beside(generic_or_brand, match):
            twice.append(match[0])
            return match[0]
        new = swapped[match[0]] = _cased(stem, match, generic_or_brand)
        return new

    edited = re.sub(rf"(?<![\w/-])(?:{pattern})(?![\w/-]){unless}", swap, stem, flags=re.I)
    if twice and not swapped:
        raise CannotEdit(f"“{twice[0]}” stands beside its other name. Leave one of the two out in the text.")
    if not swapped:
        raise CannotEdit(f"The question has no {wanted}.")
    return Edited(edited, "; ".join(f"{old} → {new}" for old, new in swapped.items()) + ".")


def _stands_beside(name: str, match: re.Match) -> bool:
    """ "Oseltamivir (Tamiflu)" names one drug twice already."""
    stem, named = match.string, re.escape(name)
    before = re.search(rf"\b{named},? ?[(\[/] ?$", stem[: match.start()], re.I)
    return bool(before or re.match(rf",? ?[(\[/] ?{named}\b", stem[match.end() :], re.I))


def _cased(stem: str, match: re.Match, new: str) -> str:
    """A generic name is capitalised only where a sentence begins."""
    begins = re.search(r"(?:^|[.?!:]\s+)$", stem[: match.start()])
    return new[0].upper() + new[1:] if begins else new
