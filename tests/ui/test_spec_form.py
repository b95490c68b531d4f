from dataclasses import replace

import pytest

from medqa import offered
from medqa.settings import Settings
from medqa.spec import PRESETS, SpecError
from medqa.ui import spec_form


@pytest.fixture
def machine_with(monkeypatch):
    return lambda cards: monkeypatch.setattr(offered.gpus, "count", lambda: cards)


@pytest.fixture
def public(tmp_path, machine_with):
    machine_with(0)
    return Settings(runs=tmp_path / "runs", public=True)


def boxes(settings):
    import gradio as gr

    with gr.Blocks():
        return spec_form.form(settings)


def values(**texts):
    spec = PRESETS["quick"].spec
    return tuple(texts.get(field, spec_form.form_value(field, spec)) for field in spec_form.FORM)


@pytest.mark.parametrize(
    ("cards", "device", "shown"), [(0, "auto", False), (1, "auto", False), (8, "auto", True), (8, "cpu", False)]
)
def test_devices_and_how_they_hold_the_base_are_asked_only_where_there_are_several_gpus(
    machine_with, cards, device, shown
):
    machine_with(cards)
    form = boxes(Settings(device=device))
    assert (form["devices"].visible, form["devices"].value) == (shown, "1")
    assert (form["base_weights"].visible, form["base_weights"].value) == (shown, "auto")


def test_visitors_are_offered_what_they_are_allowed_and_told_the_limits(public):
    of_host = replace(public, base_model="/srv/models/nano")
    form = boxes(of_host)
    assert form["base_model"].choices == [("nano", "nano"), ("medqa-nano", "medqa-nano")]
    assert spec_form.allowed_spec(values(base_model="nano"), of_host).base_model == "/srv/models/nano"
    assert form["batch_size"].info.endswith(" At most 64 here.")
    assert form["rows"].info.endswith(" At most 5,000 here.")
    assert "At most" not in boxes(replace(public, public=False))["batch_size"].info
    assert "local folder" in boxes(replace(public, public=False))["base_model"].info
    assert "local folder" not in boxes(public)["base_model"].info


def test_the_form_gives_no_spec_beyond_what_is_offered(public):
    assert spec_form.allowed_spec(values(), public).batch_size == 16
    with pytest.raises(
        SpecError, match=r"Effective batch is 1,024; on this public page it can be at most 64 questions\."
    ):
        spec_form.allowed_spec(values(batch_size="1024"), public)
