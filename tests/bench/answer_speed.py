"""How fast we answer beside lm-evaluation-harness and model.generate: the same model, questions and adapter.

    .venv/bin/python -m pip install -r tests/bench/requirements.txt     # lm_eval; everything else it needs is there
    python tests/bench/answer_speed.py [--model medqa-nano|27m|1.7b|FOLDER] [--adapter FOLDER] [--rounds 5]

One JSON line per figure. Peers take turns, each round another one first, and the ratios are medians over the rounds of
ours to theirs in the same round, so that a busy machine slows both. 27m and 1.7b are Qwen3 models of random weights
built on the spot; without `--adapter` the adapter has random weights and the quick demo's layers.

Scoring, questions per second, base model alone, tokenising included:
- ours: Engine.score_many, the whole answer string of every option.
- letter: HFLM.loglikelihood of lm-evaluation-harness on the same prompt, the letters alone, batch 16.
- whole: the same, the whole answer strings, as ours.

Writing, tokens per second, reading of the prompt included, end tokens ignored so that all write equally much:
- ours: Engine.explain, one text; eight at once from eight threads.
- generate: model.generate, greedy, with the same adapter attached through PEFT; eight calls one after another.
- padded: one call of model.generate for all eight, padded on the left, which has to wait until it knows all eight.

Asking: eight people press Answer at once. Seconds until each sees the bars and until each has read the whole text, with
the engine as it is and with one person served after another.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from peft import LoraConfig, get_peft_model
from train_speed import SIZES, save_random_model, say

from medqa import datasets
from medqa import device as devices
from medqa import model as models
from medqa.datasets import held_out_split
from medqa.engine import Engine
from medqa.prompt import ANSWER_START, EXPLANATION_START, LINE_END, answer_string, option_tokens, rendered
from medqa.question import LETTERS, Answer, Question
from medqa.settings import EMBEDDED, from_environment
from medqa.spec import PRESETS

PEOPLE = 8
HARNESS_BATCH = 16
Peers = dict[str, Callable[[], float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=EMBEDDED, help=f"{', '.join(SIZES)}, or what the app takes")
    parser.add_argument("--adapter", type=Path)
    parser.add_argument("--data", default="handbook", help="a data set's name, or a folder such as path/to/medmcqa")
    parser.add_argument("--questions", type=int, default=96)
    parser.add_argument("--tokens", type=int, default=64, help="of each text")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, help="of PyTorch; default: its own choice")
    parser.add_argument("--only", nargs="+", choices=MEASUREMENTS, default=list(MEASUREMENTS))
    chosen = parser.parse_args()
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    device = devices.choose(from_environment().device)
    with tempfile.TemporaryDirectory() as folder:
        base = chosen.model
        if base in SIZES:
            base = str(Path(folder, base))
            save_random_model(chosen.model, Path(base))
        adapter = chosen.adapter or random_adapter(base, device, Path(folder, "adapter"))
        engine = Engine(models.load(base, device), max_explanation_tokens=chosen.tokens)
        questions = list(datasets.load(chosen.data, held_out_split(chosen.data)).questions)[: chosen.questions]
        say(
            "setting",
            model=chosen.model,
            device=device.badge,
            threads=torch.get_num_threads(),
            torch=torch.__version__,
            questions=len(questions),
            tokens=chosen.tokens,
            dataset=chosen.data,
            adapter="given" if chosen.adapter else "random",
        )
        for name in chosen.only:
            MEASUREMENTS[name](engine, adapter, questions, chosen.rounds)


def random_adapter(base: str, device: devices.Device, folder: Path) -> Path:
    spec = PRESETS["quick"].spec
    torch.manual_seed(1)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=spec.lora_rank,
        lora_alpha=spec.lora_alpha,
        target_modules=list(spec.target_modules),
        init_lora_weights=False,
    )
    get_peft_model(models.load_base(base, device), config).save_pretrained(folder, save_embedding_layers=False)
    return folder


def compare(figure: str, unit: str, peers: Peers, rounds: int) -> None:
    """Each peer returns its figure, more is better. The first one is ours; one round of all is thrown away."""
    names = list(peers)
    results: dict[str, list[float]] = {name: [] for name in names}
    for i in range(-1, rounds):
        first = i % len(names)
        measured = {name: peers[name]() for name in [*names[first:], *names[:first]]}
        for name in names if i >= 0 else ():
            results[name].append(measured[name])
    for name, values in results.items():
        say(figure, peer=name, unit=unit, median=round(median(values), 1), all=[round(value, 1) for value in values])
    ours, *others = names
    for name in others:
        ratios = [mine / theirs for mine, theirs in zip(results[ours], results[name], strict=True)]
        say(f"{figure}: ratio", ours_to=name, median=round(median(ratios), 2), all=[round(r, 2) for r in ratios])


def timed(work: Callable[[], object], amount: int) -> float:
    """Amount per second."""
    began = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return amount / (time.perf_counter() - began)


# Scoring


def scoring(engine: Engine, adapter: Path, questions: list[Question], rounds: int) -> None:
    peers: Peers = {"ours": lambda: timed(lambda: list(engine.score_many(questions)), len(questions))}
    try:
        harness = in_the_harness(engine)
    except ImportError as error:
        say("missing", peer="lm_eval", reason=" ".join(str(error).split()))
    else:
        tokenizer = engine.loaded.tokenizer
        letters = [
            (rendered(q, tokenizer) + ANSWER_START.rstrip(), f" {letter}")
            for q in questions
            for letter in LETTERS[: len(q.options)]
        ]
        strings = [
            (rendered(q, tokenizer) + ANSWER_START.rstrip(), f" {answer_string(q, i)}{LINE_END}")
            for q in questions
            for i in range(len(q.options))
        ]
        peers["letter"] = lambda: timed(lambda: harness(letters), len(questions))
        peers["whole"] = lambda: timed(lambda: harness(strings), len(questions))
    compare("scoring", "questions/s", peers, rounds)


def in_the_harness(engine: Engine) -> Callable[[list[tuple[str, str]]], list]:
    import logging

    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    loaded = engine.loaded
    with loaded.using(None) as network:
        model = HFLM(
            pretrained=network, tokenizer=loaded.tokenizer, batch_size=HARNESS_BATCH, device=loaded.device.torch_name
        )

    def scored(pairs: list[tuple[str, str]]) -> list:
        requests = [Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(pairs)]
        with loaded.using(None):
            return model.loglikelihood(requests, disable_tqdm=True)

    return scored


# Writing


def writing(engine: Engine, adapter: Path, questions: list[Question], rounds: int) -> None:
    engine._ends = engine._writer.ends = frozenset()
    questions = questions[:PEOPLE]
    answers = [engine.score(question, adapter) for question in questions]
    with ThreadPoolExecutor(PEOPLE) as people:
        for some in (answers[:1], answers):

            def ours(some: list[Answer] = some) -> list:
                # Afresh, as if these questions had never been scored: generate reads its prompts too.
                engine._reader.kept._kept.clear()
                return list(people.map(lambda answer: list(engine.explain(answer, adapter)), some))

            def generate(some: list[Answer] = some) -> list:
                return [generated(engine, adapter, [answer]) for answer in some]

            def padded(some: list[Answer] = some) -> torch.Tensor:
                return generated(engine, adapter, some)

            works = [ours, generate] if len(some) == 1 else [ours, generate, padded]
            written = len(some) * engine.max_explanation_tokens
            peers = {work.__name__: partial(timed, work, written) for work in works}
            compare(f"writing {len(some)}", "tokens/s", peers, rounds)


def generated(engine: Engine, adapter: Path, answers: list[Answer]) -> torch.Tensor:
    tokenizer = engine.loaded.tokenizer
    rows = []
    for answer in answers:
        prefix, remainders = option_tokens(answer.question, tokenizer)
        start = tokenizer(EXPLANATION_START, add_special_tokens=False)["input_ids"]
        rows.append(prefix + remainders[answer.index] + start)
    padded = tokenizer.pad({"input_ids": rows}, padding_side="left", return_tensors="pt")
    tokens = engine.max_explanation_tokens
    with engine.loaded.using(adapter) as network:
        return network.generate(
            **padded.to(network.device), do_sample=False, min_new_tokens=tokens, max_new_tokens=tokens
        )


# Asking


def asking(engine: Engine, adapter: Path, questions: list[Question], rounds: int) -> None:
    questions = questions[-PEOPLE:]
    for i in range(-1, rounds):
        for how, seats in (("at once", PEOPLE), ("one after another", 1)):
            engine._reader.kept._kept.clear()
            with ThreadPoolExecutor(seats) as people:
                began = time.perf_counter()

                def ask(question: Question, began: float = began) -> tuple[float, float]:
                    answer = engine.score(question, adapter)
                    bars = time.perf_counter() - began
                    list(engine.explain(answer, adapter))
                    return bars, time.perf_counter() - began

                bars, whole = zip(*people.map(ask, questions), strict=True)
            if i >= 0:
                say(
                    "asking",
                    how=how,
                    people=PEOPLE,
                    round=i + 1,
                    bars_median=round(median(bars), 3),
                    bars_worst=round(max(bars), 3),
                    whole_median=round(median(whole), 3),
                    whole_worst=round(max(whole), 3),
                )


MEASUREMENTS = {"scoring": scoring, "writing": writing, "asking": asking}


if __name__ == "__main__":
    main()
