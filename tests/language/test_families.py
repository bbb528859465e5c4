"""Small random models of every family that transformers and TransformerLens both know, and of others beyond them.

Independent of the kit: hidden states are those that transformers itself records, and a splice is made at the next
layer's input.
"""

from functools import cache

import pytest
import torch
from transformer_lens.factories.architecture_adapter_factory import SUPPORTED_ARCHITECTURES

from saelib.language.bridge import folded_bridge, outputs_of_bridge
from saelib.language.forward_pass import BarePass
from saelib.language.model import LanguageModel
from saelib.language.proof import MismatchError, check_outputs, own_outputs, proof_rows
from saelib.language.reference import row_residual
from tests.helpers.families import CONTEXT, VOCABULARY, logits_with_input, small_family
from tests.helpers.small_models import small_tokenizer

FAMILIES = [
    "afmoe", "apertus", "arcee", "bamba", "bitnet", "bloom", "codegen", "cohere", "cohere2", "deepseek_v2",
    "deepseek_v3", "ernie4_5", "ernie4_5_moe", "exaone4", "falcon", "falcon_h1", "falcon_mamba", "flex_olmo", "gemma",
    "gemma2", "gemma3_text", "gemma4_text", "glm", "glm4", "glm4_moe", "glm4_moe_lite", "glm_moe_dsa", "gpt2",
    "gpt_bigcode", "gpt_neo", "gpt_neox", "gpt_oss", "gptj", "granite", "granitemoe", "granitemoehybrid",
    "hunyuan_v1_dense", "jais2", "jamba", "jetmoe", "laguna", "lfm2", "lfm2_moe", "llama", "llama4_text", "mamba",
    "mamba2", "minimax_m2", "ministral3", "mistral", "mixtral", "modernbert-decoder", "mpt", "nanochat", "nemotron",
    "nemotron_h", "olmo", "olmo2", "olmo3", "olmo_hybrid", "olmoe", "openai-gpt", "opt", "phi", "phi3", "phimoe",
    "qwen2", "qwen2_moe", "qwen3", "qwen3_5_moe_text", "qwen3_5_text", "qwen3_moe", "qwen3_next", "recurrent_gemma",
    "rwkv", "seed_oss", "smollm3", "stablelm", "starcoder2", "vaultgemma", "xglm", "youtu", "zamba2",
]  # fmt: skip
BARE = {"gpt2", "gpt_neox", "llama", "qwen2", "qwen3"}
# Per-layer embeddings, and the first embedding once more before shared blocks.
READ_TOKENS_AGAIN = {"gemma4_text", "zamba2"}
REFUSED = {
    "bert": "BertLMHeadModel reads later tokens",
    "deepseek_v4": r"layer 0 of DeepseekV4ForCausalLM gives \(2, 16, 4, 32\), not one vector a token",
    "gemma3n_text": r"layer 0 of Gemma3nForCausalLM gives \(4, 2, 16, 32\), not one vector a token",
    "hrm_text": "HrmTextForCausalLM has no list of 32 layers",
}
"""What hands on several streams, runs its layers in loops, or is not causal."""
RECORD_LATE = {"mamba", "mamba2", "falcon_mamba", "rwkv"}
"""Families whose first recorded state is that after layer 0, not before it."""
NO_BRIDGE = {
    "granitemoehybrid": "Original component not set for model.rotary_emb",
    "openai-gpt": "stack expects a non-empty TensorList",
    "phimoe": "Could not determine supported architecture",
    "vaultgemma": "does not support compatibility mode",
}


@cache
def language_model(family: str) -> LanguageModel:
    return LanguageModel(f"./{family}", "", small_family(family), small_tokenizer())


def some_rows() -> torch.Tensor:
    """Longer than every window of `families.SIZES`."""
    return torch.randint(VOCABULARY, (2, CONTEXT // 2), generator=torch.Generator().manual_seed(1))


def agree(found: torch.Tensor, wanted: torch.Tensor) -> bool:
    return torch.allclose(found, wanted, rtol=0, atol=2e-5 * float(wanted.abs().max()))


@torch.no_grad()
def recorded(family: str, tokens: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Residual streams of all layers but the last, behind which many models put their final norm, and logits."""
    output = language_model(family).hugging_face(tokens, output_hidden_states=True, use_cache=False)
    states = list(output.hidden_states)
    return states[:-2] if family in RECORD_LATE else states[1:-1], output.logits


@pytest.mark.parametrize("family", FAMILIES)
def test_streams_logits_and_splices_are_those_of_transformers(family: str) -> None:
    model, tokens = language_model(family), some_rows()
    streams, logits = recorded(family, tokens)
    found = model.residual_streams(tokens, range(model.n_layers))
    assert len(streams) == model.n_layers - 1
    for layer, stream in enumerate(streams):
        wanted = stream - stream.mean(-1, keepdim=True) if model.is_centred else stream
        assert agree(found[layer], wanted), f"layer {layer}"
        spliced = found[layer] + torch.randn(stream.shape, generator=torch.Generator().manual_seed(layer))
        told = logits_with_input(model.hugging_face, tokens, layer + 1, spliced).log_softmax(-1)
        assert agree(model.logits_from(spliced, layer, tokens).log_softmax(-1), told), f"spliced layer {layer}"
        read = model.head.logits(model.head_inputs_from(spliced, layer, tokens).flatten(0, 1)).view_as(told)
        assert agree(read.log_softmax(-1), told), f"head after layer {layer}"
    for given in (model.logits(tokens), model.logits_from(found[-1], model.n_layers - 1, tokens)):
        assert agree(given.log_softmax(-1), logits.log_softmax(-1))
        assert given.mean(-1).abs().max() < 1e-5 * max(1.0, float(given.abs().max()))
    assert isinstance(model._pass, BarePass) is (family in BARE)
    assert model.reads_tokens_again is (family in READ_TOKENS_AGAIN)


@pytest.mark.parametrize("family", REFUSED)
def test_what_has_no_one_residual_stream_or_looks_ahead_is_refused_by_name(family: str) -> None:
    model = language_model(family)
    with pytest.raises(MismatchError, match=f"language model ./{family} is refused: {REFUSED[family]}"):
        model.logits(some_rows())


@pytest.mark.parametrize("family", FAMILIES)
def test_the_bridge_is_the_model_or_refused_by_name(family: str) -> None:
    model, tokens = language_model(family), some_rows()
    if family in NO_BRIDGE:
        with pytest.raises(MismatchError, match=f"bridge of ./{family} .*{NO_BRIDGE[family]}"):
            model.bridge  # noqa: B018
        return
    _, logits = recorded(family, tokens)
    with torch.no_grad():
        assert agree(model.bridge(tokens).log_softmax(-1), logits.log_softmax(-1))
    for layer in (0, model.n_layers - 1):
        assert agree(row_residual(model, tokens, layer), model.residual_streams(tokens, [layer])[0])


def test_folding_value_biases_is_wrong_where_attention_has_sinks() -> None:
    """The case that was silent: 0.9 nats."""
    model = language_model("gpt_oss")
    tokens = proof_rows(VOCABULARY, CONTEXT)
    own = own_outputs(model.hugging_face, tokens)
    folded = folded_bridge("./gpt_oss", model.hugging_face, model.tokenizer, {})
    found = outputs_of_bridge(folded, tokens, model.n_layers)
    assert (found.logits.log_softmax(-1) - own.logits.log_softmax(-1)).abs().max() > 0.1
    with pytest.raises(MismatchError, match=r"the residual stream of layer 0 is off by 0\.\d+ of its length"):
        check_outputs(found, own, centred=False)


def test_no_family_that_both_know_is_left_out() -> None:
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    tried = {MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[family] for family in [*FAMILIES, *REFUSED]}
    both = {name for name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values() if name in SUPPORTED_ARCHITECTURES}
    left = both - tried
    # These also see pictures; their text towers are tried.
    assert left == {name for name in left if name.endswith("ForConditionalGeneration")}
