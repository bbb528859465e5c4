"""Which saved GPT-NeoX models `gpt_neox` computes exactly: those whose config.json asks for nothing that it lacks.

In: the content of a config.json. Out: the sizes and rotations of the model, or None.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

# Fields of config.json with the values that this module computes, and those that change nothing that is read.
_COMPUTED = {
    "model_type": "gpt_neox",
    "architectures": ["GPTNeoXForCausalLM"],
    "hidden_act": "gelu",
    "attention_bias": True,
    "tie_word_embeddings": False,
    "use_parallel_residual": True,
}
_WITHOUT_EFFECT = {
    "attention_dropout", "bos_token_id", "classifier_dropout", "dtype", "eos_token_id", "hidden_dropout",
    "initializer_range", "is_decoder", "pad_token_id", "transformers_version", "use_cache",
}  # fmt: skip


@dataclass(frozen=True)
class GPTNeoXConfig:
    """What the sums need to know, under transformers' names."""

    hidden_size: int
    intermediate_size: int
    layer_norm_eps: float
    max_position_embeddings: int
    num_attention_heads: int
    num_hidden_layers: int
    vocab_size: int
    rope_parameters: Mapping[str, Any]

    @property
    def head_size(self) -> int:
        """Width of a head."""
        return self.hidden_size // self.num_attention_heads

    def get_text_config(self) -> "GPTNeoXConfig":
        """Itself; a model that sees pictures too would have several."""
        return self


def plain_config(content: Mapping[str, Any]) -> GPTNeoXConfig | None:
    """A config.json, where it asks for nothing but what this module computes."""
    wanted = {field.name for field in fields(GPTNeoXConfig)}
    if any(content.get(name) != value for name, value in _COMPUTED.items()) or not wanted <= content.keys():
        return None
    if content.keys() - wanted - _COMPUTED.keys() - _WITHOUT_EFFECT:
        return None
    rope = content["rope_parameters"]
    if (
        not isinstance(rope, dict)
        or rope.keys() != {"rope_type", "rope_theta", "partial_rotary_factor"}
        or rope["rope_type"] != "default"
    ):
        return None
    return GPTNeoXConfig(**{name: content[name] for name in wanted})
