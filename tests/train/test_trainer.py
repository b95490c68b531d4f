import pytest

pytestmark = pytest.mark.model

BATCH = 6
STEPS = 10


@pytest.fixture(scope="module")
def examples(questions, tokenizer):
    from medqa.prompt import training_example

    return [training_example(question, tokenizer, 256) for question in questions]


def with_lora(tiny_base, cpu):
    import torch
    from peft import LoraConfig, get_peft_model

    from medqa.model import load_base

    torch.manual_seed(3)
    config = LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"])
    return get_peft_model(load_base(tiny_base, cpu), config)


def losses_of(trainer):
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def arguments(folder, micro_batch=BATCH, **options):
    from transformers import TrainingArguments

    return TrainingArguments(
        output_dir=str(folder),
        max_steps=STEPS,
        per_device_train_batch_size=micro_batch,
        gradient_accumulation_steps=BATCH // micro_batch,
        learning_rate=3e-2,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        use_cpu=True,
        seed=0,
        **options,
    )


def our_losses(folder, tiny_base, cpu, examples, micro_batch=BATCH):
    from train.trainer import Examples, LabelTrainer, LengthSortedSampler

    sampler = LengthSortedSampler([len(e.input_ids) for e in examples], BATCH, seed=0)
    return losses_of(
        LabelTrainer(
            model=with_lora(tiny_base, cpu),
            args=arguments(folder, micro_batch),
            train_dataset=Examples(examples),
            sampler=sampler,
        )
    )


@pytest.fixture(scope="module")
def whole_batch_losses(tmp_path_factory, tiny_base, cpu, examples):
    return our_losses(tmp_path_factory.mktemp("whole"), tiny_base, cpu, examples)


def test_the_label_loss_is_the_models_own_loss_summed_over_the_labels(tiny_base, cpu, examples):
    import torch

    from medqa.model import load_base
    from train.trainer import collate, label_loss

    model = load_base(tiny_base, cpu)
    inputs = collate(examples[:7])
    inputs.pop("lengths")
    lengths = torch.tensor([[len(example.input_ids)] for example in examples[:7]])
    mask = (torch.arange(int(lengths.max())) < lengths).long()
    labels = int((inputs["labels"] != -100).sum())
    assert len(set(lengths.flatten().tolist())) > 1
    expected = model(**inputs, attention_mask=mask).loss.item() * labels
    assert label_loss(model, inputs).item() == pytest.approx(expected, rel=1e-5)


def test_padding_changes_no_loss(tiny_base, cpu, examples):
    from medqa.model import load_base
    from train.trainer import collate, label_loss

    model = load_base(tiny_base, cpu)
    assert len({len(example.input_ids) for example in examples[:7]}) > 1
    alone = sum(label_loss(model, collate([example])).item() for example in examples[:7])
    assert label_loss(model, collate(examples[:7])).item() == pytest.approx(alone, rel=1e-5)


def test_a_batch_is_padded_on_the_right_with_masked_labels(examples):
    from train.trainer import collate

    short, long = sorted(examples[:7], key=lambda e: len(e.input_ids))[::6]
    batch = collate([short, long])
    n = len(short.input_ids)
    assert batch["input_ids"].shape == batch["labels"].shape == (2, len(long.input_ids))
    assert batch["input_ids"][0, :n].tolist() == list(short.input_ids)
    assert batch["labels"][0].tolist() == short.labels + [-100] * (len(long.input_ids) - n)
    assert batch["lengths"] == [n, len(long.input_ids)]


@pytest.fixture
def sampler():
    from train.trainer import LengthSortedSampler

    return LengthSortedSampler([i * 37 % 101 for i in range(250)], batch_size=8, seed=5)


def test_every_row_is_visited_once_an_epoch_in_an_order_of_the_epochs_own(sampler):
    orders = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        orders.append(list(sampler))
        assert sorted(orders[-1]) == list(range(250))
        assert list(sampler) == orders[-1]
    assert orders[0] != orders[1] != orders[2]


def test_the_seed_decides_the_order(sampler):
    from train.trainer import LengthSortedSampler

    assert list(LengthSortedSampler(sampler.lengths, 8, seed=5)) == list(sampler)
    assert list(LengthSortedSampler(sampler.lengths, 8, seed=6)) != list(sampler)


def test_batches_hold_similar_lengths_and_only_the_last_is_short(sampler):
    order = [sampler.lengths[i] for i in sampler]
    batches = [order[i : i + 8] for i in range(0, 250, 8)]
    assert [len(batch) for batch in batches] == [8] * 31 + [2]
    spread = [max(batch) - min(batch) for batch in batches]
    assert sum(spread) / len(spread) < 20  # of 100; about 78 in batches drawn at random
    assert sorted(map(max, batches)) != list(map(max, batches))


def test_the_losses_are_those_of_a_plain_trainer_on_the_same_batches(
    whole_batch_losses, tmp_path, tiny_base, cpu, examples
):
    from transformers import Trainer

    from train.trainer import Examples, LengthSortedSampler, collate

    order = list(LengthSortedSampler([len(e.input_ids) for e in examples], BATCH, seed=0))
    plain = Trainer(
        model=with_lora(tiny_base, cpu),
        args=arguments(tmp_path, train_sampling_strategy="sequential"),
        train_dataset=Examples([examples[i] for i in order]),
        data_collator=lambda batch: {k: v for k, v in collate(batch).items() if k != "tokens"},
    )
    assert len(whole_batch_losses) == STEPS
    assert losses_of(plain) == pytest.approx(whole_batch_losses, abs=1e-3)
    assert whole_batch_losses[-1] < whole_batch_losses[0] - 0.1


@pytest.mark.parametrize("micro_batch", [3, 1])
def test_smaller_micro_batches_accumulate_to_the_same_losses(
    whole_batch_losses, tmp_path, tiny_base, cpu, examples, micro_batch
):
    smaller = our_losses(tmp_path, tiny_base, cpu, examples, micro_batch)
    assert smaller == pytest.approx(whole_batch_losses, abs=1e-3)


def test_an_epochs_short_last_batch_is_a_step_of_its_own_with_any_micro_batch(tmp_path, tiny_base, cpu, examples):
    odd = examples[:20]  # 6 + 6 + 6 + 2, so that 10 steps take two and a half epochs
    whole = our_losses(tmp_path / "whole", tiny_base, cpu, odd)
    halves = our_losses(tmp_path / "halves", tiny_base, cpu, odd, micro_batch=3)
    assert len(whole) == STEPS
    assert halves == pytest.approx(whole, abs=1e-3)
