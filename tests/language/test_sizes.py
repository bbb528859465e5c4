"""Weights of a layer and longest contexts, worked out by hand for `families.SIZES`: width 32, 4 layers."""

from types import SimpleNamespace

import pytest

from saelib.language.model import LanguageModel
from saelib.language.sizes import active_block_weights, attention_window, block_weights, longest_context
from tests.helpers.families import CONTEXT, LAYERS, VOCABULARY, small_family

D, MLP = 32, 64
GROUPED = 2 * D * D + 2 * D * 16  # queries and output; keys and values of 2 heads of 8
ROUTER = 4 * D
MIXTRAL_EXPERT, QWEN_EXPERT = 3 * D * MLP, 3 * D * 32
WORKED_OUT = {
    "gpt2": (4 * D * D + 2 * D * 4 * D, 4 * D * D + 2 * D * 4 * D),  # positions are no part of a layer
    "opt": (4 * D * D + 2 * D * MLP, 4 * D * D + 2 * D * MLP),
    "gpt_neox": (4 * D * D + 2 * D * MLP, 4 * D * D + 2 * D * MLP),
    "llama": (GROUPED + 3 * D * MLP, GROUPED + 3 * D * MLP),
    "mixtral": (GROUPED + ROUTER + 4 * MIXTRAL_EXPERT, GROUPED + ROUTER + 2 * MIXTRAL_EXPERT),
    "gpt_oss": (GROUPED + ROUTER + 4 * MIXTRAL_EXPERT, GROUPED + ROUTER + 2 * MIXTRAL_EXPERT),  # biases left out
    "qwen3_moe": (GROUPED + ROUTER + 4 * QWEN_EXPERT, GROUPED + ROUTER + 2 * QWEN_EXPERT),
    # With an expert that every token meets, and its gate.
    "qwen2_moe": (GROUPED + ROUTER + 5 * QWEN_EXPERT + D, GROUPED + ROUTER + 3 * QWEN_EXPERT + D),
}


@pytest.mark.parametrize("family", WORKED_OUT)
def test_weights_of_a_layer(family: str) -> None:
    model = small_family(family)
    assert (block_weights(model), active_block_weights(model)) == WORKED_OUT[family]


def test_shared_embeddings_count_once() -> None:
    model = small_family("gpt2")
    assert model.config.tie_word_embeddings
    layer = 12 * D * D + 13 * D
    loaded = LanguageModel("small", "", model, None)
    assert loaded.parameters == (VOCABULARY + CONTEXT) * D + LAYERS * layer + 2 * D


@pytest.mark.parametrize("family", ["gpt2", "gptj", "mpt", "bloom", "mamba", "opt"])
def test_contexts_go_by_many_names(family: str) -> None:
    wanted = {"bloom": None, "mamba": None, "mpt": 2048}.get(family, CONTEXT)
    assert longest_context(small_family(family).config) == wanted


def test_what_sets_no_limit_has_none() -> None:
    assert longest_context(SimpleNamespace(max_position_embeddings=None, n_positions=-1)) is None
    assert longest_context(SimpleNamespace(max_position_embeddings=None, max_seq_len=7)) == 7


@pytest.mark.parametrize("family", ["mistral", "recurrent_gemma", "gpt_neo"])
def test_windows_go_by_many_names(family: str) -> None:
    assert attention_window(small_family(family).config) == 8


def test_what_sees_all_has_no_window() -> None:
    assert attention_window(small_family("gpt_neox").config) is None
    assert attention_window(SimpleNamespace(sliding_window=None, attention_chunk_size=7)) == 7
