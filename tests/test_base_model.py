import shutil

import pytest

from medqa.base_model import ModelError, locate, revision
from medqa.settings import EMBEDDED


def test_the_embedded_model_is_found_without_a_network(no_hub):
    assert (locate(EMBEDDED) / "config.json").exists()


@pytest.mark.parametrize("name", ["no-such-model", "/no/such/folder", "a/b/c", "../up"])
def test_a_name_that_is_neither_folder_nor_hub_id_is_refused_by_name(no_hub, name):
    with pytest.raises(ModelError) as refused:
        locate(name)
    assert f"“{name}”" in str(refused.value)
    assert "neither a folder nor a Hub id" in str(refused.value)
    assert "Give the path of a local folder" in str(refused.value)
    assert f"choose {EMBEDDED}" in str(refused.value)


@pytest.mark.parametrize("there", [[], ["config.json"], ["model.safetensors"], ["config.json", "pytorch_model.bin"]])
def test_a_folder_without_a_model_is_refused_with_what_is_wanted(tmp_path, there):
    for name in there:
        (tmp_path / name).write_text("{}")
    with pytest.raises(ModelError, match=r"holds no model: config\.json and \.safetensors files are wanted") as refused:
        locate(str(tmp_path))
    assert f"choose {EMBEDDED}" in str(refused.value)


def test_the_revision_changes_with_the_weights_alone(tmp_path):
    embedded = locate(EMBEDDED)
    folder = shutil.copytree(embedded, tmp_path / "copy")
    (folder / "README.md").write_text("another card")
    assert revision(str(folder)) == revision(EMBEDDED)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes() + b" ")
    assert revision(str(folder)) != revision(EMBEDDED)
