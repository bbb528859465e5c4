"""The rest of a model after one layer, as a differentiable function: from a residual stream to logits at one position.

In: a model, and a stream in place of `blocks.{layer}.hook_resid_post`. Out: logits with a way back to that stream, for
attribution: autograd gives the gradient of anything made of them. The values are those of `LanguageModel.logits_from`.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from saelib.language.forward_pass import BarePass
from saelib.language.hooked_pass import HookedPass, centred_logits, hooks, own_logits, stream_of
from saelib.language.model import LanguageModel

Position = int | Int[Tensor, " rows"]  # one for all rows, or one of each


def logits_at(
    model: LanguageModel,
    residual: Float[Tensor, "rows context d_model"],
    layer: int,
    tokens: Int[Tensor, "rows context"],
    position: Position = -1,
) -> Float[Tensor, "rows vocabulary"]:
    """Logits at one position of each row when `blocks.{layer}.hook_resid_post` is `residual`; their mean is 0.

    Only that position goes through the head. Gradients are recorded where the caller has them recorded: under
    `torch.no_grad` it is a plain pass.

    Args:
        residual: may require a gradient; later positions than the one asked for have none, as the model is causal.
        tokens: of the rows that `residual` stands for: some models read them again in later layers.
        position: of the row; from its end where negative.

    Raises:
        ValueError: there is no such layer, or the shapes are not of the same rows.
    """
    tokens = model._check_splice(residual, layer, tokens)
    way = model._pass  # the proven way: its own methods record no gradients
    if isinstance(way, BarePass):
        return _bare_logits(way, residual, layer, position)
    assert isinstance(way, HookedPass)
    return _hooked_logits(way, residual, layer, tokens, position)


def _bare_logits(way: BarePass, residual: Tensor, layer: int, position: Position) -> Tensor:
    arguments = way.parts.layer_arguments(residual)
    for later in way.parts.layers[layer + 1 :]:
        residual = later(residual, **arguments)
    final = way.parts.final_norm(_at(residual, position))
    return centred_logits(nn.functional.linear(final, way.head.weight))


def _hooked_logits(way: HookedPass, residual: Tensor, layer: int, tokens: Tensor, position: Position) -> Tensor:
    """Layers up to the spliced one run too; what they give is replaced, so no gradient goes into them."""

    def replace(module: nn.Module, inputs: Any, output: Any) -> Any:
        there = residual.to(stream_of(output))
        return (there, *output[1:]) if isinstance(output, (tuple, list)) else there

    with hooks([way.layers[layer].register_forward_hook(replace)]):
        return centred_logits(_at(own_logits(way.model, tokens), position))


def _at(values: Float[Tensor, "rows context width"], position: Position) -> Float[Tensor, "rows width"]:
    if isinstance(position, int):
        return values[:, position]
    return values[torch.arange(len(values), device=values.device), position]
