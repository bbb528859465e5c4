"""Scores of a run, as measured and as they would have been on other held-out rows and other replicates.

In: a run's results. Out: estimates with 95% intervals. A statistic is a function of a `Sample`; it is given the run as
it is, and thousands of runs drawn from it, all at once: their averages over rows are one matrix product.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from saelib.results.bootstrap import RESAMPLES, Weights, crossed_bootstrap
from saelib.transfer.checks import READING, Results, has_diverged
from saelib.transfer.curves import Curve, finished_scratch, replicates_of

PRICE = "price of l1"  # λ
Sound = Bool[np.ndarray, "layers replicates"]  # which SAEs count (`curves.Curve.sound`)


def score(baseline: np.ndarray, spliced: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """Share of the loss that the baseline adds which is recovered: 1 where the splice loses nothing."""
    return (baseline - spliced) / (baseline - clean)


FORMULAS: Mapping[str, tuple[Callable[..., np.ndarray], tuple[str, ...]]] = {
    "ce_score": (score, ("ce_zero", "ce_spliced", "ce_clean")),
    "ce_score_mean": (score, ("ce_mean", "ce_spliced", "ce_clean")),
    "ce_increase": (np.subtract, ("ce_spliced", "ce_clean")),
    "loss": (lambda mse, l1, price: mse + price * l1, ("mse", "l1", PRICE)),
}
"""Scores that are computed from averages over rows, not averaged themselves, and from which."""
RATIOS = {"loss_ratio": "loss", "l0_ratio": "l0"}
"""Scores divided by that of the layer's finished scratch SAE of the same replicate."""


class Readings(NamedTuple):
    """A run's evaluation, and for each of its rows the scores on every held-out row, if these were kept."""

    evaluation: pd.DataFrame
    by_row: Mapping[str, Float[np.ndarray, "readings rows"]]

    @property
    def rows(self) -> int:
        """Held-out rows; 0 where only their means were kept."""
        return next(iter(self.by_row.values())).shape[1] if self.by_row else 0


class Sample(NamedTuple):
    """A run, or many runs drawn from it at once."""

    readings: Readings
    rows: Float[np.ndarray, "*draws rows"] | None
    """Weights of the held-out rows; None takes the evaluation's own means."""
    replicates: Float[np.ndarray, "*draws replicates"]
    """Weights of the replicates."""

    def values(self, curve: Curve, metric: str) -> Float[np.ndarray, "*draws layers replicates tokens"]:
        """A score of every SAE of a curve: one of `FORMULAS`, of `RATIOS`, or a column of the evaluation.

        Raises:
            KeyError: it is none of them.
        """
        if metric in RATIOS:
            finished = finished_scratch(self.readings.evaluation, curve)
            return self._values(curve.places, RATIOS[metric]) / self._values(finished.places, RATIOS[metric])
        return self._values(curve.places, metric)

    def map_tokens(self, curve: Curve) -> Int[np.ndarray, "layers replicates"]:
        """Tokens on which the map was fitted by which each SAE of a curve began; 0 without one."""
        evaluation = self.readings.evaluation
        if "map_tokens" not in evaluation:  # the paper's
            return np.zeros(curve.places.shape[:2], int)
        return evaluation["map_tokens"].to_numpy(int)[curve.places[..., 0]]

    def mean(
        self, values: Float[np.ndarray, "*draws layers replicates tokens"], sound: Sound
    ) -> Float[np.ndarray, "*draws tokens"]:
        """Mean over the layers and replicates that count; NaN where none does."""
        if sound.all():
            return self.mean_of_replicates(values, sound).mean(-2)
        return _weighted(values, sound, self.replicates, "t")

    def mean_of_replicates(
        self, values: Float[np.ndarray, "*draws layers replicates tokens"], sound: Sound
    ) -> Float[np.ndarray, "*draws layers tokens"]:
        """Mean over the replicates that count, layer by layer; NaN where none does."""
        if sound.all():
            return np.einsum("...lrt,...r->...lt", values, self.replicates)
        return _weighted(values, sound, self.replicates, "lt")

    def _values(self, places: Int[np.ndarray, "..."], metric: str) -> Float[np.ndarray, "..."]:
        evaluation, by_row = self.readings
        if self.rows is not None and metric in by_row:
            matrix = by_row[metric][places.ravel()]
            return (self.rows @ matrix.T).reshape(*self.rows.shape[:-1], *places.shape)
        if metric in FORMULAS and (self.rows is not None or metric not in evaluation):
            formula, names = FORMULAS[metric]
            return formula(*(self._values(places, name) for name in names))
        if metric == PRICE:
            active = evaluation["l1"].to_numpy(float)
            price = (evaluation["loss"] - evaluation["mse"]).to_numpy(float) / np.where(active > 0, active, math.inf)
            return price[places]
        return evaluation[metric].to_numpy(float)[places]


def _weighted(values: np.ndarray, sound: Sound, replicates: np.ndarray, kept: str) -> np.ndarray:
    """Mean over all axes but those kept, of what counts; a draw may hold none of it."""
    weights = sound * replicates[..., None, :]
    known = np.where(sound[..., None], values, 0.0)  # NaN times 0 is NaN
    sums = np.einsum(f"...lrt,...lr->...{kept}", known, weights)
    whole = np.einsum(f"...lr->...{kept.removesuffix('t')}", weights)[..., None]
    return np.divide(sums, whole, out=np.full(np.broadcast_shapes(sums.shape, whole.shape), math.nan), where=whole > 0)


Statistic = Callable[[Sample], Float[np.ndarray, "..."]]


class Estimate(NamedTuple):
    """Values with 95% bounds, NaN where nothing could be drawn again, and the number of replicates."""

    mean: Float[np.ndarray, "*outputs"]
    low: Float[np.ndarray, "*outputs"]
    high: Float[np.ndarray, "*outputs"]
    count: int  # type: ignore[assignment]  # a tuple's own method of that name is not needed


def estimate(results: Results, statistic: Statistic, *, seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
    """A statistic of a run, with bounds by the bootstrap over its replicates and its held-out rows.

    A factor with one member, or rows that were not kept, are not drawn again; the bounds then say less.

    Args:
        statistic: leading axes of what it gives are the draws.
        seed: of the draws; statistics of one run with the same seed are made from the same draws.
    """
    readings = read_rows(results)
    count, rows = len(replicates_of(results.evaluation)), readings.rows
    mean = np.asarray(statistic(whole(results)))
    sizes = [size for size in (count, rows) if size > 1]
    if not sizes:
        return Estimate(mean, np.full(mean.shape, math.nan), np.full(mean.shape, math.nan), count)

    def drawn(weights: Sequence[Weights]) -> np.ndarray:
        draws = len(weights[0])
        of_replicates = weights[0] if count > 1 else np.ones((draws, 1))
        of_rows = weights[-1] if rows > 1 else None
        values = statistic(Sample(readings, of_rows, of_replicates))
        return np.broadcast_to(values, (draws, *mean.shape))

    low, high = crossed_bootstrap(drawn, sizes, seed=seed, resamples=resamples)
    return Estimate(mean, low, high, count)


def whole(results: Results) -> Sample:
    """The run as it is."""
    count = len(replicates_of(results.evaluation))
    return Sample(Readings(results.evaluation, {}), None, np.full(count, 1 / count))


def read_rows(results: Results) -> Readings:
    """The evaluation with its per-row scores beside it, reading by reading.

    Raises:
        ValueError: the rows lack an SAE of the evaluation, or a held-out row of one.
    """
    evaluation, rows = results
    if rows is None:
        return Readings(evaluation, {})
    metrics = [name for name in rows.columns if name not in (*READING, "row")]
    wide = rows.pivot(index=READING, columns="row", values=metrics)
    wide = wide.reindex(pd.MultiIndex.from_frame(evaluation[READING]))
    if wide[~has_diverged(evaluation)].isna().to_numpy().any():
        raise ValueError("the scores by held-out row lack SAEs or rows of the evaluation; evaluate again")
    return Readings(evaluation, {name: wide[name].to_numpy(np.float64) for name in metrics})


def metric_table(
    results: Results,
    keys: Sequence[Mapping[str, Any]],
    metrics: Sequence[str],
    statistic: Callable[[str, Sample], Float[np.ndarray, "..."]],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """A row for each metric and each output of a statistic of it: the keys, metric, mean, low, high, count.

    Bounds are NaN where nothing that the metric is made of could be drawn again.

    Args:
        keys: of the outputs, in their order.
    """
    parts = []
    for metric in metrics:
        found = _columns_of(results, partial(statistic, metric), metric, seed=seed, resamples=resamples)
        parts.append(pd.DataFrame(keys).assign(metric=metric, **found))
    return pd.concat(parts, ignore_index=True)


def _columns_of(results: Results, statistic: Statistic, metric: str, *, seed: int, resamples: int) -> dict[str, Any]:
    found = estimate(results, statistic, seed=seed, resamples=resamples)
    columns = {name: values.ravel() for name, values in found._asdict().items() if name != "count"}
    by_row = results.rows is not None and metric in {*results.rows.columns, *FORMULAS, *RATIOS}
    if found.count == 1 and not by_row:
        columns |= dict.fromkeys(("low", "high"), math.nan)
    return columns | {"count": found.count}
