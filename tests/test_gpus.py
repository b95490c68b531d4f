import pytest

from medqa import gpus


@pytest.fixture(autouse=True)
def all_visible(monkeypatch):
    for name in gpus.VISIBLE:
        monkeypatch.delenv(name, raising=False)


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
    ("name", "cards", "visible"), [("HIP_VISIBLE_DEVICES", "0,3", 2), ("CUDA_VISIBLE_DEVICES", "", 0)]
)
def test_only_what_the_environment_leaves_visible_counts(machine, monkeypatch, name, cards, visible):
    monkeypatch.setenv(name, cards)
    assert gpus.count(machine(amd=4)) == visible


def test_naming_more_than_there_are_adds_none(machine, monkeypatch):
    monkeypatch.setenv("ROCR_VISIBLE_DEVICES", "0,1,2,3")
    assert gpus.count(machine(amd=2)) == 2
