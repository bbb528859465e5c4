"""Means of what was measured SAE by SAE, or feature by feature, and how they would vary with others.

In: long tables with a column `value`. Out: means with 95% bounds by the bootstrap of `results.bootstrap`, over
replicates, and over features where there is a row for each. Layers are not drawn again: they are those of the model.
"""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Float

from saelib.results.bootstrap import RESAMPLES, Weights, crossed_bootstrap

REPLICATE, DRAWN = "seed", "drawn"  # factors: a replicate; the place of a feature among those drawn in its source

Cells = Float[np.ndarray, "groups *members"]


def means(
    table: pd.DataFrame,
    by: Sequence[str],
    factors: Sequence[str] = (REPLICATE,),
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """Mean of `value` in each group, over all that it has.

    What is NaN is left out. A member that is drawn counts for all groups, so that groups can be compared. Bounds are
    NaN where no factor has two members.

    Args:
        table: with the columns of `by` and `factors`, and `value`.
        by: columns that make a group; groups stand in the order in which they first occur.
        factors: columns whose members are drawn again.
        seed: of the draws.
        resamples: how many.

    Returns:
        the columns of `by`, mean, low, high, count (of replicates).
    """
    known = table[table["value"].notna()]
    groups = known[[*by]].drop_duplicates(ignore_index=True)
    if groups.empty:
        return groups.assign(mean=[], low=[], high=[], count=[])
    sums, counts = _cells(known, groups, by, factors)
    sizes = sums.shape[1:]
    drawn_again = [place for place, size in enumerate(sizes) if size > 1]
    statistic = partial(_means, sums, counts, drawn_again)
    whole = statistic([np.full((1, sizes[place]), 1 / sizes[place]) for place in drawn_again])[0]
    low = high = np.full(len(groups), math.nan)
    if drawn_again:
        low, high = crossed_bootstrap(statistic, [sizes[place] for place in drawn_again], seed=seed,
                                      resamples=resamples)  # fmt: skip
    replicates = known.groupby([*by], sort=False, dropna=False)[REPLICATE].nunique()
    return groups.assign(mean=whole, low=low, high=high, count=replicates.to_numpy())


def _cells(known: pd.DataFrame, groups: pd.DataFrame, by: Sequence[str], factors: Sequence[str]) -> tuple[Cells, Cells]:
    """Sum and number of the values in each group of each member of the factors."""
    which = known.groupby([*by], sort=False, dropna=False).ngroup().to_numpy()
    members = [np.unique(known[name].to_numpy(), return_inverse=True) for name in factors]
    shape = (len(groups), *(len(names) for names, _ in members))
    places = (which, *(places for _, places in members))
    sums, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, places, known["value"].to_numpy(float))
    np.add.at(counts, places, 1.0)
    return sums, counts


def _means(
    sums: Cells, counts: Cells, drawn_again: Sequence[int], weights: Sequence[Weights]
) -> Float[np.ndarray, "draws groups"]:
    """Weighted means: a factor that is not drawn again counts as it is; NaN where a draw holds nothing of a group."""
    whole, number = (_weighted(cells, drawn_again, weights) for cells in (sums, counts))
    return np.divide(whole, number, out=np.full(whole.shape, math.nan), where=number > 0)


def _weighted(
    cells: Cells, drawn_again: Sequence[int], weights: Sequence[Weights]
) -> Float[np.ndarray, "draws groups"]:
    axes = tuple(place + 1 for place in range(cells.ndim - 1) if place not in drawn_again)
    kept = cells.sum(axis=axes)
    letters = "rstu"[: len(weights)]
    operands = ",".join(f"d{letter}" for letter in letters)
    if not weights:
        return kept[None]
    return np.einsum(f"{operands},g{letters}->dg", *weights, kept, optimize=True)
