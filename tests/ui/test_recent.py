import pytest

from medqa.question import Answer, Question
from medqa.ui.panels.recent import KEPT, Recent

QUESTION = Question("Which?", ("Iron", "Zinc"))


def answer(score, adapter=None):
    return Answer(QUESTION, (score, -9.0), "tiny", adapter)


def test_the_same_answer_is_worked_out_once_and_another_adapters_is_not_taken_for_it():
    recent, made = Recent(), []
    for asked in (answer(-1.0), answer(-1.0), answer(-2.0), answer(-1.0, "quick"), answer(-1.0)):
        recent.of(asked, lambda asked=asked: made.append(asked))
    assert made == [answer(-1.0), answer(-2.0), answer(-1.0, "quick")]


def test_the_oldest_goes_when_there_are_too_many():
    recent = Recent()
    for i in range(KEPT + 1):
        recent.of(answer(-float(i)), lambda i=i: i)
    assert recent.of(answer(-float(KEPT)), lambda: "again") == KEPT
    assert recent.of(answer(-0.0), lambda: "again") == "again"


def test_what_was_cancelled_is_not_kept():
    recent = Recent()

    def gone():
        raise KeyError

    with pytest.raises(KeyError):
        recent.of(answer(-1.0), gone)
    assert recent.of(answer(-1.0), lambda: "made") == "made"
