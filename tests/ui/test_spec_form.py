from dataclasses import replace

import pytest

from medqa import datasets, offered
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


# Uploads


@pytest.fixture
def uploaded(tmp_path, public):
    """uploaded(numbers): what the page shows once a file that asks such cases is there, and the data set chosen."""

    def upload(*numbers, key="B", base=""):
        path = tmp_path / "ward round.csv"
        path.write_text("question,A,B,C,answer\n" + "".join(f"Case {n}?,x,y,z,{key}\n" for n in numbers))
        return spec_form.keep_upload(str(path), base, public)

    return upload


def cases(held_out, count):
    return [n for n in range(999) if datasets._is_held_out(f"Case {n}?") == held_out][:count]


def test_an_upload_is_chosen_under_its_own_name_and_its_folder_is_never_sent(uploaded, public):
    choices, said = uploaded(*cases(False, 5), *cases(True, 2))
    assert "ward round.csv: 5 questions to train on, 2 held out, none left out." in said
    assert choices["choices"][-1] == ("ward round.csv", choices["value"])
    assert str(public.runs) not in str(choices)
    spec = spec_form.allowed_spec(values(dataset=choices["value"]), public)
    assert len(datasets.load(spec.dataset).questions) == 5


def test_an_upload_of_which_nothing_is_held_out_is_taken_and_the_page_says_what_that_means(uploaded):
    choices, said = uploaded(*cases(False, 3))
    assert choices["value"].endswith(".csv")
    assert "ward round.csv: 3 questions to train on, 0 held out" in said
    assert "how often it is right is not measured" in said
    assert "not measured" not in uploaded(*cases(False, 5), *cases(True, 2))[1]


def test_an_upload_that_cannot_be_used_leaves_the_data_set_as_it_is(uploaded):
    choices, said = uploaded(*cases(True, 2))
    assert "value" not in choices and "choices" not in choices
    assert "ward round.csv has no usable question in train" in said


def test_an_upload_is_read_by_what_the_form_says_of_its_key_numbers(uploaded):
    assert "cop_base=0" in uploaded(*cases(False, 2), key="1")[1]
    assert "2 questions to train on" in uploaded(*cases(False, 2), key="1", base="0")[1]
    assert "Key numbers start at is “first”; 0, 1 or nothing is wanted." in uploaded(1, base="first")[1]
