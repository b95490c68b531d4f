"""Loss curves that can be compared: a run takes the very steps of the plain Trainer on the same rows in that order."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from medqa import adapters
from tests.train.in_process import train_here

pytestmark = pytest.mark.model

STEPS = 20
# Both compute in float32, sums in another order; a run's events round the loss to 5 digits.
LOSS_NOISE = 2e-5
WEIGHT_NOISE = 1e-5


@pytest.fixture(scope="module")
def spec(tiny_spec):
    """20 steps over two epochs, up and down the schedule, with gradients that need clipping."""
    rows, batch = 40, 4
    return replace(
        tiny_spec,
        rows=rows,
        batch_size=batch,
        epochs=STEPS * batch / rows,
        learning_rate=3e-3,
        warmup=0.2,
        evaluations=1,
        evaluation_questions=1,
    )


@pytest.fixture(scope="module")
def ours(spec, tmp_path_factory, on_one_cpu_thread):
    run, seen = train_here(tmp_path_factory.mktemp("ours"), spec)
    return SimpleNamespace(run=run, steps=seen.steps)


@pytest.fixture(scope="module")
def rows(spec, tokenizer):
    """The rows as a tutorial would prepare them, in the order of our batches: ids, and labels on the answer alone."""
    from medqa import datasets
    from medqa.prompt import training_example
    from train.trainer import LengthSortedSampler

    questions = datasets.load(spec.dataset, "train", limit=spec.rows, seed=spec.seed).questions
    texts = [tokenizer.decode(training_example(q, tokenizer, spec.max_length).input_ids) for q in questions]
    tokens = [tokenizer(text)["input_ids"] for text in texts]
    sampler = LengthSortedSampler([len(ids) for ids in tokens], spec.batch_size, spec.seed)
    order = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        order += list(sampler)
    assert len(order) == STEPS * spec.batch_size
    prompts = [len(tokenizer(text[: text.rindex("Answer:")])["input_ids"]) for text in texts]
    return [{"ids": tokens[i], "labels": [-100] * prompts[i] + tokens[i][prompts[i] :]} for i in order]


def padded(rows):
    import torch

    longest = max(len(row["ids"]) for row in rows)
    filled = [(row, longest - len(row["ids"])) for row in rows]
    return {
        "input_ids": torch.tensor([row["ids"] + [0] * short for row, short in filled]),
        "attention_mask": torch.tensor([[1] * len(row["ids"]) + [0] * short for row, short in filled]),
        "labels": torch.tensor([row["labels"] + [-100] * short for row, short in filled]),
    }


@pytest.fixture(scope="module")
def plain(spec, rows, cpu, tmp_path_factory):
    """plain(…): what transformers.Trainer and PEFT make of the rows by themselves; arguments may be changed."""
    from peft import LoraConfig, get_peft_model
    from transformers import Trainer, TrainingArguments, set_seed

    from medqa.model import load_base

    def train(rows=rows, **changes):
        set_seed(spec.seed)
        lora = LoraConfig(
            task_type="CAUSAL_LM",
            r=spec.lora_rank,
            lora_alpha=spec.lora_alpha,
            target_modules=list(spec.target_modules),
        )
        arguments = {
            "output_dir": str(tmp_path_factory.mktemp("plain")),
            "max_steps": STEPS,
            "per_device_train_batch_size": spec.batch_size,
            "learning_rate": spec.learning_rate,
            "lr_scheduler_type": spec.schedule,
            "warmup_steps": spec.warmup,
            "train_sampling_strategy": "sequential",
            "remove_unused_columns": False,
            "logging_steps": 1,
            "report_to": "none",
            "disable_tqdm": True,
            "save_strategy": "no",
            "use_cpu": True,
            "seed": spec.seed,
        }
        model = get_peft_model(load_base(spec.base_model, cpu), lora)
        options = TrainingArguments(**(arguments | changes))
        trainer = Trainer(model=model, args=options, train_dataset=rows, data_collator=padded)
        trainer.train()
        return SimpleNamespace(model=model, steps=[log for log in trainer.state.log_history if "loss" in log])

    return train


@pytest.fixture(scope="module")
def undisturbed(plain):
    return plain()


def column(steps, name):
    return [step[name] for step in steps]


def test_each_step_has_the_loss_the_gradient_and_the_learning_rate_of_the_plain_trainer(ours, undisturbed):
    assert len(ours.steps) == STEPS
    assert column(ours.steps, "loss") == pytest.approx(column(undisturbed.steps, "loss"), abs=LOSS_NOISE)
    norms = column(ours.steps, "gradient_norm")
    assert norms == pytest.approx(column(undisturbed.steps, "grad_norm"), rel=1e-3)
    assert max(norms) > 2 * min(norms) > 2  # all are clipped to 1, each by a factor of its own
    rates = column(ours.steps, "learning_rate")
    assert rates == pytest.approx(column(undisturbed.steps, "learning_rate"), abs=1e-12)
    assert ours.steps[-1]["loss"] < ours.steps[0]["loss"] - 0.2


def test_after_the_last_step_the_lora_weights_are_those_of_the_plain_trainer(ours, undisturbed):
    from peft import get_peft_model_state_dict
    from safetensors.torch import load_file

    theirs = get_peft_model_state_dict(undisturbed.model)
    weights = load_file(ours.run.checkpoints()[0] / adapters.WEIGHTS)
    assert weights.keys() == theirs.keys()
    assert max(difference(weights, theirs)) < WEIGHT_NOISE
    assert max(weight.abs().max().item() for name, weight in weights.items() if "lora_B" in name) > 100 * WEIGHT_NOISE


def difference(ours, theirs):
    return [(ours[name] - theirs[name]).abs().max().item() for name in ours]


def on_the_prompt_too(rows):
    return [{"ids": row["ids"], "labels": row["ids"]} for row in rows]


@pytest.mark.parametrize(
    "changes",
    [
        {"lr_scheduler_type": "linear"},
        {"max_grad_norm": 0.0},
        {"warmup_steps": 0.1},
        {"weight_decay": 0.1},
        {"adam_beta2": 0.99},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_trainer_that_differs_in_one_setting_leaves_that_course(plain, undisturbed, changes):
    apart = zip(column(plain(**changes).steps, "loss"), column(undisturbed.steps, "loss"), strict=True)
    assert max(abs(one - other) for one, other in apart) > 100 * LOSS_NOISE


def test_a_loss_on_the_prompt_too_is_another_from_the_first_step(plain, undisturbed, rows):
    first = plain(on_the_prompt_too(rows), max_steps=1).steps[0]["loss"]
    assert abs(first - undisturbed.steps[0]["loss"]) > 100 * LOSS_NOISE
