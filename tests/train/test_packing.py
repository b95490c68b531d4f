from types import SimpleNamespace

import pytest
import torch

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def examples(questions, tokenizer):
    from medqa.prompt import training_example

    return [training_example(question, tokenizer, 256) for question in questions[:7]]


@pytest.fixture
def model(tiny_base, cpu):
    from peft import LoraConfig, get_peft_model

    from medqa.model import load_base
    from train import packing

    torch.manual_seed(0)
    config = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    model = get_peft_model(load_base(tiny_base, cpu), config).train()
    assert packing.use(model.get_base_model(), 256, 7)
    return model


def loss_and_gradients(model, batch):
    from train.trainer import label_loss

    model.zero_grad()
    loss = label_loss(model.get_base_model(), batch)
    loss.backward()
    return loss.item(), {name: p.grad for name, p in model.named_parameters() if p.requires_grad}


def test_packed_rows_have_the_loss_and_gradients_of_padded_ones(model, examples):
    from train.packing import pack
    from train.trainer import collate

    assert len({len(example.input_ids) for example in examples}) > 1
    loss, gradients = loss_and_gradients(model, collate(examples))
    packed_loss, packed_gradients = loss_and_gradients(model, pack(examples, rows=9))
    assert packed_loss == pytest.approx(loss, rel=1e-5)
    for name, gradient in gradients.items():
        torch.testing.assert_close(packed_gradients[name], gradient, rtol=1e-3, atol=1e-4 * gradient.abs().max().item())


def test_a_row_sees_nothing_of_its_neighbours(model, examples):
    from train.packing import pack
    from train.trainer import label_loss

    with torch.no_grad():
        alone = sum(label_loss(model.get_base_model(), pack([example], 1)).item() for example in examples)
        together = label_loss(model.get_base_model(), pack(examples, 7)).item()
    assert together == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize(("rows", "step"), [(9, 256), (16, 256), (64, 1024)])
def test_a_packed_batch_is_filled_up_to_one_of_few_lengths(examples, rows, step):
    from train.packing import pack

    some = examples * (rows // len(examples))
    taken, tokens = sum(len(example.input_ids) for example in some), pack(some, rows)["input_ids"].shape[1]
    assert tokens % step == 0
    assert tokens - step < taken <= tokens


def test_a_packed_batch_says_where_rows_begin(examples):
    from train.packing import pack

    lengths = [len(example.input_ids) for example in examples]
    batch = pack(examples, rows=9)
    tokens = batch["input_ids"].shape[1]
    bounds = batch["row_bounds"].tolist()
    assert len(bounds) == 9 + 2  # always as many, so that batches of a shape are alike
    assert bounds[:8] == [0, *(sum(lengths[: i + 1]) for i in range(7))]
    assert bounds[8:] == [bounds[7], bounds[7], tokens]
    assert batch["position_ids"][0, bounds[1] : bounds[2]].tolist() == list(range(lengths[1]))
    assert batch["labels"][0, : lengths[0]].tolist() == examples[0].labels
    assert set(batch["labels"][0, bounds[7] :].tolist()) <= {-100}
    assert batch["lengths"] == lengths


def test_scoring_goes_on_with_the_usual_attention(model, tiny_base, cpu, tokenizer, questions):
    from medqa.engine import log_probabilities
    from medqa.model import load_base
    from medqa.prompt import option_tokens

    encoded = [option_tokens(question, tokenizer) for question in questions[:3]]
    with torch.inference_mode(), model.disable_adapter():
        model.eval()
        packed = log_probabilities(model.get_base_model(), encoded)
        plain = log_probabilities(load_base(tiny_base, cpu), encoded)
    assert [score for scores in packed for score in scores] == pytest.approx([s for scores in plain for s in scores])


def test_a_model_that_is_not_known_to_be_able_to_is_left_as_it_is(tiny_base, cpu):
    from medqa.model import load_base
    from train import packing

    base = load_base(tiny_base, cpu)
    before = base.config._attn_implementation
    for name, value in (("model_type", "gemma3"), ("layer_types", ["sliding_attention", "full_attention"])):
        usual = getattr(base.config, name)
        setattr(base.config, name, value)
        assert not packing.use(base, 256, 7)
        assert base.config._attn_implementation == before
        setattr(base.config, name, usual)


def test_a_model_that_is_never_packed_is_not_asked_for_numbers_it_may_not_have():
    from transformers import GPT2Config

    from train import packing

    assert not packing.kernel_runs(SimpleNamespace(config=GPT2Config()))


def test_without_flash_attention_nothing_is_packed(model):
    """As on a GPU that is too old: on a CPU there is none."""
    from train import packing

    assert not packing.kernel_runs(model.get_base_model())


@pytest.fixture
def graphed(model, monkeypatch):
    """A decoder with graphs that are plain calls, since capturing wants a GPU; `captured` lists their shapes."""
    from train.graphs import GraphedDecoder

    captured = []
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 0))
    monkeypatch.setattr(
        torch.cuda, "make_graphed_callables", lambda work, given, **_: captured.append(given[0].shape) or work
    )
    graphed = GraphedDecoder.take_over(model.get_base_model().get_decoder())
    graphed.captured = captured
    return graphed


def test_a_shape_is_captured_when_it_comes_again_and_gives_the_same(graphed, model, examples):
    from train.packing import pack

    batch = pack(examples, 7)
    first, gradients = loss_and_gradients(model, batch)
    assert graphed.captured == []
    graphed.begin_step()
    for _ in range(2):
        graphed.begin_step()
        again, same = loss_and_gradients(model, batch)
        assert graphed.captured == [batch["input_ids"].shape]
        assert again == pytest.approx(first)
        assert all(torch.equal(same[name], gradient) for name, gradient in gradients.items())


def test_a_graph_runs_once_a_step_and_never_when_measuring(graphed, model, examples, monkeypatch):
    from train.packing import pack

    batch, ran = pack(examples, 7), []
    loss_and_gradients(model, batch)
    loss_and_gradients(model, batch)
    graph = graphed._graphs[batch["input_ids"].shape]
    graphed._graphs[batch["input_ids"].shape] = lambda *given: ran.append(1) or graph(*given)
    graphed.begin_step()
    loss_and_gradients(model, batch)
    loss_and_gradients(model, batch)
    assert ran == [1]
    graphed.begin_step()
    with torch.no_grad():
        graphed(**{name: batch[name] for name in ("input_ids", "position_ids", "row_bounds")},
                attention_mask={"full_attention": None})  # fmt: skip
    model.eval()
    loss_and_gradients(model, batch)
    assert ran == [1]


def test_without_memory_for_a_graph_training_goes_on(graphed, model, examples, monkeypatch):
    from train.packing import pack

    def full(*given, **options):
        raise torch.OutOfMemoryError("no memory left")

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", full)
    batch = pack(examples, 7)
    first, _ = loss_and_gradients(model, batch)
    with pytest.warns(UserWarning, match="No graph for a batch of .* tokens: no memory left"):
        again, _ = loss_and_gradients(model, batch)
    assert again == pytest.approx(first)
    assert loss_and_gradients(model, batch)[0] == pytest.approx(first)


def test_packed_training_gives_the_losses_of_padded_training(tmp_path, tiny_base, cpu, questions, tokenizer):
    from medqa.prompt import training_example
    from tests.train.test_trainer import BATCH, arguments, losses_of, with_lora
    from train import packing
    from train.trainer import BATCHES_PER_SORT_PACKED, Examples, LabelTrainer, LengthSortedSampler

    many = [training_example(question, tokenizer, 256) for question in questions]
    lengths = [len(example.input_ids) for example in many]

    def losses(packed):
        model = with_lora(tiny_base, cpu)
        assert not packed or packing.use(model.get_base_model(), max(lengths), BATCH)
        trainer = LabelTrainer(
            model=model,
            args=arguments(tmp_path),
            train_dataset=Examples(many),
            sampler=LengthSortedSampler(lengths, BATCH, 0, BATCHES_PER_SORT_PACKED),
            packed=packed,
        )
        return losses_of(trainer)

    assert losses(packed=True) == pytest.approx(losses(packed=False), abs=1e-3)
