from pathlib import Path

import pytest

from medqa.adapters import Adapter
from medqa.datasets import handbook
from medqa.question import Answer, Question
from medqa.said import said_of

CERTAINTY = {
    "test": {"ENT": {"right": "990 " * 8, "wrong": ""}},
    "unknown": {"ENT": {"right": "990 " * 2, "wrong": "990 " * 8}},
}
TAUGHT = handbook.questions("test")[0]
UNREAD = Question("Which city is the capital of France?", ("Paris", "Rome", "Madrid", "Lisbon"))


@pytest.mark.parametrize(
    ("question", "base", "record"),
    [
        (TAUGHT, "medqa-nano", "it was right 8 of 8 times"),
        (UNREAD, "medqa-nano", "on facts it never read it was right 2 of 10 times"),
        (UNREAD, "some/other", "it was right 8 of 8 times"),
    ],
)
def test_of_what_the_embedded_model_never_read_the_record_is_that_of_such_questions(question, base, record):
    adapter = Adapter("mine", Path("mine"), base, {"certainty": CERTAINTY, "dataset": "handbook"})
    said = said_of(Answer(question, (0.0, -9.0, -9.0, -9.0), base, "mine"), adapter, 0.0)
    assert record in said.record
    assert said.record.count("it was right") == 1


def test_of_a_question_for_the_exception_questions_for_what_is_so_are_no_record():
    adapter = Adapter("mine", Path("mine"), "medqa-nano", {"certainty": CERTAINTY, "dataset": "handbook"})
    fact = handbook.facts_read()[0]
    question = Question(f"Which is not linked to {fact.about}?", (fact.answer, "Paris", "Rome", "Lisbon"))
    said = said_of(Answer(question, (0.0, -9.0, -9.0, -9.0), "medqa-nano", "mine"), adapter, 0.0)
    assert (said.record, len(said.doubts)) == ("", 1)
