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
def brands() -> dict[str, str]:
    """Generic name by brand, in the table's order."""
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return {brand: generic for brand, generic, _ in rows}


def to_generic(stem: str) -> Edited:
    return _swapped(stem, brands(), "brand name of the table (such as Lasix)")


def to_brand(stem: str) -> Edited:
    first: dict[str, str] = {}
    for brand, generic in brands().items():
        first.setdefault(generic, brand)
    return _swapped(stem, first, "generic name of the table (such as furosemide)", MEASURED)


def _swapped(stem: str, names: dict[str, str], wanted: str, unless: str = "") -> Edited:
    other = {name.casefold(): new for name, new in names.items()}
    # Longest first, and never a part of a longer name: amoxicillin-clavulanate is not amoxicillin.
    pattern = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    swapped: dict[str, str] = {}

    def swap(match: re.Match) -> str:
        new = swapped[match[0]] = _cased(stem, match, other[match[0].casefold()])
        return new

    edited = re.sub(rf"(?<![\w/-])(?:{pattern})(?![\w/-]){unless}", swap, stem, flags=re.I)
    if not swapped:
        raise CannotEdit(f"The question has no {wanted}.")
    return Edited(edited, "; ".join(f"{old} → {new}" for old, new in swapped.items()) + ".")


def _cased(stem: str, match: re.Match, new: str) -> str:
    """A generic name is capitalised only where a sentence begins."""
    begins = re.search(r"(?:^|[.?!:]\s+)$", stem[: match.start()])
    return new[0].upper() + new[1:] if begins else new
