"""Is a transfer ahead of scratch by more where its layers lie closer together?

In: a run's evaluation, and the angular distances in `likeness.parquet`. Out: gain and distance of each pair of layers,
with intervals over replicates, and their rank correlation. Pairs of layers are few and the model's own: the correlation
says how they lie in this model, and is no draw from any others.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from saelib.interpret.likeness.means import REPLICATE, means
from saelib.results.bootstrap import RESAMPLES, Weights, crossed_bootstrap
from saelib.transfer.checks import has_diverged
from saelib.transfer.curves import equal_token_reference
from saelib.transfer.directions import parse_arm
from saelib.transfer.published import published_angular_distance, published_evaluation

PAIR = ["arm", "act_layer", "source_layer"]


def gains(evaluation: pd.DataFrame, likeness: pd.DataFrame) -> pd.DataFrame:
    """Of each transfer from the nearest source, what it is ahead by at equal new tokens, and how far it had to go.

    Args:
        evaluation: `evaluation.parquet`.
        likeness: `likeness.parquet`.

    Returns:
        arm, act_layer, source_layer, seed, measure ("first": at the first checkpoint behind 0, "end"), value (by how
        much its held-out objective is below that of scratch, as a share of scratch's), angular_distance.
    """
    reference = equal_token_reference(evaluation)
    sound = evaluation[~has_diverged(evaluation)]
    scratch = sound[sound["arm"] == reference].set_index(["act_layer", "seed", "tokens"])["loss"]
    chosen = sound[sound["arm"].map(_is_near) & (sound["tokens"] > 0)]
    keys = pd.MultiIndex.from_frame(chosen[["act_layer", "seed", "tokens"]].astype("int64"))
    theirs = scratch.set_axis(scratch.index.set_levels([level.astype("int64") for level in scratch.index.levels]))
    ahead = chosen.assign(value=1 - chosen["loss"].to_numpy(float) / theirs.reindex(keys).to_numpy(float))
    ahead = ahead[ahead["value"].notna()]
    ends = {name: ahead[ahead["tokens"] == ahead.groupby("arm")["tokens"].transform(pick)]
            for name, pick in (("first", "min"), ("end", "max"))}  # fmt: skip
    found = pd.concat([rows.assign(measure=name) for name, rows in ends.items()], ignore_index=True)
    return _with_distance(found[[*PAIR, REPLICATE, "measure", "value"]], distances_of(likeness))


def published_gains() -> pd.DataFrame:
    """The paper's: CE-loss score of a transfer at its end minus that of finished scratch, with the columns of `gains`.

    Its transfers were not compared with scratch of as many tokens.
    """
    table, matrix = published_evaluation(), published_angular_distance()
    finished = table[(table["arm"] == "scratch")].set_index("act_layer")["ce_score"]
    arms = table[table["arm"].map(_is_near)]
    last = arms[arms["tokens"] == arms["tokens"].max()]
    value = last["ce_score"].to_numpy(float) - finished.loc[last["act_layer"]].to_numpy(float)
    pairs = {(one, other): float(matrix[one, other]) for one, other in np.ndindex(matrix.shape)}
    return _with_distance(last[[*PAIR, REPLICATE]].assign(measure="end", value=value), pairs)


def distances_of(likeness: pd.DataFrame) -> dict[tuple[int, int], float]:
    """Mean angular distance of two layers, in either order."""
    rows = likeness[likeness["measure"] == "angular_distance"]
    keys = zip(rows["act_layer"].astype(int), rows["source_layer"].astype(int), strict=True)
    return dict(zip(keys, rows["value"].astype(float), strict=True))


def gain_by_pair(table: pd.DataFrame, *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Means over replicates: arm, act_layer, source_layer, measure, angular_distance, mean, low, high, count."""
    return means(table, [*PAIR, "measure", "angular_distance"], seed=seed, resamples=resamples)


def rank_correlation(table: pd.DataFrame, *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Spearman's correlation of gain and distance over the pairs of layers of each start, both directions together.

    Returns:
        start, measure, correlation (below 0: the closer, the further ahead), low, high (over replicates), pairs.
    """
    rows = []
    table = table.assign(start=[arm.start for arm in map(parse_arm, table["arm"]) if arm])
    for (start, measure), part in table.groupby(["start", "measure"], sort=False):
        wide = part.pivot(index=[*PAIR, "angular_distance"], columns=REPLICATE, values="value").dropna()
        distance = wide.index.get_level_values("angular_distance").to_numpy(float)
        mean, low, high = _correlated(wide.to_numpy(float), distance, seed, resamples)
        rows.append({"start": start, "measure": measure, "correlation": mean, "low": low, "high": high,
                     "pairs": len(wide)})  # fmt: skip
    return pd.DataFrame(rows, columns=["start", "measure", "correlation", "low", "high", "pairs"])


def _correlated(
    values: Float[np.ndarray, "pairs replicates"], distance: Float[np.ndarray, " pairs"], seed: int, resamples: int
) -> tuple[float, float, float]:
    from scipy.stats import pearsonr, rankdata

    def of(weights: Sequence[Weights]) -> Float[np.ndarray, " draws"]:
        """Spearman's is Pearson's of ranks; one call for all draws is 80 times as fast as one for each."""
        gains = rankdata(weights[0] @ values.T, axis=1)
        return pearsonr(gains, np.broadcast_to(rankdata(distance), gains.shape), axis=1).statistic

    count = values.shape[1]
    if len(distance) < 3:  # two points always lie on a line
        return math.nan, math.nan, math.nan
    mean = float(of([np.full((1, count), 1 / count)])[0])
    if count < 2:
        return mean, math.nan, math.nan
    low, high = crossed_bootstrap(of, [count], seed=seed, resamples=resamples)
    return mean, float(low), float(high)


def _is_near(name: str) -> bool:
    arm = parse_arm(name)
    return arm is not None and arm.distance == 1


def _with_distance(table: pd.DataFrame, distances: dict[tuple[int, int], float]) -> pd.DataFrame:
    """The pairs of layers whose distance is known, with it."""
    pairs = zip(table["act_layer"].astype(int), table["source_layer"].astype(int), strict=True)
    found = table.assign(angular_distance=[distances.get(pair, math.nan) for pair in pairs])
    return found[found["angular_distance"].notna()].reset_index(drop=True)
