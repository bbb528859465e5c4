"""Two ways through a language model that give the same numbers: the bare model (fast) and its bridge (any model).

In: token ids, or a residual stream from which to go on. Out: residual streams after chosen layers, and logits, as
TransformerLens names and centres them: `blocks.{i}.hook_resid_post`, logits whose mean over the vocabulary is 0; or
what the model's head reads, for losses that need no logits (`head`).
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from saelib.language.head import Head, LinearHead, LogitsHead

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge
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

    def residual_streams(
        self, tokens: Int[Tensor, "rows context"], layers: Sequence[int]
    ) -> Float[Tensor, "layers rows context d_model"]:
        """`blocks.{i}.hook_resid_post` of each wanted layer, in the order asked for."""
        ...

    def logits_from(
        self, residual: Float[Tensor, "rows context d_model"], layer: int
    ) -> Float[Tensor, "rows context vocabulary"]:
        """Logits of a pass in which `blocks.{layer}.hook_resid_post` is `residual`."""
        ...

    def head_inputs_from(
        self, residual: Float[Tensor, "rows context d_model"], layer: int
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
    one, and attention runs without keeping its pattern, which is why it is faster than the bridge.
    """

    thread_safe = True

    def __init__(self, model: "PreTrainedModel") -> None:
        model.set_attn_implementation("sdpa")  # causal where no mask is given; the eager one would look ahead
        self.parts = PARTS[type(model).__name__](model)
        self.head = LinearHead(model.get_output_embeddings().weight.detach())  # none of PARTS adds anything to it
        self.mean_unembedding = self.head.weight.mean(0)

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
        self, residual: Float[Tensor, "rows context d_model"], layer: int
    ) -> Float[Tensor, "rows context vocabulary"]:
        """See `ForwardPass`; layers up to `layer` are not computed."""
        final = self.head_inputs_from(residual, layer)
        return nn.functional.linear(final, self.head.weight).sub_((final @ self.mean_unembedding).unsqueeze(-1))

    @torch.no_grad()
    def head_inputs_from(
        self, residual: Float[Tensor, "rows context d_model"], layer: int
    ) -> Float[Tensor, "rows context d_model"]:
        """See `ForwardPass`; the residual stream after the final norm."""
        arguments = self.parts.layer_arguments(residual)
        for later in self.parts.layers[layer + 1 :]:
            residual = later(residual, **arguments)
        return self.parts.final_norm(residual)

    def logits(self, tokens: Int[Tensor, "rows context"]) -> Float[Tensor, "rows context vocabulary"]:
        """See `ForwardPass`."""
        return self.logits_from(self.parts.embed(tokens), layer=-1)


class BridgePass:
    """A pass through the hooks of a TransformerBridge, whatever the architecture and its head."""

    thread_safe = False  # a pass sets its hooks on the one model

    def __init__(self, bridge: "TransformerBridge") -> None:
        self.bridge, self.head = bridge, LogitsHead()

    @torch.no_grad()
    def residual_streams(
        self, tokens: Int[Tensor, "rows context"], layers: Sequence[int]
    ) -> Float[Tensor, "layers rows context d_model"]:
        """See `ForwardPass`."""
        kept: dict[int, Tensor] = {}

        def keep(value: Tensor, hook: Any, layer: int) -> None:
            kept[layer] = value.clone()

        hooks: list[Any] = [(hook_name(layer), partial(keep, layer=layer)) for layer in set(layers)]
        self.bridge.run_with_hooks(tokens, fwd_hooks=hooks, stop_at_layer=max(layers) + 1, return_type=None)
        return torch.stack([kept[layer] for layer in layers])

    @torch.no_grad()
    def logits_from(
        self, residual: Float[Tensor, "rows context d_model"], layer: int
    ) -> Float[Tensor, "rows context vocabulary"]:
        """See `ForwardPass`; earlier layers run on made-up tokens, and what they give is replaced."""
        tokens = torch.zeros(residual.shape[:2], dtype=torch.long, device=residual.device)
        splice = (hook_name(layer), lambda value, hook: residual)
        return self.bridge.run_with_hooks(tokens, fwd_hooks=[splice], return_type="logits")

    def head_inputs_from(
        self, residual: Float[Tensor, "rows context d_model"], layer: int
    ) -> Float[Tensor, "rows context vocabulary"]:
        """See `ForwardPass`; the logits themselves."""
        return self.logits_from(residual, layer)

    @torch.no_grad()
    def logits(self, tokens: Int[Tensor, "rows context"]) -> Float[Tensor, "rows context vocabulary"]:
        """See `ForwardPass`."""
        return self.bridge(tokens, return_type="logits")


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


# Architectures whose bare pass a test compares with the bridge; every other one goes through the bridge.
PARTS: dict[str, Callable[[Any], Parts]] = {
    "GPTNeoXForCausalLM": _gpt_neox,
    "GPT2LMHeadModel": _gpt2,
    "LlamaForCausalLM": _llama,
}
