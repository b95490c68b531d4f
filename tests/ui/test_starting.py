"""What a press of Start on the Fine-tune tab begins."""

from dataclasses import replace

import pytest

from medqa.runs import Run, RunError
from medqa.settings import Settings
from medqa.spec import RunSpec
from medqa.ui import fine_tune_tab
from medqa.ui.spec_form import FORM, form_value


@pytest.fixture
def settings(tmp_path):
    return Settings(runs=tmp_path)


@pytest.fixture
def begun(settings, monkeypatch):
    """begun(settings): what was started when a name was written into the form, and whether by a visitor."""
    seen, room = [], []
    monkeypatch.setattr(fine_tune_tab.visitors, "make_room", room.append)

    def start(spec, folder, by_visitor):
        seen.append((spec.name, by_visitor, len(room)))
        return Run(folder / spec.name)

    monkeypatch.setattr(fine_tune_tab.launch, "start", start)
    values = tuple(form_value(field, RunSpec()) for field in FORM)

    def begin(settings):
        fine_tune_tab.started(settings, None, "quick", "visit-cheap-pills.com", values)
        return seen[-1]

    return begin


@pytest.fixture
def press(settings, monkeypatch):
    """press(last, …): the page after a press of Start. There is one device, and the first run does not end."""

    def start(spec, folder, by_visitor):
        if any(folder.iterdir()):
            raise RunError("The device is busy.")
        made = Run(folder / spec.name)
        made.folder.mkdir()
        made.write_spec(spec)
        return made

    monkeypatch.setattr(fine_tune_tab.launch, "start", start)

    def press(last=None, name="", **texts):
        values = tuple(texts.get(field, form_value(field, RunSpec())) for field in FORM)
        return fine_tune_tab.started(settings, last, "quick", name, values)

    return press


@pytest.mark.parametrize("name", ["", "mine-1"], ids=["box emptied", "box not emptied yet"])
def test_the_second_click_of_a_double_click_on_start_shows_the_run_that_the_first_began(press, name):
    *first, begun = press(name="mine-1")
    *second, begun_still = press(begun, name)
    assert second == first
    assert second[1]["value"] == "mine-1"
    assert begun_still == begun


@pytest.mark.parametrize("changed", [{"name": "mine-2"}, {"batch_size": "8"}], ids=["name", "field"])
def test_a_press_of_start_for_another_run_is_no_double_click(press, changed):
    *_, begun = press(name="mine-1")
    assert "The device is busy." in press(begun, **changed)[0]


def test_who_presses_start_again_later_means_another_run(press):
    *_, begun = press()
    earlier = replace(begun, seconds=begun.seconds - fine_tune_tab.SECOND_CLICK_SECONDS)
    assert "The device is busy." in press(earlier)[0]


def test_a_run_of_a_visitor_gets_its_name_by_itself_is_marked_and_has_room_made_for_it(settings, begun):
    assert begun(settings) == ("visit-cheap-pills.com", False, 0)
    assert begun(replace(settings, public=True)) == ("quick-1", True, 1)
