import pytest

from medqa.folders import each_text_without, without_any_folder


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("No run “x” in /srv/medqa/runs. Runs there: none.", "No run “x” in runs. Runs there: none."),
        ("The base model /srv/models/nano can't be loaded: [Errno 2] '/srv/models/nano/x.json'",
         "The base model nano can't be loaded: [Errno 2] 'x.json'"),
        ("(see ~/.cache/huggingface/hub)", "(see hub)"),
    ],
)  # fmt: skip
def test_a_path_is_told_by_its_last_part(text, told):
    assert without_any_folder(text) == told


@pytest.mark.parametrize(
    "text",
    ["Choose Qwen/Qwen3-1.7B.", "5 mg/kg/day", "https://huggingface.co/a/b", "agree / disagree", "and/or", "1/2"],
)
def test_what_is_no_path_stays(text):
    assert without_any_folder(text) == text


def test_a_known_folder_may_have_spaces_in_its_name():
    text = "The base model /srv/my models/nano is damaged."
    assert without_any_folder(text, ["/srv/my models/nano", "medqa-nano"]) == "The base model nano is damaged."


def test_every_text_of_a_record_is_told_so():
    record = {"events": [{"message": "in /srv/a/b", "step": 3, "loss": None}]}
    assert each_text_without(record) == {"events": [{"message": "in b", "step": 3, "loss": None}]}
