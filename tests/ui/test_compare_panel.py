import json

import pytest

from medqa.adapters import WEIGHTS, Adapter
from medqa.question import Answer, Explanation, Question
from medqa.settings import Settings
from medqa.ui.answering import Asked
from medqa.ui.panels.compare import BASE_ALONE, kept_or_first, others

ANSWER = Answer(Question("Which?", ("Iron", "Zinc")), (-1.0, -2.0), "medqa-nano")
BY_BASE = Asked(ANSWER, None, Explanation(""))


@pytest.fixture
def settings(tmp_path):
    """Two finished runs."""
    for name in ("quick-1", "quick-2"):
        folder = tmp_path / name / "adapter"
        folder.mkdir(parents=True)
        (folder.parent / "spec.json").write_text("{}")
        (folder / WEIGHTS).touch()
        config = {"peft_type": "LORA", "base_model_name_or_path": "medqa-nano"}
        (folder / "adapter_config.json").write_text(json.dumps(config))
    return Settings(runs=tmp_path)


def by(name, settings):
    return Asked(ANSWER, Adapter(name, settings.runs / name / "adapter", "medqa-nano", {}), Explanation(""))


def test_what_answered_is_not_among_what_it_is_compared_with(settings):
    names = [name for _, name in others(by("quick-1", settings), settings)]
    assert names == [BASE_ALONE, "quick-2"]
    assert {name for _, name in others(BY_BASE, settings)} == {"quick-1", "quick-2"}


def test_a_base_model_in_a_folder_is_offered_by_its_last_part(settings):
    answer = Answer(ANSWER.question, ANSWER.log_probabilities, "/srv/models/nano")
    shown = Asked(answer, by("quick-1", settings).adapter, Explanation(""))
    assert others(shown, settings)[0] == ("nano alone (no adapter)", BASE_ALONE)


def test_the_base_model_alone_is_compared_with_first_and_a_choice_is_kept_while_it_can_be(settings):
    shown = by("quick-1", settings)
    assert kept_or_first(shown, settings, None) == BASE_ALONE
    assert kept_or_first(shown, settings, "quick-2") == "quick-2"
    assert kept_or_first(shown, settings, "quick-1") == BASE_ALONE
    assert kept_or_first(shown, settings, "deleted-1") == BASE_ALONE


def test_without_any_adapter_there_is_nothing_to_compare_the_base_model_with(tmp_path):
    assert others(BY_BASE, Settings(runs=tmp_path)) == []
    assert kept_or_first(BY_BASE, Settings(runs=tmp_path), None) is None
