"""A small random model of nearly every family of causal language models that transformers knows, from sizes alone."""

from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedModel
from transformers.integrations.heterogeneity.configuration_utils import AmbiguousGlobalPerLayerAttributeError

from saelib.language.hooked_pass import layers_of
from tests.helpers.small_models import with_random_weights

VOCABULARY, CONTEXT, LAYERS = 320, 64, 4
# Families call one thing by many names; each config takes those that it knows.
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY, "vocab_size_per_layer_input": VOCABULARY, "max_position_embeddings": CONTEXT,
    "n_ctx": CONTEXT, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 0,
    "num_hidden_layers": LAYERS, "decoder_layers": LAYERS, "encoder_layers": 2,
    "hidden_size": 32, "d_model": 32, "embedding_size": 32, "word_embed_proj_dim": 32, "lru_width": 32,
    "intermediate_size": 64, "ffn_dim": 64, "decoder_ffn_dim": 64, "ffn_hidden_size": 64,
    "num_attention_heads": 4, "decoder_attention_heads": 4, "encoder_attention_heads": 4, "num_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "rotary_dim": 4, "sliding_window": 8, "attention_window_size": 8,
    "q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8,
    "n_routed_experts": 4, "num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2, "moe_topk": 2,
    "moe_intermediate_size": 32, "shared_expert_intermediate_size": 32, "n_group": 1, "topk_group": 1,
    "first_k_dense_replace": 1, "hidden_size_per_layer_input": 8, "state_size": 8, "n_groups": 2,
    "mamba_n_heads": 4, "mamba_d_head": 16, "mamba_d_state": 8, "chunk_size": 16, "mamba_chunk_size": 16,
    "mamba_num_heads": 4, "mamba_head_dim": 16, "ssm_state_size": 8, "moe_shared_expert_intermediate_size": 32,
    "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 8, "linear_value_head_dim": 8,
}  # fmt: skip
_LATENT = {"num_key_value_heads": 4, "head_dim": 8}
CHANGES: dict[str, dict[str, Any]] = {
    "deepseek_v2": _LATENT, "deepseek_v3": _LATENT, "glm4_moe_lite": _LATENT, "youtu": _LATENT, "glm_moe_dsa": _LATENT,
    "bamba": {"attn_layer_indices": [1, 3]},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"] * 2},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "falcon": {"head_dim": None},
    "falcon_h1": {"mamba_d_ssm": 64},
    "gpt_neo": {"attention_types": [[["global", "local"], 2]], "window_size": 8},
    "gemma3n_text": {"layer_types": ["sliding_attention", "full_attention"] * 2, "num_kv_shared_layers": 2,
                     "intermediate_size": [64] * LAYERS, "activation_sparsity_pattern": [0.0] * LAYERS,
                     "laurel_rank": 8},
    "gemma4_text": {"layer_types": ["sliding_attention", "full_attention"] * 2, "num_kv_shared_layers": 2,
                    "head_dim": 8, "per_layer_config": {}},
    "mamba2": {"num_heads": 8, "head_dim": 8},
    "lfm2": {"layer_types": ["conv", "full_attention"] * 2},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * 2},
    "zamba2": {"layer_types": ["mamba", "hybrid"] * 2, "hybrid_layer_ids": [1, 3], "n_mamba_heads": 4},
}  # fmt: skip


def small_family(model_type: str) -> PreTrainedModel:
    """A model of a family, a few layers of width 32, every weight random; its config names its class."""
    config = _config(model_type)
    torch.manual_seed(0)
    model = with_random_weights(AutoModelForCausalLM.from_config(config, dtype=torch.float32))
    model.config.architectures = [type(model).__name__]
    return model


def _config(model_type: str) -> Any:
    family = CONFIG_MAPPING[model_type]
    default = family()
    text = type(default.get_text_config())
    known = text()
    aliases = getattr(text, "attribute_map", {})
    sizes = {name: value for name, value in SIZES.items() if _knows(known, name)}
    for name, own in aliases.items():
        if name in sizes and own in sizes:
            del sizes[own]
    sizes |= CHANGES.get(model_type, {})
    config = text(**{name: value for name, value in sizes.items() if value is not None})
    is_whole = text is family or text in AutoModelForCausalLM._model_mapping
    return config if is_whole else family(text_config=config.to_dict())


def _knows(config: Any, name: str) -> bool:
    try:
        return hasattr(config, name)
    except AmbiguousGlobalPerLayerAttributeError:  # one that differs from layer to layer
        return False


@torch.no_grad()
def logits_with_input(model: PreTrainedModel, tokens: torch.Tensor, layer: int, stream: torch.Tensor) -> torch.Tensor:
    """Logits when a layer reads `stream`."""

    def replace(module: Any, arguments: Any, options: dict[str, Any]) -> Any:
        if arguments:
            return (stream, *arguments[1:]), options
        return arguments, options | {"hidden_states": stream}

    handle = layers_of(model)[layer].register_forward_pre_hook(replace, with_kwargs=True)
    try:
        return model(tokens, use_cache=False).logits
    finally:
        handle.remove()
