"""Score SAEs on frozen held-out rows, by what they reconstruct and by what the language model makes of it.

In: a language model, held-out token rows, and SAEs with the layer whose activations each shall read. Out: one row of
metrics for each. Every SAE is scored on the same rows, and the clean pass is shared, so clean losses are equal. On a
CPU each SAE is scored on one thread; no score depends on their number.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int32
from torch import Tensor

from saelib.language.head import tile_tokens
from saelib.language.precision import Precision, matrix_products
from saelib.run.memory import halving
from saelib.run.threads import one_thread_each
from saelib.sae.autoencoder import SparseAutoencoder
from saelib.sae.clean_pass import (
    Baseline,
    CleanBatch,
    Moments,
    baseline_of,
    clean_batch,
    head_inputs,
    loss_products,
    total,
)

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
    """An SAE in place of the residual stream of a layer, and running sums over the batches."""

    sae: SparseAutoencoder
    layer: int
    cross_entropy: float = 0.0
    kl: float = 0.0
    squared_error: float = 0.0
    counts: Float[Tensor, " d_sae"] | float = 0.0  # tokens on which each feature is active
    sums: Float[Tensor, " d_sae"] | float = 0.0  # of each feature

    @torch.no_grad()
    def add(self, batch: CleanBatch, model: "LanguageModel", precision: Precision) -> None:
        """One more batch, with the reconstruction in place of the stream."""
        with matrix_products(precision, model.device):
            inputs = head_inputs(model, self._reconstruct(batch.streams[self.layer]), self.layer)
        with loss_products(precision, model.device):
            normalisers = model.head.log_normalisers(inputs)
            self.cross_entropy += total(normalisers - model.head.logits_of(inputs, batch.targets))
            expected_logits = torch.linalg.vecdot(inputs.float(), batch.mixtures)
        self.kl += total(batch.negative_entropies - expected_logits + normalisers)

    def _reconstruct(self, stream: Float[Tensor, "rows context d_model"]) -> Float[Tensor, "rows context d_model"]:
        """Tile by tile, so that a tile's features stay in a CPU's cache while they are counted."""
        parts = []
        for tile in stream.flatten(0, 1).split(tile_tokens(stream.device)):
            features = self.sae.encode(tile)
            parts.append(self.sae.decode(features).float())
            self.squared_error += total((parts[-1] - tile).square().sum(-1))
            self.sums += features.float().sum(0).cpu().double()
            self.counts += features.float().sign_().sum(0).cpu().double()  # features are never negative
        return torch.cat(parts).view_as(stream)


@torch.no_grad()
def evaluate(
    candidates: Sequence[tuple[SparseAutoencoder, int]],
    model: "LanguageModel",
    held_out: Int32[np.ndarray, "rows context"],
    batch_rows: int,
    precision: Precision = "float32",
) -> list[Scores]:
    """Score each (SAE, layer whose activations it reads); the forward pass restarts at the spliced layer.

    Args:
        candidates: an SAE on the device of the model, and the layer, from 0, whose residual stream it reads.
        model: the language model that they are spliced into.
        held_out: token ids that no candidate was trained on.
        batch_rows: rows in one forward pass, fewer where a GPU runs out of memory; no result depends on it beyond
            rounding.
        precision: of the model's and the SAEs' products.
    """
    scores, _ = halving(batch_rows, lambda rows: _evaluate(candidates, model, held_out, rows, precision))
    return scores


def _evaluate(
    candidates: Sequence[tuple[SparseAutoencoder, int]],
    model: "LanguageModel",
    held_out: Int32[np.ndarray, "rows context"],
    batch_rows: int,
    precision: Precision,
) -> list[Scores]:
    layers = sorted({layer for _, layer in candidates})
    splices = [_Splice(sae, layer) for sae, layer in candidates]
    moments = {layer: Moments() for layer in layers}
    clean_sum = 0.0
    with _side_by_side(model) as apply:
        for tokens in torch.from_numpy(held_out).long().split(batch_rows):
            batch = clean_batch(model, tokens.to(model.device), layers, precision)
            clean_sum += batch.cross_entropy
            for layer in layers:
                moments[layer].add(batch.streams[layer])
            apply(partial(_Splice.add, batch=batch, model=model, precision=precision), splices)
        baselines = {layer: baseline_of(model, held_out, layer, moments[layer], precision) for layer in layers}
    clean = clean_sum / held_out[:, 1:].size
    return [_scores(splice, clean, baselines[splice.layer], held_out) for splice in splices]


@contextmanager
def _side_by_side(model: "LanguageModel") -> Iterator[Callable[[Callable[[_Splice], None], list[_Splice]], object]]:
    """What calls a function on all splices: on a thread for each core where that is right, else one after the other."""
    if model.device.type == "cpu" and model.thread_safe:
        # The setting is the process's: each thread must find it, and leave it, as all the others do.
        with matrix_products("float32", model.device), one_thread_each() as pool:
            yield lambda function, splices: list(pool.map(function, splices))
    else:
        yield lambda function, splices: list(map(function, splices))


def _scores(splice: _Splice, clean: float, baseline: Baseline, held_out: Int32[np.ndarray, "rows context"]) -> Scores:
    predictions, tokens = held_out[:, 1:].size, held_out.size
    spliced, counts = splice.cross_entropy / predictions, torch.as_tensor(splice.counts)
    return Scores(
        ce_clean=clean,
        ce_spliced=spliced,
        ce_zero=baseline.zero,
        ce_mean=baseline.mean,
        ce_score=(baseline.zero - spliced) / (baseline.zero - clean),
        kl=splice.kl / predictions,
        mse=splice.squared_error / tokens,
        explained_variance=1 - splice.squared_error / tokens / baseline.variance,
        l0=counts.sum().item() / tokens,
        l1=torch.as_tensor(splice.sums).sum().item() / tokens,
        dead_latents=(counts == 0).double().mean().item(),
    )
