from types import SimpleNamespace

import pytest

from medqa.probes import Cancelled
from medqa.probes.edits.pregnancy import pregnant
from medqa.probes.what_if import difference, edited_question, what_if
from medqa.question import Answer, Question, QuestionError

ASKED = Question(
    "A 28-year-old woman has a urinary tract infection. What do you give?",
    ("Ciprofloxacin", "Cefalexin", "Nothing"),
    answer=0,
)


class OnPregnant:
    """Stands in for an engine: its answer flips exactly when "pregnant" is in the stem."""

    loaded = SimpleNamespace(name="a rule")

    def score(self, question, adapter=None, adapter_name=None):
        return Answer(question, (-2.0, -0.2, -4.0) if "pregnant" in question.stem else (-0.2, -2.0, -4.0), "a rule")


def asked_with(stem, options="Ciprofloxacin\nCefalexin\nNothing"):
    return what_if(OnPregnant(), ASKED, edited_question(ASKED, stem, options))


def test_an_answer_that_hangs_on_one_word_is_said_to_change_with_both_figures():
    found = asked_with(pregnant(ASKED.stem).stem)
    assert found.changed
    assert (found.before.letter, found.after.letter) == ("A", "B")
    assert found.largest_moves[:2] in [(0, 1), (1, 0)]
    verdict, *moved, edit, limit = found.sentences
    assert verdict == "The answer changed from A) Ciprofloxacin to B) Cefalexin."
    assert sorted(moved) == [
        "A) Ciprofloxacin went down from 84 % to 14 % (−70.3 points).",
        "B) Cefalexin went up from 14 % to 84 % (+70.3 points).",
    ]
    assert edit == "Edited in the question: “pregnant” added before “woman”."
    assert "not what is right" in limit


@pytest.mark.parametrize(
    ("stem", "options", "edits"),
    [
        (ASKED.stem.replace("28-year-old", "38-year-old").replace("urinary ", ""), "Ciprofloxacin\nCefalexin\nNothing",
         ["Edited in the question: “28-year-old” → “38-year-old”; “urinary” left out."]),
        (ASKED.stem + " Now?", "Ciprofloxacin\nCefixime\nNothing",
         ["Edited in the question: “Now?” added at the end.", "Edited in option B: “Cefalexin” → “Cefixime”."]),
        (ASKED.stem.replace(" ", "  "), "Ciprofloxacin\nCefalexin\nNothing",
         ["Edited in the question: spaces and line breaks only."]),
        ("a 28-year-old x has b urinary d infection. e do f give? g", "Ciprofloxacin\nCefalexin\nNothing",
         ["Edited, the question reads: “a 28-year-old x has b urinary d infection. e do f give? g”"]),
    ],
)  # fmt: skip
def test_what_was_edited_is_said_in_words_for_a_receipt_that_shows_no_page(stem, options, edits):
    assert list(asked_with(stem, options).sentences[-1 - len(edits) : -1]) == edits


def test_an_edit_the_scorer_does_not_read_leaves_the_answer_and_says_so():
    found = asked_with(ASKED.stem.replace("28", "38"))
    assert not found.changed
    assert found.sentences[:2] == (
        "The answer stays A) Ciprofloxacin.",
        "No option moved by a whole point of probability.",
    )


def test_a_question_as_asked_is_not_compared_in_words():
    assert asked_with(ASKED.stem).sentences == ("Nothing is edited yet: this is the question as asked.",)


def test_the_edited_question_has_no_key():
    assert edited_question(ASKED, "Other?", "a\nb").answer is None


@pytest.mark.parametrize(
    ("stem", "options", "reason"),
    [
        ("", "a\nb\nc", "The question is empty"),
        ("Which?", "a\nb", "has 3 options and the edited one 2"),
        ("Which?", "a\na\nb", "are the same"),
    ],
)
def test_what_makes_no_question_is_refused_in_a_sentence(stem, options, reason):
    with pytest.raises(QuestionError, match=reason):
        asked_with(stem, options)


def test_whoever_cancels_is_heard():
    def gone(done, of):
        raise Cancelled

    with pytest.raises(Cancelled):
        what_if(OnPregnant(), ASKED, ASKED, tell=gone)


def test_the_difference_names_the_words_and_joins_to_both_texts():
    before, after = "A 45-year-old man has\nfever. Why?", "A 55-year-old woman has fever today. Why?"
    pieces = difference(before, after)
    assert [(piece.kind, piece.text.strip()) for piece in pieces if piece.kind != "kept"] == [
        ("removed", "45-year-old man"),
        ("added", "55-year-old woman"),
        ("removed", "fever."),
        ("added", "fever today."),
    ]
    assert "".join(piece.text for piece in pieces if piece.kind != "removed") == after
    assert "".join(piece.text for piece in pieces if piece.kind != "added").split() == before.split()


@pytest.mark.model
class TestWithARealModel:
    @pytest.fixture
    def engine(self, loaded):
        from medqa.engine import Engine

        return Engine(loaded, max_question_tokens=120)

    def test_before_and_after_are_the_answers_of_the_two_questions(self, engine, make_adapter, tmp_path):
        adapter = make_adapter(tmp_path / "adapter", seed=3)
        edited = edited_question(ASKED, pregnant(ASKED.stem).stem, "\n".join(ASKED.options))
        heard = []
        found = what_if(engine, ASKED, edited, adapter, tell=lambda done, of: heard.append((done, of)))
        assert found.before == engine.score(ASKED, adapter)
        assert found.after == engine.score(edited, adapter)
        assert found.before.probabilities != found.after.probabilities
        assert sum(found.moves) == pytest.approx(0, abs=1e-6)
        assert heard == [(1, 2), (2, 2)]

    def test_an_edited_question_over_the_limit_is_refused_in_a_sentence(self, engine):
        with pytest.raises(QuestionError, match=r"the limit is 120\. Shorten the stem."):
            what_if(engine, ASKED, edited_question(ASKED, "fever " * 200, "a\nb\nc"))
