"""Slow, plain versions of what the library computes fast for SAEs: notebooks and tests put both side by side.

In: the same models, SAEs and token rows. Out: the same numbers by another way, through whole passes
(`language.reference`) and one token at a time, or as PyTorch counts them.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int

from saelib.language.model import LanguageModel
from saelib.language.reference import row_loss, row_residual
from saelib.sae.autoencoder import SparseAutoencoder, random_sae


class PlainRow(NamedTuple):
    """Metrics of one SAE on one held-out row, as `evaluation.RowScores` defines them."""

    ce_clean: float
    ce_spliced: float
    ce_zero: float
    ce_mean: float
    mse: float
    l0: float
    l1: float


class PlainScores(NamedTuple):
    """Metrics of one SAE over a few rows, as `evaluation.Scores` defines them."""

    ce_clean: float
    ce_spliced: float
    ce_score: float
    ce_score_mean: float
    mse: float
    l0: float


def plain_scores(
    model: LanguageModel,
    sae: SparseAutoencoder,
    layer: int,
    rows: Int[np.ndarray, "rows context"],
    skip_first: int = 0,
) -> PlainScores:
    """Score an SAE by the means of `plain_rows`."""
    found = plain_rows(model, sae, layer, rows, skip_first)
    clean, spliced, zero, mean, mse, l0, _ = (sum(values) / len(found) for values in zip(*found, strict=True))
    score, score_mean = ((worst - spliced) / (worst - clean) for worst in (zero, mean))
    return PlainScores(clean, spliced, score, score_mean, mse, l0)


@torch.no_grad()
def plain_rows(
    model: LanguageModel,
    sae: SparseAutoencoder,
    layer: int,
    rows: Int[np.ndarray, "rows context"],
    skip_first: int = 0,
) -> list[PlainRow]:
    """Score an SAE row by row: whole passes with a hook at the layer, and loops over tokens."""
    tokens = torch.from_numpy(rows).long().unsqueeze(1).to(model.device)
    residuals = [row_residual(model, row, layer) for row in tokens]
    mean = torch.cat([residual[:, skip_first:] for residual in residuals]).mean((0, 1))
    norms = [float(torch.linalg.vector_norm(row)) for row in sae.W_dec]
    found = []
    for row, residual in zip(tokens, residuals, strict=True):
        splices = [sae(residual), torch.zeros_like(residual), mean.expand_as(residual).clone()]
        for splice in splices:
            splice[:, :skip_first] = residual[:, :skip_first]
        spliced, zero, mean_loss = (row_loss(model, row, layer, splice, skip_first) for splice in splices)
        squared_error, features = 0.0, []
        for vector in residual[0, skip_first:]:
            squared_error += float(torch.linalg.vector_norm(sae(vector) - vector)) ** 2
            features += sae.encode(vector).tolist()
        l1 = sum(feature * norms[i % len(norms)] for i, feature in enumerate(features))  # token after token
        sums = squared_error, sum(feature > 0 for feature in features), l1
        mse, l0, l1 = (value / (row.numel() - skip_first) for value in sums)
        clean = row_loss(model, row, skip_first=skip_first)
        found.append(PlainRow(clean, spliced, zero, mean_loss, mse, l0, l1))
    return found


def counted_sae_flops(d_model: int, d_sae: int, tokens: int = 64) -> float:
    """FLOPs for each token of a forward and backward pass by autograd, as PyTorch's own counter sees them pass."""
    from torch.utils.flop_counter import FlopCounterMode

    sae = random_sae(d_model, d_sae, torch.Generator().manual_seed(0))
    with FlopCounterMode(display=False) as counter:
        sae(torch.ones(tokens, d_model)).square().sum().backward()
    return counter.get_total_flops() / tokens
