import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from medqa import model
from medqa.errors import UserError
from medqa.settings import Settings
from medqa.ui import answering, page
from medqa.ui.answering import Engines

pytestmark = pytest.mark.model


def cores_in(engine):
    with engine.loaded.using(None):
        return torch.get_num_threads()


@pytest.fixture
def slow_other(monkeypatch, loaded):
    """Whatever is asked for is the tiny base; the one called "other" loads until the event is set."""
    let_go, loading = threading.Event(), threading.Event()

    def load(name, device):
        if name == "other":
            loading.set()
            assert let_go.wait(20)
        return loaded

    monkeypatch.setattr(model, "load", load)
    yield loading
    let_go.set()


def test_who_asks_for_a_model_that_is_ready_does_not_wait_for_another_ones_download(slow_other):
    engines = Engines(Settings(device="cpu"))
    ready = engines.of("medqa-nano")
    waiting = threading.Thread(target=engines.of, args=("other",), daemon=True)
    waiting.start()
    assert slow_other.wait(20)
    found = []
    asking = threading.Thread(target=lambda: found.append(engines.of("medqa-nano")), daemon=True)
    asking.start()
    asking.join(10)
    assert found == [ready]


def test_a_small_model_computes_on_one_core_and_a_larger_one_beside_it_on_all(monkeypatch, loaded, tiny_base, cpu):
    other = replace(loaded)
    monkeypatch.setattr(model, "load", lambda name, device: loaded if name == "small" else other)
    usual = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        engines = Engines(Settings(device="cpu"))
        small = engines.of("small")
        monkeypatch.setattr(answering, "ON_ONE_CORE", 0)
        large = engines.of("large")
        taken = []
        for engine in (small, large, small):
            with ThreadPoolExecutor(1) as another:
                taken.append((cores_in(engine), another.submit(cores_in, engine).result()))
        assert taken == [(1, 1), (3, 3), (1, 1)]
    finally:
        torch.set_num_threads(usual)


def test_two_base_models_stay_ready_and_the_first_one_goes(monkeypatch, loaded):
    monkeypatch.setattr(model, "load", lambda name, device: loaded)
    engines = Engines(Settings(device="cpu"))
    for name in ("first", "second", "third"):
        engines.of(name)
    assert [engines.is_ready(name) for name in ("first", "second", "third")] == [False, True, True]


def test_a_device_that_is_none_is_told_in_the_badge_and_by_every_answer(capsys):
    engines = Engines(Settings(device="tpu"))
    engines._try(lambda: None)
    head, _ = page.badge(engines.settings, engines)
    assert "MEDQA_DEVICE is" in head
    assert "it should be auto, cpu or gpu" in head
    assert "could not be loaded ahead" in capsys.readouterr().out
    with pytest.raises(UserError, match="MEDQA_DEVICE is 'tpu'"):
        engines.of("medqa-nano")


def test_a_base_that_does_not_fit_into_memory_is_told_by_the_badge_and_what_comes_next_comes(monkeypatch, loaded):
    def full(name, device):
        with loaded.using(None):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(model, "load", full)
    engines, came = Engines(Settings(device="cpu")), []
    engines._try(lambda: came.append(True))
    assert came == [True]
    assert "do not fit into the device's memory" in engines.failure


def test_what_comes_next_comes_also_after_a_fault_nobody_thought_of(monkeypatch):
    def broken(name, device):
        raise KeyError("layer 3")

    monkeypatch.setattr(model, "load", broken)
    came = []
    with pytest.raises(KeyError):
        Engines(Settings(device="cpu"))._try(lambda: came.append(True))
    assert came == [True]


def test_what_comes_next_comes_also_when_the_model_could_not_be_loaded():
    came = []
    Engines(Settings(base_model="no-such-model", device="cpu"))._try(lambda: came.append(True))
    assert came == [True]


def test_the_hosts_own_base_model_stays_ready_and_room_is_made_before_another_is_loaded(monkeypatch, loaded):
    engines, ready_then = Engines(Settings(base_model="own", device="cpu")), []

    def load(name, device):
        ready_then.append([base for base in ("own", "second", "third") if engines.is_ready(base)])
        return loaded

    monkeypatch.setattr(model, "load", load)
    for name in ("own", "second", "third"):
        engines.of(name)
    assert ready_then == [[], ["own"], ["own"]]
    assert [engines.is_ready(name) for name in ("own", "second", "third")] == [True, False, True]
