from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from medqa.errors import UserError
from medqa.settings import Settings, from_environment


def test_an_empty_environment_gives_the_defaults():
    assert from_environment({}) == Settings()


def test_the_page_is_neither_shared_nor_public_nor_on_the_network_unless_asked():
    settings = from_environment({})
    assert (settings.share, settings.public, settings.host) == (False, False, "127.0.0.1")


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("MEDQA_PORT", "8080", "port", 8080),
        ("MEDQA_PORT", " 8080 ", "port", 8080),
        ("MEDQA_BASE_MODEL", "Qwen/Qwen3-1.7B", "base_model", "Qwen/Qwen3-1.7B"),
        ("MEDQA_DEVICE", "cpu", "device", "cpu"),
        ("MEDQA_SHARE", "1", "share", True),
        ("MEDQA_SHARE", "Yes", "share", True),
        ("MEDQA_PUBLIC", "true", "public", True),
        ("MEDQA_PUBLIC", "0", "public", False),
        ("MEDQA_DISPUTES", "0", "disputes", False),
        ("MEDQA_STANDBY", "0", "standby", False),
        ("MEDQA_RUNS", "/data/runs", "runs", Path("/data/runs")),
    ],
)
def test_a_variable_sets_its_field_in_the_fields_type(variable, text, field, value):
    chosen = getattr(from_environment({variable: text}), field)
    assert chosen == value
    assert isinstance(chosen, type(value))


@pytest.mark.parametrize("field", [f.name for f in fields(Settings)])
def test_an_empty_variable_counts_as_unset(field):
    assert from_environment({f"MEDQA_{field.upper()}": " "}) == Settings()


def test_a_relative_folder_is_taken_from_the_current_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert from_environment({"MEDQA_RUNS": "mine"}).runs == tmp_path / "mine"


def test_a_folder_may_start_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert from_environment({"MEDQA_RUNS": "~/runs"}).runs == tmp_path / "runs"


@pytest.mark.parametrize(
    ("variable", "text", "wanted"),
    [
        ("MEDQA_PORT", "http", "a whole number"),
        ("MEDQA_PORT", "-1", "a whole number"),
        ("MEDQA_PORT", "80.5", "a whole number"),
        ("MEDQA_PORT", "²", "a whole number"),
        ("MEDQA_SHARE", "maybe", "1 or 0"),
        ("MEDQA_MAX_QUESTION_TOKENS", "many", "a whole number"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_with_the_variable_its_value_and_what_is_wanted(variable, text, wanted):
    with pytest.raises(UserError, match=wanted) as refused:
        from_environment({variable: text})
    assert f"{variable} is '{text}'" in str(refused.value)


def test_a_space_is_public_and_reachable_from_its_proxy():
    settings = from_environment({"SPACE_ID": "someone/medqa"})
    assert (settings.host, settings.public) == ("0.0.0.0", True)


def test_a_space_can_still_choose_for_itself():
    settings = from_environment({"SPACE_ID": "someone/medqa", "MEDQA_HOST": "127.0.0.1", "MEDQA_PUBLIC": "0"})
    assert (settings.host, settings.public) == ("127.0.0.1", False)


@pytest.mark.parametrize(
    "environment", [{"MEDQA_SHARE": "1"}, {"MEDQA_HOST": "0.0.0.0"}, {"MEDQA_HOST": "::"}, {"MEDQA_HOST": "medqa.org"}]
)
def test_a_page_that_others_can_reach_is_public_and_keeps_no_marks_unless_the_host_says_otherwise(environment):
    settings = from_environment(environment)
    assert (settings.public, settings.disputes) == (True, False)
    own = from_environment(environment | {"MEDQA_PUBLIC": "0"})
    assert (own.public, own.disputes) == (False, True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.1.1", "::1", "localhost"])
def test_a_page_that_only_this_machine_can_reach_is_not_public(host):
    assert not from_environment({"MEDQA_HOST": host}).public


def test_marks_on_answers_are_kept_on_a_public_page_only_when_the_host_says_so():
    assert from_environment({}).disputes
    assert not from_environment({"MEDQA_PUBLIC": "1"}).disputes
    assert not from_environment({"SPACE_ID": "someone/medqa"}).disputes
    assert from_environment({"MEDQA_PUBLIC": "1", "MEDQA_DISPUTES": "1"}).disputes


def test_settings_do_not_change_once_made():
    with pytest.raises(FrozenInstanceError):
        Settings().port = 1
