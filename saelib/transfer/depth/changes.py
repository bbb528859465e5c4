"""What changes with more training, pair by pair: of the source, and of the mapped SAE itself.

In: results of the study. Out: tidy tables with 95% intervals by the bootstrap over replicates and held-out rows. Both
sides of a change are of the same replicates and rows, and drawn together; so are the layers of a mean over layers,
which says what a count of layers cannot.
"""

import numpy as np
import pandas as pd

from saelib.results.bootstrap import RESAMPLES
from saelib.transfer.checks import Results
from saelib.transfer.depth.groups import Groups, beside_scratch
from saelib.transfer.samples import Sample, metric_table


def maturing(results: Results, arm: str = "affine", *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """How an arm's objective, over scratch's, changes from the first budget to the last; above 0 its lead shrinks.

    Returns:
        act_layer, distance, metric ("loss_ratio"), mean, low, high, count: a row for each layer but the source's that
        has scratch SAEs, and one for the mean over them, whose layer and distance are missing. Empty with one budget.
    """
    groups = Groups(results)
    carried, scratch = beside_scratch(groups, multiples=False)
    budgets = sorted(groups.keys["budget"].unique())
    ends = [groups.of(arm, budget, carried) for budget in (budgets[0], budgets[-1])]
    if len(budgets) < 2 or not len(ends[0]):
        return pd.DataFrame(columns=["act_layer", "distance", "metric", "mean", "low", "high", "count"])
    pairs = [(groups.curve(carried[end]), groups.curve(scratch[end, 0])) for end in ends]
    sound = np.logical_and.reduce([curve.sound for pair in pairs for curve in pair])

    def statistic(metric: str, sample: Sample) -> np.ndarray:
        first, last = (sample.values(own, metric) / sample.values(other, metric) for own, other in pairs)
        by_layer = sample.mean_of_replicates(last - first, sound)[..., 0]
        return np.concatenate([by_layer, by_layer.mean(-1, keepdims=True)], axis=-1)

    layers = groups.keys.loc[carried[ends[0]], ["act_layer", "distance"]].to_dict("records")
    keys = [*layers, {"act_layer": None, "distance": None}]
    told = metric_table(groups.results, keys, ["loss"], statistic, seed=seed, resamples=resamples)
    return told.assign(metric="loss_ratio").astype({"act_layer": "Int64", "distance": "Int64"})


def short_training(results: Results, *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Objective after the short training over that of the mapped SAE with which it began.

    Returns:
        arm ("tuned"), budget, act_layer, distance, metric ("loss_left"), mean, low, high, count.
    """
    groups = Groups(results)
    places = {key: row for row, key in enumerate(groups.keys[["arm", "budget", "act_layer"]].itertuples(index=False))}
    tuned = np.array([row for (arm, *_), row in places.items() if arm == "tuned"], int)
    mapped = np.array([places["affine", *key] for (arm, *key) in places if arm == "tuned"], int)
    after, before = groups.curve(tuned), groups.curve(mapped)
    sound = after.sound & before.sound

    def statistic(metric: str, sample: Sample) -> np.ndarray:
        left = sample.values(after, metric) / sample.values(before, metric)
        return sample.mean_of_replicates(left, sound)[..., 0]

    return groups.table(tuned, ["loss"], statistic, seed, resamples).assign(metric="loss_left")
