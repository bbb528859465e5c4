"""GPT-NeoX in plain PyTorch: the sums of transformers' own class, without the seconds that its import takes.

In: the config and the weights of a saved model. Out: a model that reads. Parts, weights and arguments have
transformers' names, so that what reads a Hugging Face model reads this one too. It is not for training (it drops
nothing out): `deferred` has transformers' model of the same weights. Black et al. 2022 (arXiv:2204.06745): attention
and MLP stand side by side, each behind a LayerNorm of its own; positions turn the first part of each head.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from saelib.language.gpt_neox_config import GPTNeoXConfig

Rotations = tuple[Float[Tensor, "1 places rotated"], Float[Tensor, "1 places rotated"]]


class _Unfilled:
    """A module that makes room for weights and leaves them to be read."""

    def reset_parameters(self) -> None:
        """Draw no random numbers: on `meta` even that would import half of PyTorch."""


class Linear(_Unfilled, nn.Linear):
    """See `_Unfilled`."""


class Embedding(_Unfilled, nn.Embedding):
    """See `_Unfilled`."""


class LayerNorm(_Unfilled, nn.LayerNorm):
    """See `_Unfilled`."""


class KeyValueCache:
    """Keys and values of what was read, layer by layer; methods as in transformers' DynamicCache."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._layers: dict[int, tuple[Tensor, Tensor]] = {}

    def update(self, keys: Tensor, values: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """Add those of new tokens; returns all of the layer."""
        if layer in self._layers:
            old_keys, old_values = self._layers[layer]
            keys, values = torch.cat([old_keys, keys], dim=-2), torch.cat([old_values, values], dim=-2)
        self._layers[layer] = keys, values
        return keys, values

    def get_seq_length(self) -> int:
        """Tokens that were read."""
        return self._layers[0][0].shape[-2] if self._layers else 0

    def crop(self, max_length: int) -> None:
        """Keep the first `max_length` tokens, or where it is negative all but the last so many."""
        self._layers = {
            layer: (keys[..., :max_length, :], values[..., :max_length, :])
            for layer, (keys, values) in self._layers.items()
        }


class Attention(nn.Module):
    """Every place looks at itself and at earlier ones; a mask, where one is given, says at which."""

    def __init__(self, config: GPTNeoXConfig, layer: int) -> None:
        """Make room; weights are read later."""
        super().__init__()
        width = config.hidden_size
        self.head_size, self.layer = config.head_size, layer
        self.query_key_value = Linear(width, 3 * width, device="meta")
        self.dense = Linear(width, width, device="meta")

    def forward(
        self, normed: Tensor, rotations: Rotations, mask: Tensor | None, cache: KeyValueCache | None
    ) -> Float[Tensor, "rows places hidden"]:
        """What attention adds to the residual stream."""
        rows, places, width = normed.shape
        mixed = self.query_key_value(normed).view(rows, places, -1, 3 * self.head_size).transpose(1, 2)
        query, key, value = mixed.chunk(3, dim=-1)
        query, key = rotate(query, rotations), rotate(key, rotations)
        if cache is not None:
            key, value = cache.update(key, value, self.layer)
        seen = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, scale=self.head_size**-0.5, is_causal=mask is None and places > 1
        )
        return self.dense(seen.transpose(1, 2).reshape(rows, places, width))


class MLP(nn.Module):
    """Two matrices with a GELU between."""

    def __init__(self, config: GPTNeoXConfig) -> None:
        """Make room; weights are read later."""
        super().__init__()
        self.dense_h_to_4h = Linear(config.hidden_size, config.intermediate_size, device="meta")
        self.dense_4h_to_h = Linear(config.intermediate_size, config.hidden_size, device="meta")

    def forward(self, normed: Tensor) -> Tensor:
        """What the MLP adds to the residual stream."""
        return self.dense_4h_to_h(functional.gelu(self.dense_h_to_4h(normed)))


class Layer(nn.Module):
    """x + attention(LayerNorm_1(x)) + MLP(LayerNorm_2(x))."""

    def __init__(self, config: GPTNeoXConfig, layer: int) -> None:
        """Make room; weights are read later."""
        super().__init__()
        self.input_layernorm = LayerNorm(config.hidden_size, config.layer_norm_eps, device="meta")
        self.post_attention_layernorm = LayerNorm(config.hidden_size, config.layer_norm_eps, device="meta")
        self.attention = Attention(config, layer)
        self.mlp = MLP(config)

    def forward(
        self,
        hidden_states: Float[Tensor, "rows places hidden"],
        position_embeddings: Rotations,
        attention_mask: Tensor | None = None,
        layer_past: KeyValueCache | None = None,
    ) -> Float[Tensor, "rows places hidden"]:
        """The residual stream after this layer."""
        attended = self.attention(self.input_layernorm(hidden_states), position_embeddings, attention_mask, layer_past)
        return self.mlp(self.post_attention_layernorm(hidden_states)) + attended + hidden_states


class Rotary(nn.Module):
    """Cosines and sines of the angles by which heads are turned."""

    inv_freq: Float[Tensor, " angles"]

    def __init__(self, config: GPTNeoXConfig) -> None:
        """Frequencies fall from 1 to almost 1 / `rope_theta`."""
        super().__init__()
        rotated = int(config.head_size * config.rope_parameters["partial_rotary_factor"])
        steps = torch.arange(0, rotated, 2, dtype=torch.float) / rotated
        self.register_buffer("inv_freq", 1.0 / config.rope_parameters["rope_theta"] ** steps, persistent=False)

    def forward(self, residual: Tensor, position_ids: Int[Tensor, "1 places"]) -> Rotations:
        """For places; `residual` gives the type of number."""
        angles = position_ids[..., None].float() * self.inv_freq
        both = torch.cat([angles, angles], dim=-1)
        return both.cos().to(residual.dtype), both.sin().to(residual.dtype)


def rotate(heads: Float[Tensor, "rows heads places size"], rotations: Rotations) -> Tensor:
    """The first part of each head turned, the rest as it is."""
    cos, sin = (table.unsqueeze(1) for table in rotations)
    size = cos.shape[-1]
    turned, rest = heads[..., :size], heads[..., size:]
    first, second = turned[..., : size // 2], turned[..., size // 2 :]
    return torch.cat([turned * cos + torch.cat([-second, first], dim=-1) * sin, rest], dim=-1)


class Body(nn.Module):
    """Embedding, layers and the last LayerNorm."""

    def __init__(self, config: GPTNeoXConfig) -> None:
        """Make room; weights are read later."""
        super().__init__()
        self.embed_in = Embedding(config.vocab_size, config.hidden_size, device="meta")
        self.layers = nn.ModuleList([Layer(config, layer) for layer in range(config.num_hidden_layers)])
        self.final_layer_norm = LayerNorm(config.hidden_size, config.layer_norm_eps, device="meta")
        self.rotary_emb = Rotary(config)


class Output(NamedTuple):
    """What a pass gives."""

    logits: Float[Tensor, "rows kept vocabulary"]


class GenerationSettings(NamedTuple):
    """Of generation_config.json, what ends a reply."""

    eos_token_id: int | list[int] | None


class GPTNeoXForCausalLM(nn.Module):
    """A model that reads; named as in transformers, whose architectures are told apart by this name."""

    def __init__(self, config: GPTNeoXConfig, generation_config: GenerationSettings) -> None:
        """Make room; weights are read later."""
        super().__init__()
        self.config, self.generation_config = config, generation_config
        self.gpt_neox = Body(config)
        self.lm_head = Linear(config.hidden_size, config.vocab_size, bias=False, device="meta")

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.lm_head.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return self.lm_head.weight.dtype

    def get_input_embeddings(self) -> Embedding:
        """Token ids to the residual stream."""
        return self.gpt_neox.embed_in

    def get_output_embeddings(self) -> Linear:
        """The residual stream to logits."""
        return self.lm_head

    def set_attn_implementation(self, name: str) -> None:
        """There is one.

        Raises:
            ValueError: another is asked for.
        """
        if name != "sdpa":
            raise ValueError(f"attention {name!r} is transformers' own: take `hugging_face` or `bridge`")

    def forward(
        self,
        input_ids: Int[Tensor, "rows places"],
        position_ids: Int[Tensor, "1 places"] | None = None,
        attention_mask: Float[Tensor, "rows 1 places columns"] | None = None,
        past_key_values: KeyValueCache | None = None,
        use_cache: bool = True,
        logits_to_keep: int | Int[Tensor, " kept"] = 0,
    ) -> Output:
        """Logits of the next token; arguments as in transformers.

        Args:
            position_ids: needed after a cache that holds something.
            attention_mask: added to the scores; needed there too.
            use_cache: the cache is used where one is given.
            logits_to_keep: so many last places (0: all), or the places themselves.

        Raises:
            ValueError: positions or a mask are missing.
        """
        body = self.gpt_neox
        goes_on = past_key_values is not None and past_key_values.get_seq_length() > 0
        if goes_on and (position_ids is None or attention_mask is None):
            raise ValueError("after a cache that holds something, give positions and a mask")
        if position_ids is None:
            position_ids = torch.arange(input_ids.shape[1], device=input_ids.device)[None]
        residual = body.embed_in(input_ids)
        rotations = body.rotary_emb(residual, position_ids)
        for layer in body.layers:
            residual = layer(residual, rotations, attention_mask, past_key_values)
        kept = slice(-logits_to_keep or None, None) if isinstance(logits_to_keep, int) else logits_to_keep
        return Output(self.lm_head(body.final_layer_norm(residual)[:, kept]))
