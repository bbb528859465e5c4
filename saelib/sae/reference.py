"""Slow, plain versions of what the library computes fast for SAEs: notebooks and tests put both side by side.

In: the same models, SAEs and token rows. Out: the same numbers by another way, through TransformerLens's bridge and
one token at a time, or as PyTorch counts them.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int

from saelib.language.model import LanguageModel
from saelib.language.reference import bridge_loss, bridge_residual
from saelib.sae.autoencoder import SparseAutoencoder, random_sae


class PlainScores(NamedTuple):
    """Metrics of one SAE over a few rows, as `evaluation.Scores` defines them."""

    ce_clean: float
    ce_spliced: float
    ce_score: float
    mse: float
    l0: float


@torch.no_grad()
def plain_scores(
    model: LanguageModel, sae: SparseAutoencoder, layer: int, rows: Int[np.ndarray, "rows context"]
) -> PlainScores:
    """Score an SAE row by row: whole passes through the bridge with a hook at the layer, and loops over tokens."""
    losses = {"clean": 0.0, "spliced": 0.0, "zero": 0.0}
    squared_error, active = 0.0, 0
    for row in torch.from_numpy(rows).long().unsqueeze(1).to(model.device):
        residual = bridge_residual(model, row, layer)
        losses["clean"] += bridge_loss(model, row)
        losses["spliced"] += bridge_loss(model, row, layer, sae(residual))
        losses["zero"] += bridge_loss(model, row, layer, torch.zeros_like(residual))
        for vector in residual[0]:
            features = sae.encode(vector)
            squared_error += float(torch.linalg.vector_norm(sae.decode(features) - vector)) ** 2
            active += sum(feature > 0 for feature in features.tolist())
    clean, spliced, zero = (total / len(rows) for total in losses.values())
    score = (zero - spliced) / (zero - clean)
    return PlainScores(clean, spliced, score, squared_error / rows.size, active / rows.size)


def counted_sae_flops(d_model: int, d_sae: int, tokens: int = 64) -> float:
    """FLOPs for each token of a forward and backward pass by autograd, as PyTorch's own counter sees them pass."""
    from torch.utils.flop_counter import FlopCounterMode

    sae = random_sae(d_model, d_sae, torch.Generator().manual_seed(0))
    with FlopCounterMode(display=False) as counter:
        sae(torch.ones(tokens, d_model)).square().sum().backward()
    return counter.get_total_flops() / tokens
