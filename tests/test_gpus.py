import importlib.machinery

import pytest

from medqa import gpus

READ_ANEW = gpus.builds.__wrapped__


@pytest.fixture(autouse=True)
def all_visible(monkeypatch):
    for name in gpus.VISIBLE:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def built_for(monkeypatch):
    """built_for(*builds): the PyTorch of this machine; at first one for whatever cards there are."""

    def install(*builds):
        monkeypatch.setattr(gpus, "builds", lambda: builds)

    install("cuda", "hip")
    return install


@pytest.fixture
def machine(tmp_path):
    """machine(amd=…, nvidia=…): the root of one with so many cards, and a CPU."""

    def made(amd=0, nvidia=0):
        nodes = tmp_path / "sys/class/kfd/kfd/topology/nodes"
        for i in range(amd + 1 if amd else 0):
            (nodes / str(i)).mkdir(parents=True)
            (nodes / str(i) / "gpu_id").write_text(f"{i * 4711}\n")
        for i in range(nvidia):
            (tmp_path / f"proc/driver/nvidia/gpus/0000:0{i}:00.0").mkdir(parents=True)
        return tmp_path

    return made


def test_the_cpu_is_not_counted_among_the_cards_of_an_mi300x_machine(machine):
    assert gpus.count(machine(amd=8)) == 8


def test_nvidia_cards_are_counted(machine):
    assert gpus.count(machine(nvidia=2)) == 2


def test_a_machine_without_a_card_has_none(machine):
    assert gpus.count(machine()) == 0


@pytest.mark.parametrize(
    ("name", "cards", "visible"),
    [
        ("HIP_VISIBLE_DEVICES", "0,3", 2),
        ("CUDA_VISIBLE_DEVICES", "", 0),
        ("CUDA_VISIBLE_DEVICES", "-1", 0),
        ("CUDA_VISIBLE_DEVICES", "1, 0,-1,2", 2),
        ("CUDA_VISIBLE_DEVICES", "0,9,1", 1),
        ("CUDA_VISIBLE_DEVICES", "none", 0),
        ("CUDA_VISIBLE_DEVICES", "0,0", 0),
        ("ROCR_VISIBLE_DEVICES", "GPU-1f,GPU-2f", 2),
    ],
)
def test_only_what_the_environment_leaves_visible_counts(machine, monkeypatch, name, cards, visible):
    monkeypatch.setenv(name, cards)
    assert gpus.count(machine(amd=4)) == visible


def test_naming_more_than_there_are_adds_none(machine, monkeypatch):
    monkeypatch.setenv("ROCR_VISIBLE_DEVICES", "0,1,2,3")
    assert gpus.count(machine(amd=2)) == 2


def test_cards_that_the_installed_pytorch_is_not_built_for_do_not_count(machine, built_for):
    root = machine(nvidia=2)
    for builds, count in (((), 0), (("hip",), 0), (("cuda",), 2)):
        built_for(*builds)
        assert gpus.count(root) == count


@pytest.mark.parametrize(
    ("cuda", "hip", "builds"), [("None", "None", ()), ("'13.0'", "None", ("cuda",)), ("None", "'7.2.1'", ("hip",))]
)
def test_what_pytorch_is_built_for_is_read_without_loading_it(tmp_path, monkeypatch, cuda, hip, builds):
    package = tmp_path / "torch"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError")
    (package / "version.py").write_text(
        f"__version__ = '2.13.0'\ncuda: Optional[str] = {cuda}\nhip: Optional[str] = {hip}\n"
    )
    spec = importlib.machinery.PathFinder.find_spec("torch", [str(tmp_path)])
    monkeypatch.setattr(gpus.importlib.util, "find_spec", lambda name: spec)
    assert READ_ANEW() == builds
