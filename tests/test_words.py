import unicodedata

import pytest

from medqa.words import placed, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("β-blocker", ["beta", "blocker"]),
        ("Beta blockers", ["beta", "blockers"]),
        ("TNF-α, γ-GT and IgG", ["tnf", "alpha", "gamma", "gt", "and", "igg"]),
        ("HbA1c of 7.5%", ["hba1c", "of", "7.5"]),
        ("5.5 mmol/L. At 8", ["5.5", "mmol", "l", "at", "8"]),
        ("H₂O, Ca²⁺", ["h2o", "ca2"]),
        ("snake_case is two", ["snake", "case", "is", "two"]),
        ("- / + ?", []),
        ("", []),
    ],
)
def test_medical_words_stay_whole_and_lose_only_case_and_signs(text, found):
    assert words(text) == found


def test_one_word_written_in_several_ways_is_one_word():
    assert words("HBA1C") == words("HbA1c")
    assert words("β") == words("Β") == words("beta")
    assert words(unicodedata.normalize("NFD", "Ménière")) == words(unicodedata.normalize("NFC", "MÉNIÈRE"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("रक्तचाप क्या है?", ["रक्तचाप", "क्या", "है"]),
        ("Высокое давление", ["высокое", "давление"]),
        ("αιμοσφαιρίνη αίματος", ["αιμοσφαιρίνη", "αίματοσ"]),
        ("ارتفاع ضغط الدم", ["ارتفاع", "ضغط", "الدم"]),
        ("高血压A型", ["高", "血", "压", "a", "型"]),
    ],
)
def test_text_that_is_not_latin_has_its_words_too(text, found):
    assert words(text) == [unicodedata.normalize("NFKC", word) for word in found]


def test_each_word_is_placed_where_the_text_as_written_has_it():
    text = "Hb₂ and a β-blocker for रक्तचाप"
    assert [text[begin:end] for begin, end, _ in placed(text)] == ["Hb₂", "and", "a", "β", "blocker", "for", "रक्तचाप"]
