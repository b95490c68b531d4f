from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")

from medqa import device as devices  # noqa: E402
from medqa.errors import UserError  # noqa: E402

pytestmark = pytest.mark.model


@pytest.fixture(autouse=True)
def chosen_anew(monkeypatch):
    """choose() remembers its answer; these tests change the machine under it."""
    devices.choose.cache_clear()
    monkeypatch.delenv("HSA_OVERRIDE_GFX_VERSION", raising=False)
    yield
    devices.choose.cache_clear()


@pytest.fixture
def machine(monkeypatch):
    """machine(gpu=…, hip=…, bfloat16=…): what PyTorch will say it sees."""

    def make(gpu=None, hip=None, bfloat16=True, architecture="gfx942:sramecc+:xnack-"):
        monkeypatch.setattr(torch.version, "hip", hip)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu is not None)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: bfloat16)
        properties = SimpleNamespace(name=gpu, gcnArchName=architecture)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: properties)
        monkeypatch.setattr(devices, "_cpu_computes_bfloat16", lambda: bfloat16)

    return make


def test_an_instinct_gpu_is_rocm_and_computes_bfloat16(machine):
    machine(gpu="AMD Instinct MI300X", hip="7.2.1")
    device = devices.choose("auto")
    assert (device.kind, device.torch_name, device.dtype) == ("rocm", "cuda", torch.bfloat16)
    assert device.badge == device.badge_of(1) == "ROCm · AMD Instinct MI300X (gfx942) · bfloat16"
    assert device.badge_of(8) == "8 × ROCm · AMD Instinct MI300X (gfx942) · bfloat16"
    assert "natively" in device.reason


def test_an_nvidia_gpu_is_cuda(machine):
    machine(gpu="NVIDIA H200")
    assert devices.choose("gpu").badge == "CUDA · NVIDIA H200 · bfloat16"


def test_a_gpu_without_native_bfloat16_computes_float32_and_says_why(machine):
    machine(gpu="Tesla T4", bfloat16=False)
    device = devices.choose("auto")
    assert device.dtype == torch.float32
    assert "no native bfloat16" in device.reason


@pytest.mark.parametrize(("native", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_without_a_gpu_the_cpu_computes_in_what_it_multiplies_natively(machine, native, dtype):
    machine(bfloat16=native)
    device = devices.choose("auto")
    assert (device.kind, device.torch_name, device.dtype) == ("cpu", "cpu", dtype)
    assert device.reason.startswith("no ROCm or CUDA device found")
    assert device.badge.startswith("CPU · ")


def test_the_cpu_can_be_asked_for_beside_a_gpu(machine):
    machine(gpu="NVIDIA H200")
    device = devices.choose("cpu")
    assert device.kind == "cpu"
    assert device.reason.startswith("MEDQA_DEVICE=cpu")


def test_a_gpu_asked_for_and_not_there_is_an_error(machine):
    machine()
    with pytest.raises(UserError, match="PyTorch sees none"):
        devices.choose("gpu")


def test_an_unknown_device_is_told_with_those_there_are():
    with pytest.raises(UserError, match="MEDQA_DEVICE is 'tpu'; it should be auto, cpu or gpu"):
        devices.choose("tpu")


def test_memory_on_the_cpu_is_this_processs_own(cpu):
    memory = devices.memory(cpu)
    assert 2**20 < memory.used < memory.total


def test_memory_on_a_gpu_is_the_whole_cards(machine, monkeypatch):
    machine(gpu="NVIDIA H200")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (30, 100))
    assert devices.memory(devices.choose("gpu")) == devices.Memory(used=70, total=100)


def test_free_memory_is_shared_by_the_processes_on_a_cpu_and_each_gpus_own(machine, monkeypatch, cpu):
    monkeypatch.setattr(devices.psutil, "virtual_memory", lambda: SimpleNamespace(available=100))
    assert (devices.free_memory(cpu), devices.free_memory(cpu, 4)) == (100, 25)
    machine(gpu="NVIDIA H200")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (30, 100))
    assert devices.free_memory(devices.choose("gpu"), 4) == 30


def test_nothing_is_warned_of_on_a_plain_machine(machine):
    machine()
    assert devices.warnings() == []


def test_a_spoofed_architecture_is_warned_of_with_its_value(machine, monkeypatch):
    machine()
    monkeypatch.setenv("HSA_OVERRIDE_GFX_VERSION", "9.4.2")
    [warning] = devices.warnings()
    assert "HSA_OVERRIDE_GFX_VERSION is set to '9.4.2'" in warning
    assert "unset it" in warning


def test_a_rocm_build_without_a_gpu_is_warned_of(machine):
    machine(hip="7.2.1")
    [warning] = devices.warnings()
    assert "ROCm build and sees no GPU" in warning
    assert "/dev/kfd" in warning
