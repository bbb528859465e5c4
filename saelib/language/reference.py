"""Slow, plain versions of what this room computes fast: notebooks and tests put both side by side.

In: the same models and token rows. Out: the same numbers by another way, one token at a time, or by a closed form.
Passes go row by row through TransformerLens's bridge; where that is refused for a model, through the model as
transformers calls it, with one hook (`way_of` names which).
"""

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from saelib.language.forward_pass import hook_name
from saelib.language.hooked_pass import hooks, layers_of, stream_of
from saelib.language.model import LanguageModel


def way_of(model: LanguageModel) -> str:
    """Whose code the plain passes of a model run through, for sentences: "TransformerLens" or "Hugging Face"."""
    return "TransformerLens" if model.has_bridge else "Hugging Face"


def plain_loss(model: LanguageModel, rows: Int[np.ndarray, "rows context"]) -> float:
    """Mean cross-entropy in nats of the next tokens, row by row (`row_loss`)."""
    tokens = torch.from_numpy(rows).long().unsqueeze(1).to(model.device)
    return sum(row_loss(model, row) for row in tokens) / len(rows)


def plain_angular_distance(
    model: LanguageModel, rows: Int[np.ndarray, "rows context"], pair: tuple[int, int], skip_first: int = 0
) -> float:
    """Mean angular distance of two layers by a loop over tokens, with the angle from `math.acos` of plain sums."""
    angles = []
    for row in torch.from_numpy(rows).long().unsqueeze(1).to(model.device):
        first, second = (row_residual(model, row, layer)[0, skip_first:].double().tolist() for layer in pair)
        for x, y in zip(first, second, strict=True):
            product = sum(a * b for a, b in zip(x, y, strict=True))
            cosine = product / math.sqrt(sum(a * a for a in x) * sum(b * b for b in y))
            angles.append(2 / math.pi * math.acos(max(-1.0, min(1.0, cosine))))
    return sum(angles) / len(angles)


def gpt_neox_parameters(vocabulary: int, layers: int, d_model: int) -> int:
    """How many numbers a GPT-NeoX of Pythia's shape holds: MLP of 4 d_model, biases, embedding and unembedding untied.

    A layer has 12 d_model^2 weights (4 for attention, 8 for the MLP), 9 d_model biases and two LayerNorms of 2 d_model.
    """
    return 2 * vocabulary * d_model + layers * (12 * d_model**2 + 13 * d_model) + 2 * d_model


@torch.no_grad()
def row_residual(model: LanguageModel, row: Int[Tensor, "1 context"], layer: int) -> Float[Tensor, "1 context d_model"]:
    """`blocks.{layer}.hook_resid_post` of a row, by the bridge's own cache; centred where that is the same."""
    if model.has_bridge:
        stream = model.bridge.run_with_cache(row, names_filter=hook_name(layer))[1][hook_name(layer)]
    else:
        stream, _ = _transformers_pass(model, row, layer)
    return stream - stream.mean(-1, keepdim=True) if model.is_centred else stream


@torch.no_grad()
def row_loss(
    model: LanguageModel,
    row: Int[Tensor, "1 context"],
    layer: int | None = None,
    splice: Float[Tensor, "1 context d_model"] | None = None,
    skip_first: int = 0,
) -> float:
    """Cross-entropy of a row in nats, as the bridge itself computes it, or from the model's own logits.

    Args:
        model: goes through its bridge, where it has one.
        row: token ids.
        layer: whose residual stream is replaced; None for an ordinary pass.
        splice: what stands in its place.
        skip_first: positions at the start of the row whose predictions do not count.
    """
    if model.has_bridge:
        replaced = [] if layer is None else [(hook_name(layer), lambda value, hook: splice)]
        losses = model.bridge.run_with_hooks(row, fwd_hooks=replaced, return_type="loss", loss_per_token=True)
    else:
        _, logits = _transformers_pass(model, row, layer or 0, splice)
        losses = -logits[:, :-1].log_softmax(-1).gather(-1, row[:, 1:, None])[..., 0]
    return float(losses[:, skip_first:].mean())


def _transformers_pass(
    model: LanguageModel, row: Int[Tensor, "1 context"], layer: int, splice: Tensor | None = None
) -> tuple[Float[Tensor, "1 context d_model"], Float[Tensor, "1 context vocabulary"]]:
    """What a layer gives, raw, and the logits of a whole pass, in which `splice` stands in its place where given."""
    given: list[Tensor] = []

    def watch(module: Any, inputs: Any, output: Any) -> Any:
        given.append(stream_of(output))
        if splice is None:
            return None
        return (splice.to(given[0]), *output[1:]) if isinstance(output, (tuple, list)) else splice.to(given[0])

    with hooks([layers_of(model.hugging_face)[layer].register_forward_hook(watch)]):
        logits = model.hugging_face(input_ids=row, use_cache=False).logits
    return given[0].to(row.device), logits.to(row.device)
