import gradio as gr
import pytest

from medqa import datasets, uploads
from medqa.settings import Settings
from medqa.ui import spec_form, upload_box


@pytest.fixture
def public(tmp_path):
    return Settings(runs=tmp_path / "runs", public=True)


@pytest.fixture
def uploaded(tmp_path, public):
    """uploaded(numbers): what the page shows once a file that asks such cases is there, and the data set chosen."""

    def upload(*numbers, key="B", base=""):
        path = tmp_path / "ward round.csv"
        path.write_text("question,A,B,C,answer\n" + "".join(f"Case {n}?,x,y,z,{key}\n" for n in numbers))
        return upload_box.keep_upload(str(path), base, public)

    return upload


def cases(held_out, count):
    return [n for n in range(999) if datasets._is_held_out(f"Case {n}?") == held_out][:count]


def test_an_upload_is_chosen_under_its_own_name_and_its_folder_is_never_sent(uploaded, public):
    choices, said, _ = uploaded(*cases(False, 5), *cases(True, 2))
    assert "ward round.csv: 5 questions to train on, 2 held out, none left out." in said
    assert choices["choices"][-1] == ("ward round.csv", choices["value"])
    assert str(public.runs) not in str(choices)
    assert len(datasets.load(uploads.located(choices["value"], public)).questions) == 5


def test_an_upload_of_which_nothing_is_held_out_is_taken_and_the_page_says_what_that_means(uploaded):
    choices, said, _ = uploaded(*cases(False, 3))
    assert choices["value"].endswith(".csv")
    assert "ward round.csv: 3 questions to train on, 0 held out" in said
    assert "how often it is right is not measured" in said
    assert "not measured" not in uploaded(*cases(False, 5), *cases(True, 2))[1]


def test_an_upload_that_cannot_be_used_leaves_the_data_set_as_it_is(uploaded):
    choices, said, _ = uploaded(*cases(True, 2))
    assert "value" not in choices and "choices" not in choices
    assert "ward round.csv has no usable question in train" in said


def test_an_upload_is_read_by_what_the_form_says_of_its_key_numbers(uploaded):
    assert "cop_base=0" in uploaded(*cases(False, 2), key="1")[1]
    assert "2 questions to train on" in uploaded(*cases(False, 2), key="1", base="0")[1]
    assert "Key numbers start at is “first”; 0, 1 or nothing is wanted." in uploaded(1, base="first")[1]


# What the form does afterwards


@pytest.fixture
def wired(public):
    """wired(component, event): the handler of that event."""
    with gr.Blocks() as page:
        preset = gr.Radio(["quick"], value="quick")
        inputs = spec_form.form(public)
        upload_box.upload_box(preset, inputs, public)
    ids = {block.elem_id: block._id for block in page.blocks.values() if getattr(block, "elem_id", None)}

    def handler(component, event):
        return next(made.fn for made in page.fns.values() if (ids[component], event) in made.targets)

    return handler


def test_a_file_taken_away_is_no_data_set_any_more(wired, uploaded, public):
    choices, _, kept = uploaded(*cases(False, 5))
    dataset, said, kept_now = wired("upload", "clear")("quick", choices["value"], kept)
    assert dataset["value"] == "handbook"
    assert kept not in str(dataset["choices"])
    assert (said, kept_now) == ("", None)


def test_a_file_taken_away_leaves_another_data_set_chosen(wired, uploaded):
    _, _, kept = uploaded(*cases(False, 5))
    dataset, *_ = wired("upload", "clear")("quick", "medmcqa", kept)
    assert "value" not in dataset


def test_what_is_said_of_a_file_goes_when_another_data_set_is_chosen(wired, uploaded):
    choices, _, kept = uploaded(*cases(False, 5))
    chosen = wired("field-dataset", "change")
    assert chosen("handbook", kept) == ""
    assert chosen(choices["value"], kept) != ""


def test_a_file_is_read_again_when_its_key_numbers_count_differently(wired, uploaded, tmp_path):
    _, said, _ = uploaded(*cases(False, 2), key="1")
    assert "cop_base=0" in said
    read_again = wired("field-cop_base", "change")
    path = str(tmp_path / "ward round.csv")
    dataset, now, kept = read_again(path, "0", "handbook", None, said)
    assert "2 questions to train on" in now
    assert dataset["value"] == kept
    unread = [(None, "0", "handbook", None, said), (path, "0", "handbook", None, ""), (path, "", "medmcqa", kept, now)]
    for values in unread:
        assert all(not isinstance(part, str) and "choices" not in part for part in read_again(*values))
