"""What the study says: scores against distance, and what a carried SAE is worth against scratch at its own L0.

In: its results. Out: tidy tables with 95% intervals by the bootstrap over replicates and held-out rows; the share of
features that never fire is known for all rows together, and drawn over replicates alone. Each interval is for its own
layer: layers share sources and rows, so that a count of them is no evidence of its own (`changes` has means over them).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from saelib.results.bootstrap import RESAMPLES
from saelib.transfer.checks import Results
from saelib.transfer.depth.groups import KEYS, SHARE, Groups, beside_scratch, scores
from saelib.transfer.samples import Sample

SHOWN = ("ce_score", SHARE, "explained_variance", "l0", "dead_latents")
LOST = 0.05  # of the draws, that may have no value, for the rest to give an interval


def distance_curves(
    results: Results, metrics: Sequence[str] = SHOWN, *, seed: int = 0, resamples: int = RESAMPLES
) -> pd.DataFrame:
    """Each metric at each layer, of each arm and budget, at the layers' own λ.

    Args:
        metrics: columns of the table, scores that `samples` computes, or `SHARE`.

    Returns:
        arm, budget, act_layer, distance, metric, mean, low, high, count.
    """
    groups = Groups(results)
    chosen = np.flatnonzero(groups.keys["l1_multiple"] == 1)
    curve = groups.curve(chosen)

    def statistic(metric: str, sample: Sample) -> np.ndarray:
        return sample.mean_of_replicates(scores(sample, curve, metric), curve.sound)[..., 0]

    return groups.table(chosen, metrics, statistic, seed, resamples)


def layers_kept(scores: Mapping[int, float], level: float) -> tuple[int, int]:
    """The farthest distances towards the input and the output up to which no score is below a level, without a gap.

    Args:
        scores: by distance, 0 among them.
    """
    ends = []
    for step in (-1, 1):
        end = 0
        while scores.get(end + step, -np.inf) >= level:
            end += step
        ends.append(end)
    return ends[0], ends[1]


def objective_ratios(results: Results, *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Objective of each carried SAE over that of the scratch SAE of its layer, budget and replicate; below 1 is better.

    Returns:
        arm, budget, act_layer, distance, metric ("loss_ratio"), mean, low, high, count; layers without scratch SAEs
        have no row.
    """
    groups = Groups(results)
    carried, scratch = beside_scratch(groups, multiples=False)

    def statistic(metric: str, sample: Sample) -> np.ndarray:
        own, other = (groups.curve(chosen) for chosen in (carried, scratch[:, 0]))
        sound = own.sound & other.sound
        return sample.mean_of_replicates(sample.values(own, metric) / sample.values(other, metric), sound)[..., 0]

    return groups.table(carried, ["loss"], statistic, seed, resamples).assign(metric="loss_ratio")


def equal_l0(
    results: Results, metrics: Sequence[str] = ("ce_score", "explained_variance"), *, seed: int = 0,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:  # fmt: skip
    """Each carried SAE's score minus what scratch SAEs of its layer and budget have at the same L0, replicate by it.

    Scratch at that L0 is read off its SAEs at several λ, linear in the logarithm of L0 between two of them. Nothing is
    extrapolated: where one replicate's L0 is outside of what scratch has, there is no value; and no interval where it
    is in more than `LOST` of the draws, since the rest would be of those alone that stay inside.

    Returns:
        arm, budget, act_layer, distance, metric, mean, low, high, count; l0 of the carried SAE, l0_least and l0_most of
        scratch, means over replicates. Empty where scratch has one λ.
    """
    groups = Groups(results)
    carried, scratch = beside_scratch(groups, multiples=True)
    without: list[Bool[np.ndarray, "draws groups"]] = []  # a value; the same draws whatever the metric

    def statistic(metric: str, sample: Sample) -> np.ndarray:
        own, frontier = groups.curve(carried), [groups.curve(chosen) for chosen in scratch.T]
        l0, values = ([scores(sample, curve, name)[..., 0] for curve in [own, *frontier]] for name in ("l0", metric))
        at_own = interpolated(_log(np.stack(l0[1:], -1)), np.stack(values[1:], -1), _log(l0[0]))
        sound = np.logical_and.reduce([curve.sound for curve in [own, *frontier]])
        found = sample.mean_of_replicates((values[0] - at_own)[..., None], sound)[..., 0]
        without.append(np.isnan(np.atleast_2d(found)))
        return found

    if scratch.shape[-1] < 2:
        return pd.DataFrame(columns=[*KEYS, "metric", "mean", "low", "high", "count", "l0", "l0_least", "l0_most"])
    told = groups.table(carried, metrics, statistic, seed, resamples)
    often = np.tile(np.concatenate(without).mean(axis=0) > LOST, len(metrics))
    told.loc[told["mean"].isna() | often, ["low", "high"]] = np.nan
    mean = results.evaluation["l0"].to_numpy(float)[groups.places].mean(-1)
    ends = {"l0": mean[carried], "l0_least": mean[scratch].min(-1), "l0_most": mean[scratch].max(-1)}
    return told.assign(**{name: np.tile(values, len(metrics)) for name, values in ends.items()})


def interpolated(
    at: Float[np.ndarray, "... points"], values: Float[np.ndarray, "... points"], where: Float[np.ndarray, "..."]
) -> Float[np.ndarray, "..."]:
    """The piecewise linear function through points, each row its own, at one place of each row; NaN outside of them."""
    at, values = np.broadcast_arrays(at, values)
    order = np.argsort(at, axis=-1)
    at, values = (np.take_along_axis(array, order, axis=-1) for array in (at, values))
    found = np.full(np.broadcast_shapes(where.shape, at.shape[:-1]), np.nan)
    for left in range(at.shape[-1] - 1):
        width = at[..., left + 1] - at[..., left]
        share = np.divide(where - at[..., left], width, out=np.zeros_like(found), where=width > 0)
        inside = (at[..., left] <= where) & (where <= at[..., left + 1])
        found = np.where(inside, values[..., left] + share * (values[..., left + 1] - values[..., left]), found)
    return found


def _log(l0: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    return np.log(np.maximum(l0, 1e-9))  # an SAE may be dead
