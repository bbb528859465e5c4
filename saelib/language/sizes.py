"""Sizes of a Hugging Face model that its config tells under many names, or not at all.

In: a model or its config. Out: the longest context and the attention window; the weights of one layer, and those that
one token meets.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from torch import Tensor

from saelib.language.hooked_pass import layers_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_CONTEXT = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "max_sequence_length",
            "max_target_positions", "seq_length", "context_length")  # fmt: skip
_WINDOW = ("sliding_window", "attention_window_size", "window_size", "attention_chunk_size")
_CHOSEN = ("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_top_k", "moe_k", "top_k_experts")


def longest_context(config: Any) -> int | None:
    """Tokens; None where the architecture sets no limit."""
    return _first_number(config, _CONTEXT)


def attention_window(config: Any) -> int | None:
    """Tokens that a layer with local attention sees, at most; None where the config names no such number."""
    return _first_number(config, _WINDOW)


def block_weights(model: "PreTrainedModel") -> int:
    """Numbers in the weight matrices of one layer, all experts counted; mean over the layers, rounded down."""
    return sum(weight.numel() for weight in _matrices(model).values()) // len(layers_of(model))


def active_block_weights(model: "PreTrainedModel") -> int:
    """As `block_weights`, of experts the share that each token is sent to."""
    chosen = _first_number(model.config.get_text_config(), _CHOSEN)
    total = 0
    for name, weight in _matrices(model).items():
        is_stack = weight.ndim == 3 and ".experts." in f".{name}"
        total += weight.numel() * min(chosen, len(weight)) // len(weight) if is_stack and chosen else weight.numel()
    return total // len(layers_of(model))


def _matrices(model: "PreTrainedModel") -> dict[str, Tensor]:
    """Weights of the layers with two dimensions or more, by name; biases of stacked experts have two as well."""
    return {
        f"{place}.{name}": weight
        for place, layer in enumerate(layers_of(model))
        for name, weight in layer.named_parameters()
        if weight.ndim >= 2 and not name.endswith("bias")
    }


def _first_number(config: Any, names: Iterable[str]) -> int | None:
    """The first of some settings that is a number above 0."""
    found = (getattr(config, name, None) for name in names)
    return next((value for value in found if isinstance(value, int) and value > 0), None)
