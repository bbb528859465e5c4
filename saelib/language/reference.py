"""Slow, plain versions of what this room computes fast: notebooks and tests put both side by side.

In: the same models and token rows. Out: the same numbers by another way, through TransformerLens's bridge, one token
at a time, or by a closed form.
"""

import math

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from saelib.language.forward_pass import hook_name
from saelib.language.model import LanguageModel


def plain_loss(model: LanguageModel, rows: Int[np.ndarray, "rows context"]) -> float:
    """Mean cross-entropy in nats of the next tokens, as the bridge itself computes it, row by row."""
    tokens = torch.from_numpy(rows).long().unsqueeze(1).to(model.device)
    return sum(bridge_loss(model, row) for row in tokens) / len(rows)


def plain_angular_distance(
    model: LanguageModel, rows: Int[np.ndarray, "rows context"], pair: tuple[int, int], skip_first: int = 0
) -> float:
    """Mean angular distance of two layers by a loop over tokens, with the angle from `math.acos` of plain sums."""
    angles = []
    for row in torch.from_numpy(rows).long().unsqueeze(1).to(model.device):
        first, second = (bridge_residual(model, row, layer)[0, skip_first:].double().tolist() for layer in pair)
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
def bridge_residual(
    model: LanguageModel, row: Int[Tensor, "1 context"], layer: int
) -> Float[Tensor, "1 context d_model"]:
    """`blocks.{layer}.hook_resid_post` of a row, by the bridge's own cache; centred where that is the same."""
    stream = model.bridge.run_with_cache(row, names_filter=hook_name(layer))[1][hook_name(layer)]
    return stream - stream.mean(-1, keepdim=True) if model.is_centred else stream


@torch.no_grad()
def bridge_loss(
    model: LanguageModel,
    row: Int[Tensor, "1 context"],
    layer: int | None = None,
    splice: Float[Tensor, "1 context d_model"] | None = None,
    skip_first: int = 0,
) -> float:
    """Cross-entropy of a row in nats, as the bridge itself computes it.

    Args:
        model: its bridge is used.
        row: token ids.
        layer: whose residual stream is replaced; None for an ordinary pass.
        splice: what stands in its place.
        skip_first: positions at the start of the row whose predictions do not count.
    """
    hooks = [] if layer is None else [(hook_name(layer), lambda value, hook: splice)]
    losses = model.bridge.run_with_hooks(row, fwd_hooks=hooks, return_type="loss", loss_per_token=True)
    return float(losses[:, skip_first:].mean())
