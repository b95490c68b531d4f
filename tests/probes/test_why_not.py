from types import SimpleNamespace

import pytest

from medqa.probes.findings import LIMIT, findings
from medqa.probes.why_not import ALIKE, WhyNot, defences, why_not
from medqa.question import Answer, Explanation, Question, QuestionError

STEM = "A 60-year-old man has splenomegaly. He smokes. He is thirsty. What is the diagnosis?"
CASE = Question(STEM, ("Polycythaemia vera", "Carbon monoxide", "Dehydration"))
SAME = "is the likely cause, as the raised count and the large spleen show."


class Scorer:
    """Stands in for an engine: splenomegaly gives A 3 nats, smoking gives B 2, and each option is defended by rule."""

    def __init__(self, texts=("", "", "")):
        self.loaded = SimpleNamespace(name="a rule")
        self.texts = texts
        self.scored = self.written = 0

    def score_many(self, questions, adapter, tokens_per_batch, given=()):
        for i in reversed(range(len(questions))):
            self.scored += 1
            stem = questions[i].stem
            yield i, (-5.0 + 3 * ("splenomegaly" in stem), -6.0 + 2 * ("smokes" in stem), -7.0)

    def explain(self, answer, adapter=None, option=None):
        self.written += 1
        for part in ("", self.texts[option]):
            yield Explanation(part)
        yield Explanation(self.texts[option], ended=True)


def alike():
    return Scorer([f"{option} {SAME}" for option in CASE.options])


def different():
    return Scorer(["The spleen is large.", "Smoke binds to haemoglobin.", "The spleen is small."])


def test_the_margin_and_what_pulls_each_way_are_those_of_the_constructed_case():
    found = why_not(Scorer(), CASE, option=1, defended=())
    assert found.margin == pytest.approx(2)
    # A 60-year-old man | has splenomegaly | He smokes | He is thirsty
    assert dict(zip(found.findings.cut.findings, found.pulls, strict=True)) == pytest.approx(
        {"A 60-year-old man": 0, "has splenomegaly": -3, "He smokes": 2, "He is thirsty": 0}
    )
    assert found.sentences == (
        "B) Carbon monoxide lies 2.00 in log-odds behind A) Polycythaemia vera: A is 7.4 times as probable.",
        "Towards B pull: “He smokes” (+2.00).",
        "Away from it, towards A: “has splenomegaly” (−3.00).",
        LIMIT,
    )


def test_the_runner_up_is_asked_about_when_no_option_is_named():
    assert why_not(Scorer(), CASE, defended=()).option == 1


def test_what_is_scored_and_written_already_is_not_asked_for_again():
    engine = alike()
    scored = findings(engine, CASE)
    written = defences(engine, scored.whole)
    before = (engine.scored, engine.written)
    for option in (1, 2):
        why_not(engine, CASE, option=option, scored=scored, defended=written)
    assert before == (engine.scored, engine.written) == (5, 3)


def test_the_explanation_of_the_choice_is_not_written_twice():
    engine, own = alike(), Explanation("It is so.", ended=True)
    whole = findings(engine, CASE).whole
    assert defences(engine, whole, own=own)[0] is own
    assert engine.written == 2


def test_the_option_chosen_is_refused_in_a_sentence():
    with pytest.raises(QuestionError, match=r"A\) Polycythaemia vera is what the model chose"):
        why_not(Scorer(), CASE, option=0)


def test_the_option_refused_is_the_one_the_card_shows():
    card = Answer(CASE, (-5.0, -4.9, -7.0), "a rule")  # scored among others it would be A
    found = why_not(Scorer(), CASE, option=0, answer=card, defended=())
    assert (found.findings.whole, found.margin) == (card, pytest.approx(0.1))
    with pytest.raises(QuestionError, match=r"B\) Carbon monoxide is what the model chose"):
        why_not(Scorer(), CASE, option=1, answer=card, defended=())


def test_defences_that_differ_in_the_options_names_alone_are_called_alike():
    found = why_not(alike(), CASE, option=2)
    assert found.defences[2].text == f"Dehydration {SAME}"
    assert found.likeness == (1.0, 1.0, 1.0)
    assert found.sentences[-1] == ALIKE
    assert "no evidence for the answer" in ALIKE


def test_defences_that_differ_are_not_called_alike_and_how_much_is_said():
    found = why_not(different(), CASE, option=1)
    assert found.likeness == pytest.approx((1, 0, 3 / 5))
    assert not found.defends_all_alike
    assert found.sentences[-1].startswith("The defence of B shares 0 % of its words with that of A")


def test_one_option_defended_like_the_choice_is_told_apart_from_all():
    texts = (f"It {SAME}", "Smoke binds to haemoglobin.", f"It {SAME}")
    found = why_not(Scorer(texts), CASE, option=2)
    assert found.sentences[-1].endswith("it says nearly the same, so it defends neither.")


@pytest.mark.parametrize(
    ("one", "other"),
    [("It is contraindicated", "It is not contraindicated"), ("It is given as 2 mg", "It is given as 20 mg"),
     ("It explains the count", "It doesn't explain the count")],
)  # fmt: skip
def test_texts_that_a_negation_or_a_number_sets_apart_are_not_alike(one, other):
    rest = ", for this is what all the books that deal with the matter have told their readers for many years now."
    found = why_not(Scorer((one + rest, f"{other}{rest}", f"{one}{rest}")), CASE, option=1)
    assert found.likeness[1] > 0.8
    assert (found.alike, found.defends_all_alike) == ((True, False, True), False)
    assert found.sentences[-1].endswith("That they differ makes neither of them true.")


def test_where_nothing_was_written_nothing_is_compared():
    found = why_not(Scorer(("The spleen.", "", "")), CASE, option=1)
    assert found.sentences[-1] == "For some options the model wrote nothing, so its defences can't be compared."


def test_without_defences_nothing_is_said_of_them():
    found = WhyNot(1, findings(Scorer(), CASE))
    assert (found.likeness, found.defends_all_alike) == ((), False)
    assert len(found.sentences) == 4


@pytest.mark.model
def test_a_real_model_defends_each_option_in_its_own_words(loaded, make_adapter, tmp_path):
    from medqa.engine import Engine

    engine, adapter = Engine(loaded, max_explanation_tokens=8), make_adapter(tmp_path / "one", seed=1)
    heard = []
    found = why_not(engine, CASE, adapter, 2 if engine.score(CASE, adapter).index != 2 else 1,
                    tell=lambda done, of: heard.append((done, of)))  # fmt: skip
    assert len(found.defences) == 3
    *_, alone = engine.explain(found.findings.whole, adapter, option=found.option)
    assert found.defences[found.option] == alone
    assert (0, 3) in heard and (2, 3) in heard
    assert found.margin > 0
