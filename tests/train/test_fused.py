import copy
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def with_lora(tiny_base, cpu):
    """with_lora(dropout): the tiny base with LoRA on all its layers, B no longer zero, in training mode."""
    from peft import LoraConfig, get_peft_model

    from medqa.model import load_base

    def make(dropout=0.0):
        torch.manual_seed(0)
        config = LoraConfig(
            task_type="CAUSAL_LM", r=4, lora_alpha=12, lora_dropout=dropout,
            target_modules="all-linear", init_lora_weights=False,
        )  # fmt: skip
        return get_peft_model(load_base(tiny_base, cpu), config).train()

    return make


@pytest.fixture(scope="module")
def batch(tokenizer, questions):
    from medqa.prompt import training_example
    from train.trainer import collate

    return collate([training_example(question, tokenizer, 256) for question in questions[:6]])


def loss_and_gradients(model, batch):
    from train.trainer import label_loss

    loss = label_loss(model.get_base_model(), batch)
    loss.backward()
    return loss.item(), {name: p.grad for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("what", ["layers", "attention", "both"])
def test_loss_and_gradients_are_those_of_the_plain_modules(with_lora, batch, what):
    from train import attention
    from train.fused import fuse

    plain = with_lora()
    fused = copy.deepcopy(plain)
    if what != "attention":
        fuse(fused)
    if what != "layers":
        attention.use(fused.get_base_model())
    loss, gradients = loss_and_gradients(plain, batch)
    fused_loss, fused_gradients = loss_and_gradients(fused, batch)
    assert fused_loss == pytest.approx(loss, rel=1e-5)
    assert fused_gradients.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(fused_gradients[name], gradient, rtol=1e-3, atol=1e-4 * gradient.abs().max().item())


def test_with_dropout_loss_and_gradients_are_those_of_the_plain_modules(with_lora, batch, monkeypatch):
    """Both drop the same: which inputs is the library's business, what becomes of them is ours."""
    from train.fused import fuse

    def dropped(x, share, train=True):
        # The same of each token: the last layer has fewer of them.
        kept = (torch.rand(x.shape[-1], generator=torch.Generator().manual_seed(0)) > share).expand_as(x)
        return x * kept / (1 - share), kept

    monkeypatch.setattr(torch, "native_dropout", dropped)
    monkeypatch.setattr(torch.nn.Dropout, "forward", lambda module, x: dropped(x, module.p)[0])
    plain = with_lora(dropout=0.3)
    fused = copy.deepcopy(plain)
    fuse(fused)
    loss, gradients = loss_and_gradients(plain, batch)
    fused_loss, fused_gradients = loss_and_gradients(fused, batch)
    assert loss != pytest.approx(loss_and_gradients(with_lora(), batch)[0], rel=1e-4)
    assert fused_loss == pytest.approx(loss, rel=1e-5)
    for name, gradient in gradients.items():
        torch.testing.assert_close(fused_gradients[name], gradient, rtol=1e-3, atol=1e-4 * gradient.abs().max().item())


def test_dropout_drops_its_share_in_training_and_nothing_in_evaluation(with_lora, batch):
    from train.fused import fuse

    model = with_lora(dropout=0.3)
    fuse(model)
    first, second = (loss_and_gradients(model, batch)[0] for _ in range(2))
    assert first != second
    model.eval()
    whole = loss_and_gradients(with_lora(), batch)[0]
    assert loss_and_gradients(model, batch)[0] == pytest.approx(whole, rel=1e-5)


def test_with_the_adapter_off_the_fused_model_is_the_base(with_lora, batch, tiny_base, cpu):
    from medqa.model import load_base
    from train.fused import fuse
    from train.trainer import label_loss

    model = with_lora()
    fuse(model)
    base = label_loss(load_base(tiny_base, cpu), batch).item()
    assert label_loss(model.get_base_model(), batch).item() != pytest.approx(base, rel=1e-3)
    with model.disable_adapter():
        assert label_loss(model.get_base_model(), batch).item() == pytest.approx(base, rel=1e-5)


@pytest.mark.parametrize(
    ("where", "norm", "sizes", "faster"),
    [
        ("qwen3.modeling_qwen3", "Qwen3RMSNorm", [64], True),
        ("t5.modeling_t5", "T5LayerNorm", [64], True),  # the same numbers by another name
        ("cohere.modeling_cohere", "CohereLayerNorm", [64], False),  # subtracts the mean
        ("qwen3_next.modeling_qwen3_next", "Qwen3NextRMSNormGated", [64], False),
        ("mamba2.modeling_mamba2", "MambaRMSNormGated", [64, 64], False),  # may go without its gate
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_only_a_norm_that_gives_the_same_numbers_gets_the_faster_forward(where, norm, sizes, faster, dtype):
    from importlib import import_module

    from train.fused import fuse

    module = getattr(import_module(f"transformers.models.{where}"), norm)(*sizes).requires_grad_(False).to(dtype)
    given = [torch.randn(3, 64, dtype=dtype) + 1 for _ in range(2 if "Gated" in norm else 1)]
    before = module(*given)
    fuse(module)
    assert ("forward" in vars(module)) == faster
    torch.testing.assert_close(module(*given), before)


def test_the_loss_in_blocks_is_the_cross_entropy_of_all_logits(monkeypatch):
    from train import fused

    monkeypatch.setitem(fused.LOGITS, "cpu", 3 * 50)  # three rows at a time, the last block short
    torch.manual_seed(0)
    weight, targets = torch.randn(50, 8), torch.randint(0, 50, (10,))
    states = torch.randn(10, 8, requires_grad=True)
    whole = functional.cross_entropy(states @ weight.T, targets, reduction="sum")
    (expected,) = torch.autograd.grad(3 * whole, states)
    loss = fused.LabelLoss.apply(states, weight, targets)
    (found,) = torch.autograd.grad(3 * loss, states)
    assert loss.item() == pytest.approx(whole.item(), rel=1e-6)
    torch.testing.assert_close(found, expected)


def test_a_token_next_to_impossible_has_its_loss_and_not_an_infinite_one():
    from train.fused import LabelLoss

    states = torch.tensor([[1.0]], requires_grad=True)
    weight, target = torch.tensor([[0.0], [200.0], [3.0]]), torch.tensor([0])
    loss = LabelLoss.apply(states, weight, target)
    loss.backward()
    assert (loss.item(), states.grad.item()) == (pytest.approx(200.0), pytest.approx(200.0))


@pytest.mark.parametrize("length", [1, 127, 128, 129, 300, 640, 641])
def test_attention_in_blocks_of_queries_is_causal_attention(length):
    from train.attention import short_rows

    torch.manual_seed(0)
    given = [torch.randn(2, length, heads, 16).transpose(1, 2).requires_grad_() for heads in (4, 2, 2)]
    upstream = torch.randn(2, length, 4, 16)
    attended, _ = short_rows(SimpleNamespace(num_key_value_groups=2), *given, None, scaling=0.3)
    expected = functional.scaled_dot_product_attention(*given, is_causal=True, scale=0.3, enable_gqa=True)
    expected = expected.transpose(1, 2)
    torch.testing.assert_close(attended, expected)
    found, wanted = (torch.autograd.grad(out, given, upstream) for out in (attended, expected))
    for gradient, usual in zip(found, wanted, strict=True):
        torch.testing.assert_close(gradient, usual, rtol=1e-4, atol=1e-4)


def test_the_last_layer_goes_on_with_labelled_tokens_alone(with_lora, batch):
    from train.fused import fuse
    from train.trainer import label_positions

    model = with_lora()
    expected, wanted = loss_and_gradients(copy.deepcopy(model), batch)
    fuse(model)
    seen = []
    layers = model.get_base_model().get_decoder().layers
    for layer in (layers[0], layers[-1]):
        layer.mlp.register_forward_pre_hook(lambda module, given: seen.append(given[0].shape[:2].numel()))
    loss, gradients = loss_and_gradients(model, batch)
    tokens, labelled = batch["labels"].numel(), len(label_positions(batch["labels"]))
    assert labelled < tokens
    assert seen == [tokens, labelled]
    assert loss == pytest.approx(expected, rel=1e-5)
    for name, gradient in wanted.items():
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-3, atol=1e-4 * gradient.abs().max().item())


def test_lora_takes_the_float32_that_autocast_makes_of_a_layer_norm(with_lora):
    from train.fused import fuse

    model = with_lora().to(torch.bfloat16)
    fuse(model)
    layer = model.get_base_model().get_decoder().layers[0].self_attn.q_proj
    with torch.autocast("cpu", torch.bfloat16):
        given = torch.randn(2, 3, layer.in_features, requires_grad=True)
        made = layer(given)
    made.float().sum().backward()
    assert (made.dtype, given.grad.dtype) == (torch.bfloat16, torch.float32)


def test_no_labels_at_all_cost_nothing(monkeypatch):
    from train.fused import LabelLoss

    states = torch.zeros(0, 8, requires_grad=True)
    loss = LabelLoss.apply(states, torch.randn(50, 8), torch.zeros(0, dtype=torch.long))
    loss.backward()
    assert (loss.item(), states.grad.shape) == (0.0, (0, 8))


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([3, 4, 4, 5], [(0, 2), (2, 4)]),  # 2 × 4, then 2 × 5
        ([30], [(0, 1)]),  # too long for the budget: alone
        ([2, 30, 2], [(0, 1), (1, 2), (2, 3)]),
        ([5, 0, 0], [(0, 2)]),  # rows of nothing but padding are left out
        ([0, 0], []),
    ],
)
def test_rows_go_through_in_parts_within_the_budget(lengths, expected):
    from train.trainer import parts

    assert [(rows.start, rows.stop) for rows in parts(lengths, 10)] == expected


def test_a_batch_in_parts_gives_the_gradients_of_the_whole(with_lora, tmp_path, monkeypatch, tokenizer, questions):
    from transformers import TrainingArguments

    from medqa.prompt import training_example
    from train import trainer as trainers

    examples = [training_example(question, tokenizer, 256) for question in questions[:8]]
    lengths = [len(example.input_ids) for example in examples]

    def adapter_after(tokens):
        monkeypatch.setitem(trainers.TOKENS_AT_ONCE, "cpu", tokens)
        arguments = TrainingArguments(
            output_dir=str(tmp_path), max_steps=2, per_device_train_batch_size=8, learning_rate=1e-3, use_cpu=True,
            report_to="none", save_strategy="no", disable_tqdm=True, remove_unused_columns=False, optim="sgd",
        )  # fmt: skip
        made = trainers.LabelTrainer(
            model=with_lora(), args=arguments, train_dataset=trainers.Examples(examples),
            sampler=trainers.LengthSortedSampler(lengths, 8, 0),
        )  # fmt: skip
        made.train()
        assert made.tokens_seen == 2 * sum(lengths)
        return {name: p.detach() for name, p in made.model.named_parameters() if p.requires_grad}

    whole, in_parts = adapter_after(10_000), adapter_after(2 * max(lengths))
    for name, weights in whole.items():
        torch.testing.assert_close(in_parts[name], weights, rtol=1e-4, atol=1e-6)


def test_a_rotation_and_its_gradients_are_those_of_transformers():
    from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

    from train.fused import rotate

    torch.manual_seed(0)
    query, key = (torch.randn(2, heads, 5, 8, requires_grad=True) for heads in (4, 2))
    angles = torch.rand(1, 5, 4).repeat(1, 1, 2)
    weights = torch.randn(2, 4, 5, 8), torch.randn(2, 2, 5, 8)

    def outcome(turn):
        turned = turn(query, key, angles.cos(), angles.sin())
        loss = sum((states * weight).sum() for states, weight in zip(turned, weights, strict=True))
        return [*turned, *torch.autograd.grad(loss, (query, key))]

    for ours, theirs in zip(outcome(rotate), outcome(apply_rotary_pos_emb), strict=True):
        torch.testing.assert_close(ours, theirs)
