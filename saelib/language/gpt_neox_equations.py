"""GPT-NeoX once more, by its equations: with them the passes of a deferred model are compared before they are used.

In: the weights of a saved model by name, its config, and a few short rows. Out: residual streams and logits. It shares
no line with `gpt_neox` or transformers: softmax and GELU are written out, positions turn pairs of numbers as complex
ones. Black et al. 2022 (arXiv:2204.06745), section 2.1; Su et al. 2021 (arXiv:2104.09864), section 3.2.
"""

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from saelib.language.gpt_neox_config import GPTNeoXConfig
from saelib.language.proof import OwnOutputs


@torch.no_grad()
def gpt_neox_outputs(
    weights: Mapping[str, Tensor], config: GPTNeoXConfig, tokens: Int[Tensor, "rows places"]
) -> OwnOutputs:
    """What the model gives: x := x + attention(norm_1(x)) + MLP(norm_2(x)) for each layer, then a norm and the head."""
    x, streams = weights["gpt_neox.embed_in.weight"][tokens], []
    for layer in range(config.num_hidden_layers):
        own = _below(weights, f"gpt_neox.layers.{layer}.")
        attended = _attention(own, _norm(own, "input_layernorm", x, config), config)
        hidden = _affine(own, "mlp.dense_h_to_4h", _norm(own, "post_attention_layernorm", x, config))
        x = x + attended + _affine(own, "mlp.dense_4h_to_h", hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2)
        streams.append(x)
    final = _norm(_below(weights, "gpt_neox."), "final_layer_norm", x, config)
    return OwnOutputs(torch.stack(streams), final @ weights["lm_head.weight"].T)


def _below(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): weight for name, weight in weights.items() if name.startswith(prefix)}


def _affine(weights: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def _norm(weights: Mapping[str, Tensor], name: str, x: Tensor, config: GPTNeoXConfig) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    spread = (centred.square().mean(-1, keepdim=True) + config.layer_norm_eps).sqrt()
    return centred / spread * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def _attention(
    weights: Mapping[str, Tensor], normed: Float[Tensor, "rows places hidden"], config: GPTNeoXConfig
) -> Float[Tensor, "rows places hidden"]:
    shape = (config.num_attention_heads, 3, config.head_size)
    query, key, value = _affine(weights, "attention.query_key_value", normed).unflatten(-1, shape).unbind(-2)
    scores = torch.einsum("rqhd,rkhd->rhqk", _turned(query, config), _turned(key, config)) / math.sqrt(config.head_size)
    places = torch.arange(normed.shape[1], device=normed.device)
    scores = scores.masked_fill(places[None, :] > places[:, None], -math.inf)
    shares = (scores - scores.amax(-1, keepdim=True)).exp()  # of large scores, the exponential is infinite
    shares = shares / shares.sum(-1, keepdim=True)
    return _affine(weights, "attention.dense", torch.einsum("rhqk,rkhd->rqhd", shares, value).flatten(-2))


def _turned(heads: Float[Tensor, "rows places heads size"], config: GPTNeoXConfig) -> Tensor:
    """Number i of the first half of what is turned, and of the second, are the parts of one complex number."""
    rope = config.rope_parameters
    half = int(config.head_size * rope["partial_rotary_factor"]) // 2
    angles = torch.arange(heads.shape[1])[:, None] / rope["rope_theta"] ** (torch.arange(half) / half)
    turns = torch.polar(torch.ones_like(angles), angles).to(heads.device)[:, None]
    first, second, rest = heads.split([half, half, heads.shape[-1] - 2 * half], dim=-1)
    both = torch.complex(first, second) * turns
    return torch.cat([both.real, both.imag, rest], dim=-1)
