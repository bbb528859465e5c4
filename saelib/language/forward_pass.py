"""Two ways through a language model that give the same numbers: layer after layer (fast), or with hooks (any model).

In: token ids, or a residual stream from which to go on. Out: residual streams after chosen layers, and logits, as
TransformerLens names and centres them: `blocks.{i}.hook_resid_post`, logits whose mean over the vocabulary is 0; or
what the model's head reads, for losses that need no logits (`head`). The bare pass is here, the other one is
`hooked_pass`; `proof` says which of them a model gets.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from saelib.language.head import Head, LinearHead

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class ForwardPass(Protocol):
    """What every way through a model offers; nothing here records gradients."""

    @property
    def head(self) -> Head:
        """From `head_inputs_from` to logits."""
        ...

    @property
    def thread_safe(self) -> bool:
        """Whether several threads may be in it at once."""
        ...

    @property
    def reads_tokens_again(self) -> bool:
        """Whether a pass that goes on from a residual stream depends on the rows' tokens too."""
        ...

    @property
    def centred(self) -> bool:
        """Whether residual streams are given without their mean over d_model, which then changes nothing."""
        ...

    def residual_streams(
        self, tokens: Int[Tensor, "rows context"], layers: Sequence[int]
    ) -> Float[Tensor, "layers rows context d_model"]:
        """`blocks.{i}.hook_resid_post` of each wanted layer, in the order asked for."""
        ...

    def logits_from(
        self, residual: Float[Tensor, "rows context d_model"], layer: int, tokens: Int[Tensor, "rows context"]
    ) -> Float[Tensor, "rows context vocabulary"]:
        """Logits of a pass in which `blocks.{layer}.hook_resid_post` is `residual`."""
        ...

    def head_inputs_from(
        self, residual: Float[Tensor, "rows context d_model"], layer: int, tokens: Int[Tensor, "rows context"]
    ) -> Float[Tensor, "rows context width"]:
        """What `head` reads in a pass in which `blocks.{layer}.hook_resid_post` is `residual`."""
        ...

    def logits(self, tokens: Int[Tensor, "rows context"]) -> Float[Tensor, "rows context vocabulary"]:
        """Logits of an ordinary pass."""
        ...


class Parts(NamedTuple):
    """The pieces of a Hugging Face model that a pass goes through, one after the other."""

    embed: Callable[[Tensor], Tensor]  # token ids to the residual stream before layer 0
    layers: nn.ModuleList
    layer_arguments: Callable[[Tensor], dict[str, Any]]  # the same ones for every layer, from any residual stream
    final_norm: nn.Module
    centred: bool  # TransformerLens centres what is written where a LayerNorm reads it, but not for an RMSNorm


class BarePass:
    """A loop over the layers of the bare Hugging Face model, with its raw weights.

    LayerNorm ignores the mean over d_model, so TransformerLens's centred residual stream is the raw one minus that
    mean, and a pass may go on from either. The loop stops after the deepest wanted layer and starts after the spliced
    one; no later layer reads the tokens again.
    """

    thread_safe = True
    reads_tokens_again = False

    def __init__(self, model: "PreTrainedModel") -> None:
        model.set_attn_implementation("sdpa")  # causal where no mask is given; the eager one would look ahead
        self.parts = PARTS[type(model).__name__](model)
        self.head = LinearHead(model.get_output_embeddings().weight.detach())  # none of PARTS adds anything to it
        self.mean_unembedding = self.head.weight.mean(0)

    @property
    def centred(self) -> bool:
        """See `ForwardPass`."""
        return self.parts.centred

    @torch.no_grad()
    def residual_streams(
        self, tokens: Int[Tensor, "rows context"], layers: Sequence[int]
    ) -> Float[Tensor, "layers rows context d_model"]:
        """See `ForwardPass`."""
        residual = self.parts.embed(tokens)
        streams = residual.new_empty(len(layers), *residual.shape)
        arguments = self.parts.layer_arguments(residual)
        for index, layer in enumerate(self.parts.layers[: max(layers) + 1]):
            residual = layer(residual, **arguments)
            for place in (place for place, wanted in enumerate(layers) if wanted == index):
                streams[place] = residual
                if self.parts.centred:
                    streams[place] -= residual.mean(-1, keepdim=True)
        return streams

    @torch.no_grad()
    def logits_from(
        self, residual: Float[Tensor, "rows context d_model"], layer: int, tokens: Int[Tensor, "rows context"]
    ) -> Float[Tensor, "rows context vocabulary"]:
        """See `ForwardPass`; layers up to `layer` are not computed."""
        final = self.head_inputs_from(residual, layer, tokens)
        return nn.functional.linear(final, self.head.weight).sub_((final @ self.mean_unembedding).unsqueeze(-1))

    @torch.no_grad()
    def head_inputs_from(
        self, residual: Float[Tensor, "rows context d_model"], layer: int, tokens: Int[Tensor, "rows context"]
    ) -> Float[Tensor, "rows context d_model"]:
        """See `ForwardPass`; the residual stream after the final norm."""
        arguments = self.parts.layer_arguments(residual)
        for later in self.parts.layers[layer + 1 :]:
            residual = later(residual, **arguments)
        return self.parts.final_norm(residual)

    def logits(self, tokens: Int[Tensor, "rows context"]) -> Float[Tensor, "rows context vocabulary"]:
        """See `ForwardPass`."""
        return self.logits_from(self.parts.embed(tokens), -1, tokens)


def hook_name(layer: int) -> str:
    """TransformerLens's name of the residual stream after a layer."""
    return f"blocks.{layer}.hook_resid_post"


def _positions(residual: Float[Tensor, "rows context d_model"]) -> Int[Tensor, "1 context"]:
    return torch.arange(residual.shape[1], device=residual.device).unsqueeze(0)


def _gpt_neox(model: Any) -> Parts:
    body = model.gpt_neox

    def arguments(residual: Tensor) -> dict[str, Any]:
        return {"position_embeddings": body.rotary_emb(residual, _positions(residual))}

    return Parts(body.embed_in, body.layers, arguments, body.final_layer_norm, centred=True)


def _gpt2(model: Any) -> Parts:
    body = model.transformer

    def embed(tokens: Tensor) -> Tensor:
        return body.wte(tokens) + body.wpe(_positions(tokens))

    return Parts(embed, body.h, lambda residual: {}, body.ln_f, centred=True)


def _llama(model: Any) -> Parts:
    body = model.model

    def arguments(residual: Tensor) -> dict[str, Any]:
        return {"position_embeddings": body.rotary_emb(residual, _positions(residual))}

    return Parts(body.embed_tokens, body.layers, arguments, body.norm, centred=False)


# Every other architecture goes through hooks. So does one of these where `proof` finds a difference.
PARTS: dict[str, Callable[[Any], Parts]] = {
    "GPTNeoXForCausalLM": _gpt_neox,
    "GPT2LMHeadModel": _gpt2,
    "LlamaForCausalLM": _llama,
    "MistralForCausalLM": _llama,
    "Qwen2ForCausalLM": _llama,
    "Qwen3ForCausalLM": _llama,
}
_LENGTH_DEPENDENT = ("dynamic", "longrope")  # rotations that change with the length of what is read


def has_bare_pass(model: "PreTrainedModel") -> bool:
    """Whether the loop over layers is offered: for a known architecture that attends plainly."""
    return type(model).__name__ in PARTS and attends_plainly(model)


def attends_plainly(model: "PreTrainedModel") -> bool:
    """Whether a model has no mask but the causal one (no sliding window), and nothing that only longer rows show."""
    config: Any = model.config.get_text_config()
    slides = getattr(config, "sliding_window", None) is not None and getattr(config, "use_sliding_window", True)
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    rope = getattr(config, "rope_parameters", None) or {}
    fixed = rope.get("rope_type", "default") not in _LENGTH_DEPENDENT
    return kinds == {"full_attention"} and not slides and fixed
