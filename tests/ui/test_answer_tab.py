import pytest

from medqa import adapters
from medqa.adapters import Adapter, AdapterError
from medqa.datasets import handbook
from medqa.question import Question, QuestionError
from medqa.runs import Run
from medqa.settings import Settings
from medqa.ui import answer_tab, page, question_fields
from medqa.ui.question_fields import NOT_KNOWN

OPTIONS = ("Iron", "Zinc")
RECORD = {"certainty": {"test": {"Surgery": {"right": "900", "wrong": ""}, "ENT": {"right": "", "wrong": "300"}}}}


@pytest.fixture
def settings(tmp_path):
    return Settings(runs=tmp_path)


@pytest.fixture
def on_the_hub(monkeypatch, tmp_path):
    """Every owner/name is an adapter there, but for "some/none"."""

    def from_hub(name):
        if name == "some/none":
            raise AdapterError("There is none.")
        return Adapter(name, tmp_path, "medqa-nano", {})

    monkeypatch.setattr(adapters, "from_hub", from_hub)


def test_an_example_brings_its_subject_and_a_pasted_question_takes_it_away():
    example = handbook.questions("test")[0]
    assert question_fields.fill(example)[-1] == example.subject
    assert question_fields.read_paste("Which?\nA) Iron\nB) Zinc")[-1] == NOT_KNOWN


def test_what_stands_in_the_fields_is_what_is_asked():
    asked = question_fields.asked_question(" Which? ", (" Iron", "Zinc "), "B", "ENT")
    assert asked == Question("Which?", OPTIONS, 1, subject="ENT")


@pytest.mark.parametrize("subject", [NOT_KNOWN, "", None])
def test_without_a_subject_none_is_asked_about(subject):
    asked = question_fields.asked_question("Which?", OPTIONS, NOT_KNOWN, subject)
    assert (asked.subject, asked.answer) == (None, None)


@pytest.mark.parametrize(("shown", "key", "left"), [(5, "B", "B"), (2, "B", "B"), (2, "C", NOT_KNOWN)])
def test_a_key_stays_while_its_option_does(shown, key, left):
    *_, choice, count = question_fields.options_shown(shown, key)
    assert (choice["value"], count) == (left, shown)


STEM = "Which drug is given in decreased calcium?"


@pytest.mark.parametrize(
    ("stem", "options", "key", "subject"),
    [
        (STEM, ("Iron", "Zinc", None), "A", "ENT"),
        ("which drug  is given in decreased calcium?", ("iron", "Zinc ", ""), "A", "ENT"),
        (STEM.replace("given", "not given"), ("Iron", "Zinc", None), NOT_KNOWN, NOT_KNOWN),
        (STEM, ("Iron", "Copper", None), NOT_KNOWN, "ENT"),
    ],
    ids=["same", "spaces and capitals", "another word", "another option"],
)  # fmt: skip
def test_key_and_subject_stay_with_the_question_they_were_given_for(stem, options, key, subject):
    given = question_fields.given_for(STEM, "Iron", "Zinc", None)
    *found, said, _ = question_fields.still_given(given, "A", "ENT", stem, *options)
    assert found == [key, subject]
    assert ("The key “A” was given before the question was changed" in said) == (key == NOT_KNOWN)


def test_a_key_given_before_the_question_is_typed_is_that_ones_and_not_the_nexts():
    given = question_fields.given_for("", "", "")
    key, *_, given = question_fields.still_given(given, "B", None, STEM, "Iron", "Zinc")
    assert key == "B"
    assert question_fields.still_given(given, key, None, "Which metal?", "Iron", "Zinc")[0] == NOT_KNOWN


def test_a_key_that_was_given_for_the_new_question_by_hand_stays():
    old, new = question_fields.given_for(STEM, "Iron", "Zinc"), ("Which metal?", "Iron", "Zinc")
    given = old | {"key": question_fields.given_for(*new)["key"]}
    assert question_fields.still_given(given, "B", "ENT", *new)[:2] == ("B", NOT_KNOWN)


def test_a_paste_that_cannot_be_read_is_told_and_what_stands_below_is_not_answered(settings):
    fields = "Which metal?", OPTIONS, NOT_KNOWN, None
    [(problem, card, asked)] = answer_tab.answered(settings, None, "", fields, pasted=("Which? A) Iron",) * 2)
    assert "What was pasted can&#x27;t be read" in problem
    assert "empty that box" in problem
    assert (card, asked) == ("", None)


def test_a_press_before_the_paste_has_filled_the_fields_is_told_to_wait():
    with pytest.raises(QuestionError, match=r"is being read just now\. Press Answer again"):
        question_fields.check_paste("Which?\nA) Iron\nB) Zinc", "what was pasted before")


@pytest.mark.parametrize("text", ["", "  \n", "Which?\nA) Iron\nB) Zinc"])
def test_a_paste_that_was_read_or_is_empty_stands_in_nobodys_way(text):
    question_fields.check_paste(text, text.strip() and text)


def test_a_subject_is_no_place_for_a_text():
    assert question_fields.asked_question("Which?", OPTIONS, NOT_KNOWN, "x" * 100).subject == "x" * 100
    with pytest.raises(QuestionError, match="The subject has 101 characters, the limit is 100"):
        question_fields.asked_question("Which?", OPTIONS, NOT_KNOWN, "x" * 101)


def test_a_field_left_empty_is_told():
    with pytest.raises(QuestionError, match="Option B is empty"):
        question_fields.asked_question("Which?", ("Iron", " "), "A", None)


def test_the_subjects_to_choose_from_are_those_the_adapter_was_measured_on(settings, monkeypatch, tmp_path):
    known = Adapter("quick-1", tmp_path, "medqa-nano", RECORD)
    monkeypatch.setattr(adapters, "named", lambda name, folder: known)
    assert answer_tab.subjects_of("quick-1", settings)["choices"] == [NOT_KNOWN, "ENT", "Surgery"]
    assert answer_tab.subjects_of(answer_tab.BASE_ALONE, settings)["choices"] == [NOT_KNOWN]


def test_an_adapter_that_is_gone_leaves_no_subjects(settings):
    assert answer_tab.subjects_of("gone", settings)["choices"] == [NOT_KNOWN]


def test_whoever_comes_is_answered_by_the_newest_adapter_of_the_host_and_the_base_that_is_loaded(settings):
    bases = {"visitors": "medqa-nano", "large": "Qwen/Qwen3-4B", "newer": "medqa-nano", "older": "medqa-nano"}
    for name in bases:
        (settings.runs / name).mkdir()
        (settings.runs / name / "spec.json").touch()
    Run(settings.runs / "visitors").visitor_file.touch()
    found = [Adapter(name, settings.runs / name / "adapter", base, {}) for name, base in bases.items()]
    assert answer_tab.first_choice(settings, found) == "newer"
    found[2:] = []
    assert answer_tab.first_choice(settings, found) == answer_tab.BASE_ALONE


def test_a_run_that_went_to_its_end_is_offered_before_one_stopped_early(settings):
    cards = {"stopped": {"steps": 6, "total_steps": 227}, "ended": {"steps": 227, "total_steps": 227}}
    found = [Adapter(name, settings.runs / name / "adapter", settings.base_model, card) for name, card in cards.items()]
    assert answer_tab.first_choice(settings, found) == "ended"
    assert answer_tab.first_choice(settings, found[:1]) == "stopped"


def test_adapters_added_from_the_hub_stay_in_the_choice(settings, on_the_hub):
    _, _, added = answer_tab.add_from_hub("some/one", settings, [])
    choice, said, added = answer_tab.add_from_hub(" some/other ", settings, [list(pair) for pair in added])
    assert choice["value"] == "some/other"
    assert "some/other is ready; its base is medqa-nano" in said
    names = ["", "some/one", "some/other"]
    assert [name for _, name in choice["choices"]] == names
    assert [name for _, name in page.refreshed(settings, added)[0]["choices"]] == names
    assert [name for _, name in page.use_adapter("some/one", settings, added)[0]["choices"]] == names


def test_one_added_twice_stands_there_once_and_one_that_is_none_not_at_all(settings, on_the_hub):
    added = answer_tab.add_from_hub("some/one", settings, [])[2]
    assert answer_tab.add_from_hub("some/one", settings, added)[2] == added
    choice, said, kept = answer_tab.add_from_hub("some/none", settings, added)
    assert "There is none." in said
    assert "choices" not in choice
    assert "value" not in kept
