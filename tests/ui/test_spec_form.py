import pytest

from medqa.settings import Settings
from medqa.spec import RunSpec, SpecError
from medqa.ui import spec_form


@pytest.fixture
def machine_with(monkeypatch):
    return lambda cards: monkeypatch.setattr(spec_form.gpus, "count", lambda: cards)


def boxes(settings):
    import gradio as gr

    with gr.Blocks():
        form = spec_form.form(settings)
    return form["devices"], form["base_weights"]


@pytest.mark.parametrize(
    ("cards", "device", "shown"), [(0, "auto", False), (1, "auto", False), (8, "auto", True), (8, "cpu", False)]
)
def test_devices_and_how_they_hold_the_base_are_asked_only_where_there_are_several_gpus(
    machine_with, cards, device, shown
):
    machine_with(cards)
    devices, base_weights = boxes(Settings(device=device))
    assert (devices.visible, devices.value) == (shown, "1")
    assert (base_weights.visible, base_weights.value) == (shown, "auto")


def test_more_devices_than_there_are_is_refused_with_how_many_there_can_be(machine_with):
    machine_with(4)
    spec_form.check_allowed(RunSpec(devices=4), Settings())
    with pytest.raises(SpecError, match="8 devices are asked for; there can be 4 here"):
        spec_form.check_allowed(RunSpec(devices=8), Settings())
