"""The way through any language model: transformers' own forward pass, with hooks on its layers.

In: token ids, or a residual stream with the token ids of its rows. Out: what `forward_pass` promises. Nothing is
folded and no sum is done anew: masks, windows, sinks, and whatever later layers read again of the tokens, are the
model's own. Slower than the bare pass: layers before a spliced one run too, and what they give is replaced.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from saelib.language.head import Head, LinearHead, LogitsHead

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class _StopError(Exception):
    """Ends a pass early: what was wanted is known."""


class HookedPass:
    """Passes through a Hugging Face model whose layers are watched.

    Args:
        model: in evaluation mode.
        head: the model's own, see `own_head`.
        centred: whether streams are given without their mean over d_model, as TransformerLens does for LayerNorms.
    """

    thread_safe = False  # a pass sets its hooks on the one model
    reads_tokens_again = True  # unless seen otherwise

    def __init__(self, model: "PreTrainedModel", head: Head, centred: bool) -> None:
        self.model, self.head, self.centred = model, head, centred
        self.layers = layers_of(model)

    @torch.no_grad()
    def residual_streams(
        self, tokens: Int[Tensor, "rows context"], layers: Sequence[int]
    ) -> Float[Tensor, "layers rows context d_model"]:
        """See `ForwardPass`; the pass stops after the deepest wanted layer."""
        kept: dict[int, Tensor] = {}

        def keep(layer: int) -> Callable[..., None]:
            def hook(module: nn.Module, inputs: Any, output: Any) -> None:
                kept[layer] = stream_of(output).clone()
                if layer == max(layers):
                    raise _StopError

            return hook

        with hooks([self.layers[layer].register_forward_hook(keep(layer)) for layer in set(layers)]):
            _run(self.model, tokens)
        streams = torch.stack([kept[layer].to(tokens.device) for layer in layers])
        return streams - streams.mean(-1, keepdim=True) if self.centred else streams

    @torch.no_grad()
    def logits_from(
        self, residual: Float[Tensor, "rows context d_model"], layer: int, tokens: Int[Tensor, "rows context"]
    ) -> Float[Tensor, "rows context vocabulary"]:
        """See `ForwardPass`."""
        with hooks([self._splice(residual, layer)]):
            return centred_logits(own_logits(self.model, tokens))

    @torch.no_grad()
    def head_inputs_from(
        self, residual: Float[Tensor, "rows context d_model"], layer: int, tokens: Int[Tensor, "rows context"]
    ) -> Float[Tensor, "rows context width"]:
        """See `ForwardPass`."""
        with hooks([self._splice(residual, layer)]):
            if isinstance(self.head, LinearHead):
                return _head_inputs(self.model, tokens)
            return own_logits(self.model, tokens)

    @torch.no_grad()
    def logits(self, tokens: Int[Tensor, "rows context"]) -> Float[Tensor, "rows context vocabulary"]:
        """See `ForwardPass`."""
        return centred_logits(own_logits(self.model, tokens))

    def _splice(self, residual: Tensor, layer: int) -> Any:
        def replace(module: nn.Module, inputs: Any, output: Any) -> Any:
            there = residual.to(stream_of(output))
            return (there, *output[1:]) if isinstance(output, (tuple, list)) else there

        return self.layers[layer].register_forward_hook(replace)


@contextmanager
def hooks(handles: Sequence[Any]) -> Iterator[None]:
    """Take hooks away again, also after an error."""
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def layers_of(model: "PreTrainedModel") -> Sequence[nn.Module]:
    """The decoder layers of a model, first to last: its outermost list of as many modules as the config has layers.

    Raises:
        ValueError: there is none.
    """
    count = model.config.get_text_config().num_hidden_layers
    decoder = model.get_decoder() if hasattr(model, "get_decoder") else model  # the tower of text
    for part in (decoder, model):
        lists = [(name, module) for name, module in part.named_modules() if isinstance(module, nn.ModuleList)]
        fitting = [(name.count("."), module) for name, module in lists if len(module) == count]
        if fitting:
            return list(min(fitting, key=lambda found: found[0])[1])
    raise ValueError(f"{type(model).__name__} has no list of {count} layers; its residual stream cannot be read")


def own_head(model: "PreTrainedModel", tokens: Int[Tensor, "rows context"]) -> Head:
    """One matrix where the model's logits are the products with it, seen on a few rows; else the logits themselves."""
    embeddings = model.get_output_embeddings()
    weight = getattr(embeddings, "weight", None)
    if weight is None or weight.ndim != 2 or getattr(embeddings, "bias", None) is not None:
        return LogitsHead()
    with torch.no_grad():
        logits, inputs = own_logits(model, tokens), _head_inputs(model, tokens)
        if inputs is None or inputs.shape != (*tokens.shape, weight.shape[1]) or len(weight) != logits.shape[-1]:
            return LogitsHead()
        product = nn.functional.linear(inputs, weight)
    is_product = torch.allclose(product, logits, rtol=0, atol=1e-5 * float(logits.abs().max()))
    return LinearHead(weight.detach()) if is_product else LogitsHead()


def own_logits(model: "PreTrainedModel", tokens: Int[Tensor, "rows context"]) -> Tensor:
    """Logits of the model as it is called."""
    return model(input_ids=tokens, use_cache=False).logits


def centred_logits(logits: Float[Tensor, "*any vocabulary"]) -> Float[Tensor, "*any vocabulary"]:
    """With mean 0 over the vocabulary, which changes no probability; after a soft cap, where the model has one."""
    return logits - logits.mean(-1, keepdim=True)


def _head_inputs(model: "PreTrainedModel", tokens: Int[Tensor, "rows context"]) -> Any:
    """What the output embeddings are called with; None where they are not called."""
    kept: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        kept.append(inputs[0])
        raise _StopError

    with hooks([model.get_output_embeddings().register_forward_pre_hook(keep)]):
        _run(model, tokens)
    return kept[0] if kept else None


def _run(model: "PreTrainedModel", tokens: Int[Tensor, "rows context"]) -> None:
    with suppress(_StopError):
        model(input_ids=tokens, use_cache=False)


def stream_of(output: Any) -> Tensor:
    """The residual stream in what a layer gives."""
    return output[0] if isinstance(output, (tuple, list)) else output
