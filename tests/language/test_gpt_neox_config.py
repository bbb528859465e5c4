"""A config that asks for more than is computed here is left to transformers."""

import json

import pytest

from saelib.language import embedded
from saelib.language.gpt_neox_config import plain_config


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "gelu_new"},
        {"use_parallel_residual": False},
        {"attention_bias": False},
        {"tie_word_embeddings": True},
        {"model_type": "llama"},
        {"quantization_config": {}},
        {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 10000.0, "partial_rotary_factor": 0.25}},
        {"rope_parameters": None},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_config_that_asks_for_more_is_left_to_transformers(change: dict) -> None:
    content = json.loads((embedded.EMBEDDED_FOLDER / "config.json").read_text())
    assert plain_config(content) is not None
    assert plain_config(content | change) is None
    assert plain_config({name: value for name, value in content.items() if name != "vocab_size"}) is None
