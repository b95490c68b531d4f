from dataclasses import replace

import pytest

from medqa.settings import Settings
from medqa.spec import RunSpec
from medqa.ui import spec_form

DISPUTES = RunSpec(name="trial-1", dataset="disputes")


def choices(component):
    return [value for _, value in component.choices]


@pytest.fixture
def settings(tmp_path):
    return Settings(runs=tmp_path)


@pytest.fixture
def component():
    """component(field, settings): how the form asks for a field."""
    import gradio as gr

    def made(field, settings):
        with gr.Blocks():
            return spec_form.form(settings)[field]

    return made


def test_the_form_asks_what_to_do_with_disputed_rows(component, settings):
    asked = component("disputed_rows", settings)
    assert choices(asked) == ["keep", "leave out"]
    assert asked.value == "keep"
    values = [spec_form.form_value(field, replace(DISPUTES, disputed_rows="leave out")) for field in spec_form.FORM]
    assert spec_form.spec_of(tuple(values)).disputed_rows == "leave out"


def test_the_disputed_are_offered_as_a_data_set_but_not_to_visitors_of_a_public_page(component, settings):
    assert "disputes" in choices(component("dataset", settings))
    assert "disputes" not in choices(component("dataset", replace(settings, public=True)))


def test_visitors_of_a_public_page_are_not_asked_about_disputed_rows(component, settings):
    assert component("disputed_rows", settings).visible
    assert not component("disputed_rows", replace(settings, public=True)).visible
