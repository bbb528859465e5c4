"""Score SAEs on frozen held-out rows, by what they reconstruct and by what the language model makes of it.

In: a language model, held-out token rows, and SAEs with the layer whose activations each shall read. Out: metrics of
each, over all rows and for every row, so that a bootstrap over rows needs no model. Every SAE is scored on the same
rows, and the clean pass is shared, so clean losses are equal. On a CPU each SAE is scored on one thread; no score
depends on their number.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int32
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
    row_means,
    spliced,
)
from saelib.sae.sae_lens import keeps_mean
from saelib.sae.scores import ROW_METRICS, RowScores, Scores

if TYPE_CHECKING:
    from saelib.language.model import LanguageModel


@dataclass
class _Splice:
    """An SAE in place of the residual stream of a layer, and what it has scored on the rows so far."""

    sae: SparseAutoencoder
    layer: int
    scored: list[dict[str, Float[np.ndarray, " rows"]]] = field(default_factory=list)  # of each batch, by metric
    fired: Bool[Tensor, " d_sae"] | bool = False  # which features have ever

    @torch.no_grad()
    def add(self, batch: CleanBatch, model: "LanguageModel", precision: Precision) -> None:
        """One more batch, with the reconstruction in place of the stream."""
        beginning, stream = batch.streams[self.layer].tensor_split([batch.skip_first], dim=1)
        with matrix_products(precision, model.device):
            reconstruction, by_token = self._reconstruct(stream.flatten(0, 1))
            whole = spliced(beginning, reconstruction.view_as(stream))
            inputs = head_inputs(model, whole, self.layer, batch.tokens, batch.skip_first)
        with loss_products(precision, model.device):
            normalisers = model.head.log_normalisers(inputs)
            by_token["ce_spliced"] = normalisers - model.head.logits_of(inputs, batch.targets)
            expected_logits = torch.linalg.vecdot(inputs.float(), batch.mixtures)
        by_token["kl"] = batch.negative_entropies - expected_logits + normalisers
        self.scored.append({name: row_means(values, len(stream)) for name, values in by_token.items()})

    def _reconstruct(
        self, vectors: Float[Tensor, "tokens d_model"]
    ) -> tuple[Float[Tensor, "tokens d_model"], dict[str, Float[Tensor, " tokens"]]]:
        """And metrics by token. Tile by tile, so that features stay in a CPU's cache while they are counted."""
        parts: list[Float[Tensor, "tile d_model"]] = []
        by_token: dict[str, list[Float[Tensor, " tile"]]] = {"mse": [], "l0": [], "l1": []}
        for tile in vectors.split(tile_tokens(vectors.device)):
            features = self.sae.encode(tile)
            parts.append(self.sae.decode(features).float())
            by_token["mse"].append((parts[-1] - tile).square().sum(-1))
            by_token["l1"].append(self.sae.l1(features))
            active = features.float().sign_()  # features are never negative
            by_token["l0"].append(active.sum(-1))
            self.fired = (active.amax(0) > 0) | self.fired
        return torch.cat(parts), {name: torch.cat(values) for name, values in by_token.items()}


class Scorer:
    """Scores SAEs on the same rows, call after call; what a layer's SAEs are compared with is computed once.

    Args:
        model: the language model that they are spliced into.
        held_out: token ids that no candidate was trained on.
        batch_rows: rows in one forward pass, fewer where a GPU runs out of memory; no result depends on it beyond
            rounding.
        precision: of the model's and the SAEs' products.
        skip_first: positions at the start of each row that are not scored and keep their own residual vectors.

    Raises:
        ValueError: no position with a next token is left.
    """

    def __init__(
        self,
        model: "LanguageModel",
        held_out: Int32[np.ndarray, "rows context"],
        batch_rows: int,
        precision: Precision = "float32",
        skip_first: int = 0,
    ) -> None:
        if not 0 <= skip_first < held_out.shape[1] - 1:
            raise ValueError(
                f"skip_first={skip_first} leaves no prediction to score in rows of {held_out.shape[1]} tokens"
            )
        self.model, self.held_out, self.batch_rows = model, held_out, batch_rows
        self.precision, self.skip_first = precision, skip_first
        self._baselines: dict[int, Baseline] = {}

    @torch.no_grad()
    def scores(self, candidates: Sequence[tuple[SparseAutoencoder, int]]) -> list[Scores]:
        """Of each (SAE, layer whose activations it reads); the forward pass restarts at the spliced layer.

        Args:
            candidates: an SAE on the device of the model, and the layer, from 0, whose residual stream it reads.

        Raises:
            ValueError: an SAE is of another width than the model's residual stream; the message names both.
        """
        _check_candidates(candidates, self.model)
        scores, _ = halving(self.batch_rows, lambda rows: self._scores(candidates, rows))
        return scores

    def _scores(self, candidates: Sequence[tuple[SparseAutoencoder, int]], batch_rows: int) -> list[Scores]:
        layers = sorted({layer for _, layer in candidates})
        splices = [_Splice(sae, layer) for sae, layer in candidates]
        moments = {layer: Moments(self.skip_first) for layer in layers if layer not in self._baselines}
        clean = []
        with _side_by_side(self.model) as apply:
            for tokens in torch.from_numpy(self.held_out).long().split(batch_rows):
                batch = clean_batch(self.model, tokens.to(self.model.device), layers, self.precision, self.skip_first)
                clean.append(batch.cross_entropy)
                for layer, sums in moments.items():
                    sums.add(batch.streams[layer])
                apply(partial(_Splice.add, batch=batch, model=self.model, precision=self.precision), splices)
            self._baselines |= dict(zip(moments, apply(self._baseline, moments.items()), strict=True))
        return [_scores(splice, np.concatenate(clean), self._baselines[splice.layer]) for splice in splices]

    def _baseline(self, layer_and_moments: tuple[int, Moments]) -> Baseline:
        return baseline_of(self.model, self.held_out, *layer_and_moments, self.precision)


def evaluate(
    candidates: Sequence[tuple[SparseAutoencoder, int]],
    model: "LanguageModel",
    held_out: Int32[np.ndarray, "rows context"],
    batch_rows: int,
    precision: Precision = "float32",
    skip_first: int = 0,
) -> list[Scores]:
    """Score each (SAE, layer whose activations it reads) once: `Scorer` has the arguments and what it raises."""
    return Scorer(model, held_out, batch_rows, precision, skip_first).scores(candidates)


def _check_candidates(candidates: Sequence[tuple[SparseAutoencoder, int]], model: "LanguageModel") -> None:
    """Refuse an SAE of another width; warn of one whose own stream kept its mean where the model's does not."""
    for sae, layer in candidates:
        if sae.d_model != model.d_model:
            whose = sae.lineage.get("model_name", "a model that its folder does not name")
            raise ValueError(
                f"an SAE of d_in {sae.d_model} (trained on {whose}) cannot read layer {layer} of {model.name}, whose "
                f"residual stream is {model.d_model} wide"
            )
        if model.is_centred and keeps_mean(sae.lineage):
            warnings.warn(
                f"{sae} was trained on a residual stream that keeps its mean over d_model (cfg.json: hook_name, "
                "model_from_pretrained_kwargs); here it reads one without it, as TransformerLens gives it by default, "
                "so that its scores may be lower than its authors'",
                stacklevel=3,
            )


@contextmanager
def _side_by_side(model: "LanguageModel") -> Iterator[Callable[[Callable[[Any], Any], Iterable[Any]], list[Any]]]:
    """What calls a function on each of some things: on a thread for each core where that is right, else in turn."""
    if model.device.type == "cpu" and model.thread_safe:
        # The setting is the process's: each thread must find it, and leave it, as all the others do.
        with matrix_products("float32", model.device), one_thread_each() as pool:
            yield lambda function, each: list(pool.map(function, each))
    else:
        yield lambda function, each: list(map(function, each))


def _scores(splice: _Splice, clean: Float[np.ndarray, " rows"], baseline: Baseline) -> Scores:
    scored = {name: np.concatenate([batch[name] for batch in splice.scored]) for name in splice.scored[0]}
    rows = RowScores(ce_clean=clean, ce_zero=baseline.zero, ce_mean=baseline.mean, **scored)
    mean = {name: float(getattr(rows, name).mean()) for name in ROW_METRICS}
    increase = mean["ce_spliced"] - mean["ce_clean"]
    return Scores(
        **mean,
        ce_score=(mean["ce_zero"] - mean["ce_spliced"]) / (mean["ce_zero"] - mean["ce_clean"]),
        ce_score_mean=(mean["ce_mean"] - mean["ce_spliced"]) / (mean["ce_mean"] - mean["ce_clean"]),
        ce_increase=increase,
        explained_variance=1 - mean["mse"] / baseline.variance,
        dead_latents=1 - torch.as_tensor(splice.fired).double().mean().item(),
        rows=rows,
    )
