import shutil

import pytest
from transformers import AutoConfig, AutoModelForCausalLM

from medqa.base_model import ModelError
from medqa.model import load_base
from tests.conftest import TOKENIZER_FILES

pytestmark = pytest.mark.model

SMALL = {
    "vocab_size": 256, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
LINEAR_ATTENTION = {"layer_types": ["linear_attention", "full_attention"]}


@pytest.fixture
def random_base(tmp_path, tiny_base):
    """random_base(model_type, **settings): the folder of a small random model of that kind."""

    def make(model_type, **settings):
        AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **SMALL | settings)).save_pretrained(tmp_path)
        for name in TOKENIZER_FILES:
            shutil.copy(f"{tiny_base}/{name}", tmp_path)
        return str(tmp_path)

    return make


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("model_type", "settings"),
    [
        ("granite", {"logits_scaling": 8.0}),
        ("cohere", {"logit_scale": 0.0625}),
        ("gemma3_text", {"final_logit_softcapping": 30.0}),
        ("phi", {}),  # a bias
    ],
)
def test_a_base_whose_output_layer_does_more_than_multiply_is_refused(random_base, cpu, model_type, settings, dtype):
    import torch

    folder = random_base(model_type, **settings)
    with pytest.raises(ModelError, match="output layers are not supported") as refused:
        load_base(folder, cpu, getattr(torch, dtype))
    assert str(refused.value).startswith(f"The base model {folder} can't be used: its output layer does more")


@pytest.mark.parametrize(
    ("model_type", "settings"),
    [("qwen3_next", LINEAR_ATTENTION), ("qwen3_5_text", LINEAR_ATTENTION), ("falcon_h1", {})],
)
def test_a_base_that_keeps_other_things_than_keys_and_values_is_refused(random_base, cpu, model_type, settings):
    folder = random_base(model_type, **settings)
    with pytest.raises(ModelError, match="something else than keys and values") as refused:
        load_base(folder, cpu)
    assert folder in str(refused.value)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("model_type", "settings"),
    [
        ("llama", {}),
        ("mistral", {"sliding_window": 2}),
        ("gemma3_text", {}),
        ("gpt2", {}),
        ("granite", {"logits_scaling": 1.0}),
    ],
)
def test_a_base_whose_logits_are_its_states_times_its_weights_is_taken(random_base, cpu, model_type, settings, dtype):
    import torch

    assert load_base(random_base(model_type, **settings), cpu, getattr(torch, dtype)).dtype == getattr(torch, dtype)
