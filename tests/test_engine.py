import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from medqa import batch as batches
from medqa import engine as engines
from medqa import model as models
from medqa.base_model import ModelError
from medqa.prompt import LINE_END, option_tokens
from medqa.question import Question, QuestionError

pytestmark = pytest.mark.model

WORDS = ("fever", "artery", "renal", "acute", "valve", "insulin", "glucose", "lesion", "tremor", "enzyme", "nerve")
TOLERANCE = 1e-4


def question_of(options, words, seed=0):
    draw = random.Random(seed)
    stem = " ".join(draw.choices(WORDS, k=words)) + "?"
    return Question(stem, tuple(f"{' '.join(draw.choices(WORDS, k=1 + i % 4))} {i}" for i in range(options)))


STEM_WORDS = {2: 3, 3: 70, 4: 12, 5: 1, 6: 40, 7: 7, 8: 25}
MIXED = [question_of(options, words, seed=options) for options, words in STEM_WORDS.items()]
CASE = question_of(4, 10)


@pytest.fixture(scope="module")
def adapters(make_adapter, tmp_path_factory):
    """None and two adapters; the second one trains other layers than the first."""
    folder = tmp_path_factory.mktemp("adapters")
    return [
        None,
        make_adapter(folder / "one", seed=1),
        make_adapter(folder / "two", seed=2, targets=("k_proj", "v_proj", "down_proj")),
    ]


@pytest.fixture(scope="module")
def engine(tiny_base, cpu, tokenizer):
    return engines.Engine(models.Loaded(tiny_base, cpu, models.load_base(tiny_base, cpu), tokenizer, Path(tiny_base)))


@pytest.fixture(scope="module")
def network(tiny_base, cpu, adapters):
    """network(adapter): a network of its own for this adapter, loaded as PEFT's documentation says."""
    from peft import PeftModel

    def plain(adapter):
        base = models.load_base(tiny_base, cpu)
        return base if adapter is None else PeftModel.from_pretrained(base, str(adapter)).eval()

    made = {adapter: plain(adapter) for adapter in adapters}
    return made.__getitem__


def plainly_scored(network, tokenizer, question):
    """One forward pass per option over prompt and answer: no cache, no padding."""
    prefix, remainders = option_tokens(question, tokenizer)
    scores = []
    for ids in remainders:
        with torch.inference_mode():
            logits = network(input_ids=torch.tensor([prefix + ids])).logits[0].float()
        steps = torch.log_softmax(logits, -1)[len(prefix) - 1 : -1]
        scores.append(float(steps.gather(1, torch.tensor(ids)[:, None]).sum()))
    return scores


@pytest.mark.parametrize("which", [0, 1, 2], ids=["base", "adapter", "other adapter"])
def test_a_score_is_the_log_probability_of_the_whole_answer_string(engine, network, tokenizer, adapters, which):
    for question in MIXED:
        answer = engine.score(question, adapters[which])
        expected = plainly_scored(network(adapters[which]), tokenizer, question)
        assert answer.log_probabilities == pytest.approx(expected, abs=TOLERANCE)


def test_the_adapters_and_the_base_disagree(engine, adapters):
    scores = [engine.score(CASE, adapter).log_probabilities for adapter in adapters]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert max(abs(a - b) for a, b in zip(scores[one], scores[other], strict=True)) > 0.1


@pytest.mark.parametrize("tokens_per_batch", [1, 400, 100_000])
def test_questions_scored_together_score_as_they_do_alone(engine, adapters, tokens_per_batch):
    together = dict(engine.score_many(MIXED, adapters[1], tokens_per_batch))
    assert sorted(together) == list(range(len(MIXED)))
    for i, question in enumerate(MIXED):
        assert together[i] == pytest.approx(engine.score(question, adapters[1]).log_probabilities, abs=TOLERANCE)


def test_batches_keep_to_their_budget_and_leave_nobody_out():
    lengths = [5, 900, 1, 30, 30, 31, 2, 400]
    batches = list(engines.length_batches(lengths, 100))
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    assert all(len(batch) == 1 or max(lengths[i] for i in batch) * len(batch) <= 100 for batch in batches)
    assert list(engines.length_batches([], 100)) == []


def test_the_probabilities_are_shares_that_follow_the_option_strings(engine, tokenizer):
    answer = engine.score(CASE)
    assert sum(answer.probabilities) == pytest.approx(1)
    assert answer.probabilities[answer.index] == max(answer.probabilities)
    assert answer.letter == "ABCD"[answer.index]
    prefix, remainders = option_tokens(CASE, tokenizer)
    for letter, option, ids in zip("ABCD", CASE.options, remainders, strict=True):
        assert tokenizer.decode(prefix + ids).endswith(f"Answer: {letter}) {option}{LINE_END}")


def test_the_vocabulary_is_summed_in_pieces_without_changing_the_score(engine, monkeypatch):
    whole = engine.score(CASE).log_probabilities
    monkeypatch.setattr(engines, "VOCABULARY_CHUNK", 1000)
    assert engine.score(CASE).log_probabilities == pytest.approx(whole, abs=TOLERANCE)


def test_an_answer_names_its_base_and_adapter(engine, adapters, tiny_base):
    answer = engine.score(CASE, adapters[1], "one")
    assert (answer.base, answer.adapter) == (tiny_base, "one")


@pytest.mark.parametrize("which", [0, 1], ids=["base", "adapter"])
def test_the_explanation_goes_on_greedily_from_the_answer(engine, network, tokenizer, adapters, which):
    engine.max_explanation_tokens = 24
    answer = engine.score(CASE, adapters[which])
    pieces = list(engine.explain(answer, adapters[which]))
    prefix, remainders = option_tokens(CASE, tokenizer)
    start = tokenizer("Explanation:", add_special_tokens=False)["input_ids"]
    asked = torch.tensor([prefix + remainders[answer.index] + start])
    written = network(adapters[which]).generate(
        input_ids=asked, attention_mask=torch.ones_like(asked), do_sample=False, max_new_tokens=24
    )[0, asked.shape[1] :]
    expected = tokenizer.decode(written, skip_special_tokens=True).strip().removesuffix("\ufffd")
    assert pieces[-1].text == expected != ""
    assert len({piece.text for piece in pieces}) > 5


def first_tokens(monkeypatch, tokens):
    """Make the network choose these tokens, whatever it is asked."""
    chosen = iter(tokens)
    monkeypatch.setattr(batches, "choose", lambda logits: [next(chosen)])


def test_the_explanation_stops_at_the_end_token(engine, tokenizer, monkeypatch):
    answer = engine.score(CASE)
    words = tokenizer("It is so.")["input_ids"]
    first_tokens(monkeypatch, [*words, tokenizer.eos_token_id, *words])
    pieces = list(engine.explain(answer))
    assert pieces[-1].text == "It is so."
    assert pieces[-1].ended
    assert not pieces[-1].cut
    assert not any(piece.ended or piece.cut for piece in pieces[:-1])


def test_an_explanation_can_be_empty(engine, tokenizer, monkeypatch):
    answer = engine.score(CASE)
    first_tokens(monkeypatch, [tokenizer.eos_token_id])
    [only] = engine.explain(answer)
    assert (only.text, only.ended, only.cut) == ("", True, False)


def test_the_explanation_is_cut_at_the_limit_and_says_so(engine, tokenizer, monkeypatch):
    answer = engine.score(CASE)
    engine.max_explanation_tokens = 5
    first_tokens(monkeypatch, tokenizer(" and so on" * 9)["input_ids"])
    last = list(engine.explain(answer))[-1]
    assert last.text.startswith("and so on")
    assert last.cut
    assert not last.ended


def test_half_a_character_is_not_shown_until_it_is_whole(engine, tokenizer, monkeypatch):
    answer = engine.score(CASE)
    engine.max_explanation_tokens = 256
    ids = tokenizer("5 µg and 🩺.")["input_ids"]
    first_tokens(monkeypatch, [*ids, tokenizer.eos_token_id])
    texts = [piece.text for piece in engine.explain(answer)]
    assert texts[-1] == "5 µg and 🩺."
    assert not any("\ufffd" in text for text in texts)


def test_a_question_over_the_limit_is_refused_with_its_length_and_the_limit(loaded):
    small = engines.Engine(loaded, max_question_tokens=100)
    small.score(question_of(4, 5))
    with pytest.raises(QuestionError, match=r"The question has \d,?\d+ tokens, the limit is 100\. Shorten the stem\."):
        small.score(question_of(4, 1200))


def test_eight_people_asking_at_once_get_what_they_would_get_alone(engine, adapters):
    alone = {(q, a): engine.score(q, a).log_probabilities for q in MIXED[:4] for a in adapters}
    engine.max_explanation_tokens = 6
    told_alone = {a: list(engine.explain(engine.score(CASE, a), a))[-1].text for a in adapters}
    ready = threading.Barrier(8)

    def ask(person):
        ready.wait(10)
        told = {}
        for i in range(6):
            adapter = adapters[(person + i) % 3]
            question = MIXED[(person * 3 + i) % 4]
            assert engine.score(question, adapter).log_probabilities == pytest.approx(
                alone[question, adapter], abs=TOLERANCE
            )
            if i < 3:
                told[adapter] = list(engine.explain(engine.score(CASE, adapter), adapter))[-1].text
        return told

    with ThreadPoolExecutor(8) as pool:
        assert all(told == told_alone for told in pool.map(ask, range(8)))


def test_more_adapters_than_are_kept_attached_still_answer_right(loaded, make_adapter, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "ADAPTERS_ATTACHED", 2)
    engine = engines.Engine(loaded)
    base = engine.score(CASE).log_probabilities
    folders = [make_adapter(tmp_path / str(seed), seed) for seed in range(4)]
    first = [engine.score(CASE, folder).log_probabilities for folder in folders]
    assert len({scores[0] for scores in first}) == 4
    again = [engine.score(CASE, folder).log_probabilities for folder in reversed(folders)]
    assert again == [pytest.approx(scores, abs=TOLERANCE) for scores in reversed(first)]
    assert engine.score(CASE).log_probabilities == pytest.approx(base, abs=TOLERANCE)
    assert len(loaded._with_adapters.peft_config) == 2


def test_an_adapter_replaced_under_its_path_is_read_anew(loaded, make_adapter, tmp_path):
    engine = engines.Engine(loaded)
    before = engine.score(CASE, make_adapter(tmp_path / "adapter", seed=1)).log_probabilities
    expected = engine.score(CASE, make_adapter(tmp_path / "other", seed=2)).log_probabilities
    after = engine.score(CASE, make_adapter(tmp_path / "adapter", seed=2)).log_probabilities
    assert after == pytest.approx(expected, abs=TOLERANCE)
    assert after != pytest.approx(before, abs=0.1)


def test_a_device_out_of_memory_while_answering_is_told_and_the_next_answer_is_as_before(loaded, monkeypatch):
    engine = engines.Engine(loaded)
    before = engine.score(CASE).log_probabilities

    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    with monkeypatch.context() as patch:
        patch.setattr(engines, "log_probabilities", full)
        for asked in (lambda: engine.score(CASE), lambda: list(engine.score_many(MIXED))):
            with pytest.raises(ModelError, match=r"do not fit into the device's memory .* free the device\."):
                asked()
    assert engine.score(CASE).log_probabilities == before
