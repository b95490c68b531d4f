import pytest
import torch
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

from medqa import batch as batches
from medqa.batch import Batch
from medqa.lean_decoder import lean
from medqa.model import load_base

pytestmark = pytest.mark.model

LENGTHS = (9, 4, 7)
STEPS = batches.ROOM + 6  # more than the buffers have room for


@pytest.fixture
def network(tiny_base, cpu):
    return load_base(tiny_base, cpu)


def read(network, length):
    cache = DynamicCache()
    network.get_decoder()(input_ids=torch.arange(5, 5 + length)[None], past_key_values=cache, use_cache=True)
    return [(layer.keys, layer.values) for layer in cache.layers]


def course(network, lean_decoder, monkeypatch, lengths=LENGTHS):
    """The logits and the tokens of each step, of texts of these lengths."""
    logits, tokens = [], []
    choose = batches.choose
    with monkeypatch.context() as patch, torch.inference_mode():
        patch.setattr(batches, "choose", lambda values: logits.append(values) or choose(values))
        batch = Batch([read(network, length) for length in lengths], lean_decoder)
        tokens.append([7] * len(lengths))
        for _ in range(STEPS):
            batch = batch.only(range(len(lengths))) if batch.full else batch
            tokens.append(batch.step(network, tokens[-1]))
    return torch.stack(logits), tokens


@pytest.mark.parametrize("lengths", [LENGTHS, (8, 8), (6,)], ids=["ragged", "even", "one"])
def test_logits_and_choices_are_those_of_the_networks_modules(network, monkeypatch, lengths):
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if "norm" in name:  # all 1 in a new network
                weight.copy_(torch.rand_like(weight) + 0.5)
    expected, chosen = course(network, None, monkeypatch, lengths)
    logits, tokens = course(network, lean(network), monkeypatch, lengths)
    assert tokens == chosen
    assert len(set(map(tuple, tokens))) > 5
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-3)


def test_the_modules_compute_as_before_with_the_weights_they_now_share(network):
    tokens = torch.arange(5, 25)[None]
    with torch.inference_mode():
        expected = network(tokens).logits
    decoder = lean(network)
    with torch.inference_mode():
        torch.testing.assert_close(network(tokens).logits, expected)
    layer = network.model.layers[0]
    addresses = {weight.untyped_storage().data_ptr() for weight in decoder._layers[0]}
    for module in (layer.self_attn.q_proj, layer.self_attn.v_proj, layer.self_attn.o_proj, layer.mlp.up_proj):
        assert module.weight.untyped_storage().data_ptr() in addresses


def test_a_network_of_another_kind_is_left_to_its_own_modules(network):
    assert (
        lean(LlamaForCausalLM(LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=32, num_hidden_layers=1)))
        is None
    )
    network.config.layer_types = ["full_attention", "sliding_attention"]
    assert lean(network) is None
    network.config.layer_types, network.config.hidden_act = ["full_attention"] * 2, "gelu"
    assert lean(network) is None
