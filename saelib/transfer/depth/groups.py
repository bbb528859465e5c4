"""The SAEs of the study as statistics take them: replicate beside replicate, and scores that are drawn row by row.

In: its results. Out: `Groups`, and the scores of a drawn sample. Scores that are shares of a layer's variance are drawn
with the variance of the same rows: a row with long vectors raises both.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from saelib.transfer.checks import VARIANCE, Results, has_diverged
from saelib.transfer.curves import REPLICATE, Curve, replicates_of
from saelib.transfer.samples import Sample, metric_table

SHARE = "loss_share"
"""The objective over that of the best constant, the mean activation, which has no active feature: comparable between
layers, whose residual streams differ tenfold in size. 1 is as bad as no SAE."""
OF_VARIANCE = {SHARE: "loss", "explained_variance": "mse"}
"""Scores that are made of this one's share of the variance."""
WHICH = ["arm", "budget", "act_layer", "distance", "l1_multiple"]
"""Columns that say which SAEs are one group: those of all replicates."""
KEYS = [name for name in WHICH if name != "l1_multiple"]
CARRIED = ("copy", "affine", "tuned", "group")
"""Arms of SAEs that are not the layer's own: those that begin as the source, and the one of several layers."""


class Groups:
    """The SAEs of a table, replicate beside replicate."""

    def __init__(self, results: Results) -> None:
        """Their places in the table, which has a column `variance` from now on.

        Raises:
            ValueError: a group lacks a replicate.
        """
        evaluation = results.evaluation
        if VARIANCE not in evaluation:
            evaluation = evaluation.assign(variance=evaluation["mse"] / (1 - evaluation["explained_variance"]))
        rows = evaluation.assign(place=np.arange(len(evaluation))).sort_values([*WHICH, *REPLICATE])
        count = len(replicates_of(evaluation))
        self.keys = rows[WHICH].drop_duplicates().reset_index(drop=True)
        places = rows["place"].to_numpy()
        if len(places) != count * len(self.keys):
            raise ValueError(f"{len(places)} rows are not {count} replicates of each of {len(self.keys)} groups")
        self.places: Int[np.ndarray, "groups replicates"] = places.reshape(-1, count)
        self.results, self.replicates = results._replace(evaluation=evaluation), replicates_of(evaluation)

    def curve(self, chosen: Int[np.ndarray, " groups"]) -> Curve:
        """Some of them, as statistics take SAEs: one token count, a group in place of each layer."""
        places = self.places[chosen][..., None]
        sound = ~has_diverged(self.results.evaluation)[places].any(axis=-1)
        return Curve("depth", tuple(range(len(places))), self.replicates, np.zeros(1, int), places, sound)

    def of(self, arm: str, budget: int, among: Int[np.ndarray, " groups"]) -> Int[np.ndarray, " chosen"]:
        """Places among some groups of those of an arm and budget that are not at the source's layer, by layer."""
        keys = self.keys.loc[among]
        own = (keys["arm"] == arm) & (keys["budget"] == budget) & (keys["distance"] != 0)
        return np.flatnonzero(own.to_numpy())

    def table(
        self,
        chosen: Int[np.ndarray, " groups"],
        metrics: Sequence[str],
        statistic: Callable[[str, Sample], np.ndarray],
        seed: int,
        resamples: int,
    ) -> pd.DataFrame:
        """Keys of the chosen groups, metric, mean, low, high, count."""
        keys = self.keys.loc[chosen, KEYS].to_dict("records")

        def of_one(metric: str) -> pd.DataFrame:
            drawn = OF_VARIANCE.get(metric, metric)  # which says whether rows decide it
            told = metric_table(self.results, keys, [drawn], lambda _, sample: statistic(metric, sample), seed=seed,
                                resamples=resamples)  # fmt: skip
            return told.assign(metric=metric)

        return pd.concat(map(of_one, metrics), ignore_index=True)


def scores(sample: Sample, curve: Curve, metric: str) -> Float[np.ndarray, "*draws groups replicates 1"]:
    """A score of every SAE: `SHARE`, or as `Sample.values`."""
    if metric not in OF_VARIANCE:
        return sample.values(curve, metric)
    share = sample.values(curve, OF_VARIANCE[metric]) / sample.values(curve, VARIANCE)
    return share if metric == SHARE else 1 - share


def beside_scratch(groups: Groups, multiples: bool) -> tuple[Int[np.ndarray, " groups"], Int[np.ndarray, "groups λ"]]:
    """The carried groups at whose layer there are scratch SAEs, and these.

    Args:
        multiples: at all λ; otherwise at the layer's own alone.
    """
    keys = groups.keys
    scratch = keys[(keys["arm"] == "scratch") & (multiples | (keys["l1_multiple"] == 1))]
    there = {place: list(rows.index) for place, rows in scratch.groupby(["act_layer", "budget"])}
    places = list(zip(keys["act_layer"], keys["budget"], strict=True))
    carried = [row for row in keys.index[keys["arm"].isin(CARRIED)] if places[row] in there]
    return np.array(carried, int), np.array([there[places[row]] for row in carried], int)
