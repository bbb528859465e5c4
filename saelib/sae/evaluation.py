"""Score SAEs on frozen held-out rows, by what they reconstruct and by what the language model makes of it.

In: a language model, held-out token rows, and SAEs with the layer whose activations each shall read. Out: one row of
metrics for each. Every SAE is scored on the same rows, and the clean pass is shared, so clean losses are equal.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int32, Int64
from torch import Tensor

from saelib.sae.autoencoder import SparseAutoencoder

if TYPE_CHECKING:
    from saelib.language.model import LanguageModel


@dataclass(frozen=True)
class Scores:
    """Metrics of one SAE at one layer, means over the held-out tokens.

    Cross-entropies are in nats, over every token that has a next one; the others are over all tokens.
    """

    ce_clean: float
    """Of the untouched language model."""
    ce_spliced: float
    """With the residual stream replaced by the reconstruction at every position."""
    ce_zero: float
    """With the residual stream replaced by zeros."""
    ce_mean: float
    """With the residual stream replaced by its mean over the held-out tokens."""
    ce_score: float
    """(ce_zero - ce_spliced) / (ce_zero - ce_clean): 1 is a perfect splice, 0 is no better than zeros."""
    kl: float
    """Of the spliced from the clean next-token distribution, in nats."""
    mse: float
    """Squared error summed over d_model (the paper's "L2")."""
    explained_variance: float
    """1 - sum of squared errors / sum of squared distances from the mean activation: predicting the mean gives 0."""
    l0: float
    """Active features per token."""
    l1: float
    """Sum of the features."""
    dead_latents: float
    """Share of the features that fire on none of the held-out tokens."""


@dataclass
class _Splice:
    """Running sums over the batches, for one SAE or one constant in place of the residual stream."""

    cross_entropy: float = 0.0
    kl: float = 0.0
    squared_error: float = 0.0
    active: float = 0.0
    feature_sum: float = 0.0
    fired: Tensor | None = None


@dataclass(frozen=True)
class _CleanBatch:
    """What all splices of one batch share."""

    targets: Int64[Tensor, "rows context-1"]
    streams: dict[int, Float[Tensor, "rows context d_model"]]
    probabilities: Float[Tensor, "rows context-1 vocabulary"]
    negative_entropy: float  # summed over the batch's tokens
    cross_entropy: float  # summed over the batch's tokens


@torch.no_grad()
def evaluate(
    candidates: Sequence[tuple[SparseAutoencoder, int]],
    model: "LanguageModel",
    held_out: Int32[np.ndarray, "rows context"],
    batch_rows: int,
) -> list[Scores]:
    """Score each (SAE, layer whose activations it reads); the forward pass restarts at the spliced layer.

    Args:
        candidates: an SAE on the device of the model, and the layer, from 0, whose residual stream it reads.
        model: the language model that they are spliced into.
        held_out: token ids that no candidate was trained on.
        batch_rows: rows in one forward pass; no result depends on it beyond rounding.
    """
    layers = sorted({layer for _, layer in candidates})
    means, variances = activation_moments(model, held_out, layers, batch_rows)
    splices = [_Splice() for _ in candidates]
    zero = {layer: _Splice() for layer in layers}
    mean = {layer: _Splice() for layer in layers}
    clean_sum = 0.0
    for batch in _clean_batches(model, held_out, layers, batch_rows):
        clean_sum += batch.cross_entropy
        for layer in layers:
            _splice_constant(zero[layer], torch.zeros_like(means[layer]), layer, batch, model)
            _splice_constant(mean[layer], means[layer], layer, batch, model)
        for splice, (sae, layer) in zip(splices, candidates, strict=True):
            _splice_sae(splice, sae, layer, batch, model)
    predictions, tokens = held_out[:, 1:].size, held_out.size
    clean = clean_sum / predictions
    return [
        _scores(splice, clean, zero[layer], mean[layer], variances[layer], predictions, tokens)
        for splice, (_, layer) in zip(splices, candidates, strict=True)
    ]


def activation_moments(
    model: "LanguageModel", held_out: Int32[np.ndarray, "rows context"], layers: Sequence[int], batch_rows: int
) -> tuple[dict[int, Float[Tensor, " d_model"]], dict[int, float]]:
    """Mean residual vector of each layer, and the mean squared distance from it (summed over d_model)."""
    first = torch.zeros(len(layers), model.d_model, dtype=torch.float64)
    second = torch.zeros(len(layers), dtype=torch.float64)
    for tokens in _token_batches(held_out, batch_rows, model):
        streams = model.residual_streams(tokens, layers).double().flatten(1, 2).cpu()
        first += streams.sum(1)
        second += streams.square().sum((1, 2))
    first /= held_out.size
    variances = second / held_out.size - first.square().sum(1)
    means = {layer: vector.float().to(model.device) for layer, vector in zip(layers, first, strict=True)}
    return means, dict(zip(layers, variances.tolist(), strict=True))


def _token_batches(
    held_out: Int32[np.ndarray, "rows context"], batch_rows: int, model: "LanguageModel"
) -> Iterator[Int64[Tensor, "rows context"]]:
    for rows in torch.from_numpy(held_out).long().split(batch_rows):
        yield rows.to(model.device)


def _clean_batches(
    model: "LanguageModel", held_out: Int32[np.ndarray, "rows context"], layers: Sequence[int], batch_rows: int
) -> Iterator[_CleanBatch]:
    for tokens in _token_batches(held_out, batch_rows, model):
        streams = dict(zip(layers, model.residual_streams(tokens, layers), strict=True))
        targets = tokens[:, 1:]
        log_probabilities = model.logits_from(streams[layers[-1]], layers[-1])[:, :-1].log_softmax(-1)
        cross_entropy = -log_probabilities.gather(-1, targets.unsqueeze(-1)).double().sum().item()
        probabilities = log_probabilities.exp()
        negative_entropy = torch.linalg.vecdot(probabilities, log_probabilities).double().sum().item()
        yield _CleanBatch(targets, streams, probabilities, negative_entropy, cross_entropy)


def _splice_sae(
    splice: _Splice, sae: SparseAutoencoder, layer: int, batch: _CleanBatch, model: "LanguageModel"
) -> None:
    stream = batch.streams[layer]
    features = sae.encode(stream)
    reconstruction = sae.decode(features)
    splice.squared_error += (reconstruction - stream).double().square().sum().item()
    splice.active += torch.count_nonzero(features).item()
    splice.feature_sum += features.sum(-1).double().sum().item()
    fired = features.flatten(0, -2).amax(0) > 0
    splice.fired = fired if splice.fired is None else splice.fired | fired
    logits = model.logits_from(reconstruction, layer)[:, :-1]
    normaliser = logits.logsumexp(-1).double().sum().item()
    splice.cross_entropy += normaliser - logits.gather(-1, batch.targets.unsqueeze(-1)).double().sum().item()
    expected_logit = torch.linalg.vecdot(batch.probabilities, logits).double().sum().item()
    splice.kl += batch.negative_entropy - expected_logit + normaliser


def _splice_constant(
    splice: _Splice, vector: Float[Tensor, " d_model"], layer: int, batch: _CleanBatch, model: "LanguageModel"
) -> None:
    """One row stands for all: with the same vector at every position, no row differs from another."""
    context = batch.targets.shape[1] + 1
    log_probabilities = model.logits_from(vector.expand(1, context, -1), layer)[:, :-1].log_softmax(-1)
    rows = log_probabilities.expand(len(batch.targets), -1, -1)
    splice.cross_entropy -= rows.gather(-1, batch.targets.unsqueeze(-1)).double().sum().item()


def _scores(
    splice: _Splice, clean: float, zero: _Splice, mean: _Splice, variance: float, predictions: int, tokens: int
) -> Scores:
    assert splice.fired is not None
    spliced, ablated = splice.cross_entropy / predictions, zero.cross_entropy / predictions
    return Scores(
        ce_clean=clean,
        ce_spliced=spliced,
        ce_zero=ablated,
        ce_mean=mean.cross_entropy / predictions,
        ce_score=(ablated - spliced) / (ablated - clean),
        kl=splice.kl / predictions,
        mse=splice.squared_error / tokens,
        explained_variance=1 - splice.squared_error / tokens / variance,
        l0=splice.active / tokens,
        l1=splice.feature_sum / tokens,
        dead_latents=1 - splice.fired.double().mean().item(),
    )
