import pytest

from medqa import adapters
from medqa.adapters import Adapter, AdapterError
from medqa.datasets import handbook
from medqa.question import Question, QuestionError
from medqa.runs import Run
from medqa.settings import Settings
from medqa.ui import answer_tab, page

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
    assert answer_tab.fill(example)[-1] == example.subject
    assert answer_tab.read_paste("Which?\nA) Iron\nB) Zinc")[-1] == answer_tab.NOT_KNOWN


def test_what_stands_in_the_fields_is_what_is_asked():
    asked = answer_tab.asked_question(" Which? ", (" Iron", "Zinc "), "B", "ENT")
    assert asked == Question("Which?", OPTIONS, 1, subject="ENT")


@pytest.mark.parametrize("subject", [answer_tab.NOT_KNOWN, "", None])
def test_without_a_subject_none_is_asked_about(subject):
    asked = answer_tab.asked_question("Which?", OPTIONS, answer_tab.NOT_KNOWN, subject)
    assert (asked.subject, asked.answer) == (None, None)


@pytest.mark.parametrize(("shown", "key", "left"), [(5, "B", "B"), (2, "B", "B"), (2, "C", answer_tab.NOT_KNOWN)])
def test_a_key_stays_while_its_option_does(shown, key, left):
    *_, choice, count = answer_tab.options_shown(shown, key)
    assert (choice["value"], count) == (left, shown)


def test_a_field_left_empty_is_told():
    with pytest.raises(QuestionError, match="Option B is empty"):
        answer_tab.asked_question("Which?", ("Iron", " "), "A", None)


def test_the_subjects_to_choose_from_are_those_the_adapter_was_measured_on(settings, monkeypatch, tmp_path):
    known = Adapter("quick-1", tmp_path, "medqa-nano", RECORD)
    monkeypatch.setattr(adapters, "named", lambda name, folder: known)
    assert answer_tab.subjects_of("quick-1", settings)["choices"] == [answer_tab.NOT_KNOWN, "ENT", "Surgery"]
    assert answer_tab.subjects_of(answer_tab.BASE_ALONE, settings)["choices"] == [answer_tab.NOT_KNOWN]


def test_an_adapter_that_is_gone_leaves_no_subjects(settings):
    assert answer_tab.subjects_of("gone", settings)["choices"] == [answer_tab.NOT_KNOWN]


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
