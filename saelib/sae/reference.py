"""Slow, plain versions of what the library computes fast: notebooks and tests put both side by side.

In: the same models, SAEs and token rows. Out: the same numbers by another way, through TransformerLens's bridge or
one token at a time.
"""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from saelib.language.forward_pass import hook_name
from saelib.sae.autoencoder import SparseAutoencoder, random_sae

if TYPE_CHECKING:
    from saelib.language.model import LanguageModel


class PlainScores(NamedTuple):
    """Metrics of one SAE over a few rows, as `evaluation.Scores` defines them."""

    ce_clean: float
    ce_spliced: float
    ce_score: float
    mse: float
    l0: float


@torch.no_grad()
def plain_scores(
    model: "LanguageModel", sae: SparseAutoencoder, layer: int, rows: Int[np.ndarray, "rows context"]
) -> PlainScores:
    """Score an SAE row by row: whole passes through the bridge with a hook at the layer, and loops over tokens."""
    losses = {"clean": 0.0, "spliced": 0.0, "zero": 0.0}
    squared_error, active = 0.0, 0
    for row in torch.from_numpy(rows).long().unsqueeze(1).to(model.device):
        residual = _bridge_residual(model, row, layer)
        losses["clean"] += _bridge_loss(model, row)
        losses["spliced"] += _bridge_loss(model, row, layer, sae(residual))
        losses["zero"] += _bridge_loss(model, row, layer, torch.zeros_like(residual))
        for vector in residual[0]:
            features = sae.encode(vector)
            squared_error += float(torch.linalg.vector_norm(sae.decode(features) - vector)) ** 2
            active += sum(feature > 0 for feature in features.tolist())
    clean, spliced, zero = (total / len(rows) for total in losses.values())
    score = (zero - spliced) / (zero - clean)
    return PlainScores(clean, spliced, score, squared_error / rows.size, active / rows.size)


def plain_angular_distance(
    model: "LanguageModel", rows: Int[np.ndarray, "rows context"], pair: tuple[int, int]
) -> float:
    """Mean angular distance of two layers by a loop over tokens, with the angle from `math.acos` of plain sums."""
    angles = []
    for row in torch.from_numpy(rows).long().unsqueeze(1).to(model.device):
        first, second = (_bridge_residual(model, row, layer)[0].double().tolist() for layer in pair)
        for x, y in zip(first, second, strict=True):
            product = sum(a * b for a, b in zip(x, y, strict=True))
            cosine = product / math.sqrt(sum(a * a for a in x) * sum(b * b for b in y))
            angles.append(2 / math.pi * math.acos(max(-1.0, min(1.0, cosine))))
    return sum(angles) / len(angles)


def plain_loss(model: "LanguageModel", rows: Int[np.ndarray, "rows context"]) -> float:
    """Mean cross-entropy in nats of the next tokens, as the bridge itself computes it, row by row."""
    tokens = torch.from_numpy(rows).long().unsqueeze(1).to(model.device)
    return sum(_bridge_loss(model, row) for row in tokens) / len(rows)


def gpt_neox_parameters(vocabulary: int, layers: int, d_model: int) -> int:
    """How many numbers a GPT-NeoX of Pythia's shape holds: MLP of 4 d_model, biases, embedding and unembedding untied.

    A layer has 12 d_model^2 weights (4 for attention, 8 for the MLP), 9 d_model biases and two LayerNorms of 2 d_model.
    """
    return 2 * vocabulary * d_model + layers * (12 * d_model**2 + 13 * d_model) + 2 * d_model


def counted_sae_flops(d_model: int, d_sae: int, tokens: int = 64) -> float:
    """FLOPs for each token of a forward and backward pass by autograd, as PyTorch's own counter sees them pass."""
    from torch.utils.flop_counter import FlopCounterMode

    sae = random_sae(d_model, d_sae, torch.Generator().manual_seed(0))
    with FlopCounterMode(display=False) as counter:
        sae(torch.ones(tokens, d_model)).square().sum().backward()
    return counter.get_total_flops() / tokens


def shared_rows(first: Int[np.ndarray, "rows context"], second: Int[np.ndarray, "others context"]) -> int:
    """How many different rows stand in both arrays."""
    return len({row.tobytes() for row in first} & {row.tobytes() for row in second})


def _bridge_residual(model: "LanguageModel", row: Tensor, layer: int) -> Tensor:
    with torch.no_grad():
        return model.bridge.run_with_cache(row, names_filter=hook_name(layer))[1][hook_name(layer)]


@torch.no_grad()
def _bridge_loss(model: "LanguageModel", row: Tensor, layer: int | None = None, splice: Tensor | None = None) -> float:
    """Cross-entropy of a row in nats, as the bridge itself computes it."""
    hooks = [] if layer is None else [(hook_name(layer), lambda value, hook: splice)]
    return float(model.bridge.run_with_hooks(row, fwd_hooks=hooks, return_type="loss"))
