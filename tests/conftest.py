"""What tests share: a runs folder of their own, and a tiny random Qwen3 with the embedded model's tokenizer."""

import fcntl
import json
import os
import re
import shutil
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from medqa import launch, runs
from medqa.question import Question
from medqa.settings import ASSETS
from medqa.spec import RunSpec

# As the page does: threads that spin while they wait take the cores from all else that runs. Read when torch loads,
# here and in the servers and trainers that tests start.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
SEVERAL = "PYTEST_XDIST_WORKER" in os.environ
if SEVERAL:  # the cores are taken: a second thread would only be waited for
    os.environ.setdefault("OMP_NUM_THREADS", "1")

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
MARKED_AS_A_WHOLE = re.compile(r"^pytestmark = (.+)$", re.MULTILINE)
MARK = re.compile(r"pytest\.mark\.(\w+)")
NOTHING_MARKED = re.compile(r"not \w+( and not \w+)*")
DRUGS = ("warfarin", "heparin", "aspirin", "digoxin", "morphine", "atropine")


def pytest_ignore_collect(collection_path, config):
    """With -m "not model", files of model tests alone are not even imported: torch and transformers take seconds."""
    if collection_path.suffix != ".py":
        return None
    wanted = config.getoption("markexpr")
    left_out = set(re.findall(r"not (\w+)", wanted)) if NOTHING_MARKED.fullmatch(wanted) else set()
    marked = MARKED_AS_A_WHOLE.search(collection_path.read_text(encoding="utf-8")) if left_out else None
    return True if marked and left_out & set(MARK.findall(marked[1])) else None


# Their files take the longest. Begun last, one of several workers would still be at them when the others have ended.
LONGEST_FIRST = ("tests/train/", "tests/browser/", "")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: next(i for i, folder in enumerate(LONGEST_FIRST) if item.nodeid.startswith(folder)))


# Of several workers, one can have the machine to itself: each test is in the room, and who waits to have it alone keeps
# the door shut, so that it empties. Both are files to lock, which may as well be two that are there.
DOOR, ROOM = Path(__file__), Path(__file__).parents[1] / ".pytest.ini"
room_of_test = pytest.StashKey()


@contextmanager
def inside(how):
    with DOOR.open() as door, ROOM.open() as room:
        if SEVERAL:
            fcntl.flock(door, fcntl.LOCK_EX)
            fcntl.flock(room, how)
            fcntl.flock(door, fcntl.LOCK_UN)
        yield room


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    with inside(fcntl.LOCK_SH) as item.stash[room_of_test]:
        return (yield)


@pytest.fixture
def undisturbed(request):
    """undisturbed(): a context in which no other worker runs a test, for what is measured in seconds."""

    @contextmanager
    def alone():
        room = request.node.stash[room_of_test]
        fcntl.flock(room, fcntl.LOCK_UN)
        with inside(fcntl.LOCK_EX):
            yield
        fcntl.flock(room, fcntl.LOCK_SH)

    return alone


@pytest.fixture(scope="session", autouse=True)
def users_runs_are_left_alone(tmp_path_factory):
    """Whatever reads the settings, in this process or a child, gets a temporary runs folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDQA_RUNS", str(tmp_path_factory.mktemp("runs")))
        yield


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory) -> str:
    """The folder of a random Qwen3 of 0.6 M parameters in float32; its logits are spread widely, so that no two tie."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    folder = tmp_path_factory.mktemp("tiny-base")
    for name in TOKENIZER_FILES:
        shutil.copy(ASSETS / "medqa-nano" / name, folder)
    config = Qwen3Config(
        vocab_size=8192,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        initializer_range=0.2,
        eos_token_id=2,
        pad_token_id=0,
    )
    torch.set_num_threads(1)  # threads cost such a small model more than they give, above all on a busy machine
    torch.manual_seed(0)
    Qwen3ForCausalLM(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def cpu():
    """The CPU in float32, whatever this machine has."""
    import torch

    from medqa.device import Device

    return Device("cpu", "cpu", "2 cores", torch.float32, "for tests")


@pytest.fixture(scope="session")
def tokenizer(tiny_base):
    from medqa.model import load_tokenizer

    return load_tokenizer(tiny_base)


@pytest.fixture
def loaded(tiny_base, cpu, tokenizer):
    """The tiny base with nothing attached yet."""
    from medqa.model import Loaded, load_base

    return Loaded(tiny_base, cpu, load_base(tiny_base, cpu), tokenizer, Path(tiny_base))


@pytest.fixture(scope="session")
def make_adapter(tiny_base, cpu):
    """make_adapter(folder, seed): a LoRA adapter of random weights that clearly changes the tiny base's answers."""

    def make(folder, seed=0, targets=("q_proj", "v_proj")):
        import torch
        from peft import LoraConfig, get_peft_model

        from medqa.model import load_base

        torch.manual_seed(seed)
        config = LoraConfig(
            task_type="CAUSAL_LM", r=4, lora_alpha=16, target_modules=list(targets), init_lora_weights=False
        )
        get_peft_model(load_base(tiny_base, cpu), config).save_pretrained(folder, save_embedding_layers=False)
        return folder

    return make


@pytest.fixture(scope="session")
def questions() -> list[Question]:
    """60 short questions of 2 to 6 options; every second one has an explanation."""
    return [
        Question(
            stem=f"Case {i}: a patient of {20 + i} years took {DRUGS[i % 6]} for {i} days. Which drug was it?",
            options=DRUGS[: max(i % 6 + 1, 2 + i % 5)],
            answer=i % 6,
            explanation=f"It was {DRUGS[i % 6]}, as the case says, on day {i}." if i % 2 else None,
            subject="Pharmacology" if i % 3 else "Medicine",
            source=f"cases:{i}",
        )
        for i in range(60)
    ]


@pytest.fixture(scope="session")
def questions_file(questions, tmp_path_factory) -> str:
    """The questions as a JSONL file: a fifth of it is its validation split."""
    path = tmp_path_factory.mktemp("cases") / "cases.jsonl"
    rows = (
        {"question": q.stem, "options": q.options, "answer": q.key, "explanation": q.explanation, "subject": q.subject}
        for q in questions
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def no_hub(monkeypatch, tmp_path):
    """The Hub can't be reached and its cache is empty, on any machine."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # the discard port: nobody listens there
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))


@pytest.fixture(scope="session")
def tiny_spec(tiny_base, questions_file) -> RunSpec:
    """About a hundred steps of a few milliseconds each, in float32, so that two runs can be compared."""
    return RunSpec(
        name="tiny-1",
        base_model=tiny_base,
        dataset=questions_file,
        epochs=8,
        batch_size=4,
        learning_rate=1e-2,
        lora_rank=4,
        max_length=128,
        precision="float32",
        evaluation_questions=5,
        evaluations=2,
    )


@pytest.fixture(scope="session")
def wait_for():
    """wait_for(run, condition): the run's progress once the condition holds of it; fails with the process's log."""

    def wait(run, condition, seconds=90):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            seen = runs.progress_of(run)
            if condition(seen):
                return seen
            if seen.status == "failed":
                break
            time.sleep(0.02)
        pytest.fail(f"{seen.status} at step {seen.step}: {seen.reason}\n{(run.folder / 'process.log').read_text()}")

    return wait


@pytest.fixture(scope="session")
def on_one_cpu_thread():
    """Training processes started meanwhile keep off the GPU and leave the other cores alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDQA_DEVICE", "cpu")
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="session")
def finished_run(tiny_spec, tmp_path_factory, wait_for, on_one_cpu_thread) -> runs.Run:
    """A run that a training process of its own made from start to end. Shared: copy it before changing it."""
    run = launch.start(tiny_spec, tmp_path_factory.mktemp("finished"))
    wait_for(run, lambda seen: seen.status == "done" and not run.alive)
    return run
