import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from medqa import batch as batches
from medqa import engine as engines
from medqa import graphed_batch, reader, writing
from medqa import model as models
from medqa.base_model import ModelError
from medqa.prompt import EXPLANATION_START, option_tokens
from medqa.question import Question
from medqa.read_prompts import Kept
from medqa.settings import ROOT

pytestmark = pytest.mark.model

STEMS = (
    "Which one is a drug?",
    "A man of 70 years has a tremor at rest and walks with small steps. Why?",
    "Which artery?",
)
CASES = [Question(stem, ("heparin", "marrow", "a lesion of the valve")) for stem in STEMS]
TOKENS = 20


@pytest.fixture(params=["copies", "shared network", "seats"])
def engine(request, loaded, monkeypatch):
    """All ways of writing: with a network of its own for each adapter, with the one that also scores, and as on a GPU,
    but that no graph is captured."""
    if request.param != "copies":
        monkeypatch.setattr(models, "COPIED_PARAMETERS", 0)
    engine = engines.Engine(loaded, max_explanation_tokens=TOKENS)
    if request.param == "seats":
        monkeypatch.setattr(graphed_batch, "SEATS", (1, 2, 16))
        monkeypatch.setattr(graphed_batch, "FEWEST_COLUMNS", 8)
        engine._writer._graphs = graphed_batch.Graphs(capture=False)
    return engine


@pytest.fixture(scope="module")
def adapters(make_adapter, tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapters")
    return [None, make_adapter(folder / "one", 1), make_adapter(folder / "two", 2, ("k_proj", "down_proj"))]


def told(engine, question, adapter=None):
    return list(engine.explain(engine.score(question, adapter), adapter))[-1].text


def wait_until(condition):
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_texts_that_join_and_leave_at_any_time_are_what_each_is_alone(engine, adapters):
    asked = [(question, adapter) for question in CASES for adapter in adapters]
    alone = [told(engine, question, adapter) for question, adapter in asked]
    assert len(set(alone)) == len(asked)
    running, ended = {}, {}
    for i, (question, adapter) in enumerate(asked):
        running[i] = engine.explain(engine.score(question, adapter), adapter)
        for one in running.values():
            next(one)
    for i, one in running.items():
        ended[i] = list(one)[-1].text
    assert list(ended.values()) == alone


def test_everybody_reads_their_first_words_before_anybody_has_all(engine, adapters):
    """All start at once; each piece is noted as it comes."""
    answers = [engine.score(CASES[i % 3], adapters[i % 2]) for i in range(8)]
    ready, came = threading.Barrier(8), []

    def read(i):
        ready.wait(10)
        for piece in engine.explain(answers[i], adapters[i % 2]):
            came.append((i, piece.ended or piece.cut))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read, range(8)))
    first_end = next(place for place, (_, ended) in enumerate(came) if ended)
    assert {i for i, _ in came[:first_end]} == set(range(8))


def test_more_texts_than_seats_wait_and_are_all_written(engine, monkeypatch):
    alone = [told(engine, question) for question in CASES]
    monkeypatch.setattr(writing, "TEXTS_AT_ONCE", 2)
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(lambda i: told(engine, CASES[i % 3]), range(6))) == alone * 2


def test_a_reader_who_goes_away_frees_the_seat(engine, monkeypatch):
    monkeypatch.setattr(writing, "TEXTS_AT_ONCE", 1)
    engine.max_explanation_tokens = 5000
    monkeypatch.setattr(engine._writer, "ends", frozenset())
    endless = engine.explain(engine.score(CASES[0]))
    next(endless)
    endless.close()
    engine.max_explanation_tokens = TOKENS
    assert told(engine, CASES[1])
    wait_until(lambda: engine._writer._groups == [])


def test_a_fault_in_one_text_ends_that_one_alone(engine, monkeypatch):
    """The network fails on every batch in which a token is read that only the second text has."""
    take, taken = writing.Text.take, []
    monkeypatch.setattr(writing.Text, "take", lambda text, token: taken.append(token) or take(text, token))
    alone, tokens = [], []
    for question in CASES:
        taken.clear()
        alone.append(told(engine, question))
        tokens.append(taken.copy())
    poison = next(token for token in tokens[1][2:-1] if token not in tokens[0] + tokens[2] + tokens[1][:2])

    reading, failed = [], []

    def noted(step):
        def stepped(batch, network, read):
            if not failed and len(read) == 1:
                wait_until(lambda: len(engine._writer._waiting) == 2)
            reading[:] = read
            try:
                return step(batch, network, read)
            finally:
                reading.clear()

        return stepped

    def faulty(work):
        """Fails when the work is done, with the keys and values already written."""

        def done(*given):
            chosen = work(*given)
            if poison in reading:
                failed.append(len(reading))
                raise RuntimeError("no memory left")
            return chosen

        return done

    for kind in (batches.Batch, graphed_batch.GraphedBatch):
        monkeypatch.setattr(kind, "step", noted(kind.step))
    monkeypatch.setattr(batches, "choose", faulty(batches.choose))
    monkeypatch.setattr(graphed_batch._Step, "__call__", faulty(graphed_batch._Step.__call__))
    answers = [engine.score(question) for question in CASES]
    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(lambda answer: list(engine.explain(answer))[-1].text, answer) for answer in answers]
    assert failed == [3, 1]
    assert (running[0].result(), running[2].result()) == (alone[0], alone[2])
    with pytest.raises(RuntimeError, match="no memory left"):
        running[1].result()
    assert told(engine, CASES[0]) == alone[0]


@pytest.mark.parametrize("engine", ["seats"], indirect=True)
@pytest.mark.parametrize(("error", "tries"), [(RuntimeError("not to be captured"), 1), (torch.OutOfMemoryError(), 3)])
def test_where_no_graph_can_be_texts_are_written_without(engine, monkeypatch, error, tries):
    alone, tried = [told(engine, question) for question in CASES], []

    def failing(*given):
        tried.append(given)
        raise error

    monkeypatch.setattr(graphed_batch, "_Step", failing)
    engine._writer._graphs = graphed_batch.Graphs(capture=False)
    with nullcontext() if tries > 1 else pytest.warns(UserWarning, match="without graphs: not to be captured"):
        assert [told(engine, question) for question in CASES] == alone
    assert len(tried) == tries


def test_an_adapter_that_vanishes_is_told_and_the_others_are_written_on(engine, adapters, make_adapter, tmp_path):
    folder = make_adapter(tmp_path / "three", 3)
    answer = engine.score(CASES[0], folder)
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(ModelError, match="three is gone"):
        list(engine.explain(answer, folder))
    assert told(engine, CASES[0], adapters[1])


def test_the_thread_ends_when_nobody_asks_and_the_next_asker_starts_it_anew(engine, monkeypatch):
    monkeypatch.setattr(writing, "IDLE_SECONDS", 0.01)
    first = told(engine, CASES[0])
    wait_until(lambda: engine._writer._thread is None)
    assert told(engine, CASES[0]) == first


def test_copies_are_stepped_on_one_core_and_all_else_computes_on_as_many_as_before(engine, monkeypatch):
    usual, taken = torch.get_num_threads(), []
    torch.set_num_threads(3)
    step = batches.Batch.step

    def counted(*arguments):
        taken.append(torch.get_num_threads())
        return step(*arguments)

    monkeypatch.setattr(batches.Batch, "step", counted)
    try:
        told(engine, CASES[0])
        with ThreadPoolExecutor(1) as new_thread:
            assert new_thread.submit(torch.get_num_threads).result() == torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(usual)
    assert set(taken) <= {1 if engine.loaded.is_copied else 3}
    assert taken or not engine.loaded.is_copied


def test_python_ends_well_while_a_text_is_being_written():
    code = """
from medqa import device, model
from medqa.engine import Engine
from medqa.question import Question

engine = Engine(model.load("medqa-nano", device.choose("cpu")), max_explanation_tokens=1000)
engine._ends = engine._writer.ends = frozenset()
next(engine.explain(engine.score(Question("Which?", ("Iron", "Zinc")))))
assert engine._writer._thread.is_alive()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, "terminate" in done.stderr) == (0, False), done.stderr


def test_a_text_longer_than_the_first_buffer_goes_on(engine, monkeypatch):
    engine.max_explanation_tokens = 40
    whole = told(engine, CASES[1])
    monkeypatch.setattr(batches, "ROOM", 3)
    assert told(engine, CASES[1]) == whole


@pytest.fixture(scope="module")
def sliding(tiny_base, cpu, tokenizer):
    """A network whose second layer looks back on fewer tokens than the prompts have."""
    import torch
    from transformers import AutoConfig, Qwen3ForCausalLM

    config = AutoConfig.from_pretrained(tiny_base)
    config.use_sliding_window, config.sliding_window = True, 16
    config.layer_types = ["full_attention", "sliding_attention"]
    torch.manual_seed(3)
    base = Qwen3ForCausalLM._from_config(config, attn_implementation="sdpa").eval()
    loaded = models.Loaded("sliding", cpu, base, tokenizer, Path(tiny_base))
    return engines.Engine(loaded, max_explanation_tokens=TOKENS)


def test_layers_with_a_sliding_window_score_as_without_a_cache(sliding, tokenizer):
    import torch

    together = dict(sliding.score_many(CASES))
    for i, question in enumerate(CASES):
        prefix, remainders = option_tokens(question, tokenizer)
        plain = []
        for ids in remainders:
            with torch.inference_mode():
                logits = sliding.loaded.base(input_ids=torch.tensor([prefix + ids])).logits[0]
            steps = torch.log_softmax(logits, -1)[len(prefix) - 1 : -1]
            plain.append(float(steps.gather(1, torch.tensor(ids)[:, None]).sum()))
        assert together[i] == pytest.approx(plain, abs=1e-4)
        assert sliding.score(question).log_probabilities == pytest.approx(plain, abs=1e-4)


def test_layers_with_a_sliding_window_write_what_generate_writes(sliding, tokenizer):
    """Two texts of different lengths share a batch."""
    import torch

    answers = [sliding.score(question) for question in CASES[:2]]
    running = [sliding.explain(answer) for answer in answers]
    for one in running:
        next(one)
    for answer, one in zip(answers, running, strict=True):
        prefix, remainders = option_tokens(answer.question, tokenizer)
        start = tokenizer(EXPLANATION_START, add_special_tokens=False)["input_ids"]
        ids = torch.tensor([prefix + remainders[answer.index] + start])
        out = sliding.loaded.base.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=TOKENS
        )[0, ids.shape[1] :]
        expected = tokenizer.decode(out, skip_special_tokens=True).strip().removesuffix("\ufffd")
        assert list(one)[-1].text == expected != ""


def test_the_prompt_is_read_once_for_score_explanation_and_another_option(engine, adapters, monkeypatch):
    read, times = reader.read_prompts, []
    monkeypatch.setattr(reader, "read_prompts", lambda *given: times.append(given) or read(*given))
    answer = engine.score(CASES[0], adapters[1])
    shared = [list(engine.explain(answer, adapters[1], option))[-1] for option in (None, 0, 1, 2)]
    assert len(times) == 1
    for option, text in zip((None, 0, 1, 2), shared, strict=True):
        fresh = engines.Engine(engine.loaded, max_explanation_tokens=TOKENS)
        assert list(fresh.explain(answer, adapters[1], option))[-1] == text
    assert len(times) == 5
    engine.score(CASES[0], adapters[2])
    assert len(times) == 6


def asked_while_another_reads(engine, monkeypatch, asked):
    """How many prompts each pass read, and what everybody got: all the others ask while the first one is being read."""
    read, passes = reader.read_prompts, []

    def slow(model, prompts):
        if not passes:
            wait_until(lambda: len(engine._reader._waiting) == len(asked))
        passes.append(len(prompts))
        return read(model, prompts)

    monkeypatch.setattr(reader, "read_prompts", slow)
    with ThreadPoolExecutor(len(asked)) as pool:
        first = pool.submit(engine.score, *asked[0])
        wait_until(lambda: engine._reader._waiting)
        got = [first, *(pool.submit(engine.score, *one) for one in asked[1:])]
        return passes, [one.result() for one in got]


@pytest.mark.parametrize(
    ("tokens_together", "passes"), [(0, [1, 1, 1, 1, 1, 1]), (10_000, [1, 2, 3]), (70, [1, 1, 1, 1, 1, 1])]
)
def test_prompts_that_wait_for_the_same_weights_are_read_in_one_pass(
    loaded, adapters, monkeypatch, tokens_together, passes
):
    asked = [(question, adapter) for adapter in adapters[:2] for question in CASES]
    engine = engines.Engine(loaded, max_explanation_tokens=TOKENS)
    alone = [engine.score(*one) for one in asked]
    written = [list(engine.explain(answer, one[1]))[-1] for answer, one in zip(alone, asked, strict=True)]
    engine = engines.Engine(loaded, max_explanation_tokens=TOKENS)
    engine._reader.tokens_together = tokens_together
    seen, together = asked_while_another_reads(engine, monkeypatch, asked)
    assert sorted(seen) == sorted(passes)
    for ours, theirs in zip(together, alone, strict=True):
        assert ours.log_probabilities == pytest.approx(theirs.log_probabilities, abs=2e-3)
    assert [list(engine.explain(answer, one[1]))[-1] for answer, one in zip(together, asked, strict=True)] == written


def test_a_pass_over_several_prompts_that_fails_is_made_again_for_each(loaded, monkeypatch):
    alone = [engines.Engine(loaded).score(question) for question in CASES]
    engine = engines.Engine(loaded)
    engine._reader.tokens_together = 10_000
    read = reader.read_prompts

    def failing(model, prompts):
        if len(prompts) > 1:
            raise RuntimeError("no memory left")
        return read(model, prompts)

    monkeypatch.setattr(reader, "read_prompts", failing)
    with ThreadPoolExecutor(3) as pool:
        with engine.loaded.using(None):
            running = [pool.submit(engine.score, question) for question in CASES]
            wait_until(lambda: len(engine._reader._waiting) == 3)
        assert [one.result() for one in running] == alone
    assert engine._reader._waiting == []


def test_what_was_read_is_kept_within_its_number_and_bytes():
    class Read:
        def __init__(self, size):
            self.bytes = size

    kept = Kept(most=3, most_bytes=100)
    for key in "abc":
        kept.put(key, Read(30))
    assert kept.get("a")
    kept.put("d", Read(30))
    assert [bool(kept.get(key)) for key in "abcd"] == [True, False, True, True]
    kept.put("e", Read(80))
    assert [bool(kept.get(key)) for key in "abcde"] == [False, False, False, False, True]
    kept.put("f", Read(101))
    assert not any(kept.get(key) for key in "abcdef")
