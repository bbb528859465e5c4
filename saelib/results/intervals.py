r"""How sure a number is: intervals for means, counts, rankings and paired differences; all two-sided 95%.

In: values for each seed, counts, margins, or values with bounds. Out: bounds. Those for counts keep a width above zero
where nothing, or everything, was right, which the textbook form (estimate ± 1.96 standard errors) does not.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A mean with its 95% interval; the bounds are NaN where there is one value only."""

    mean: float
    low: float
    high: float
    count: int  # type: ignore[assignment]  # a tuple's own method of that name is not needed


def mean_with_interval(values: Sequence[float]) -> Interval:
    """Mean and Student-t interval of independent values (one for each seed)."""
    from scipy import stats

    array = np.asarray(values, float)
    mean = float(array.mean())
    if len(array) < 2:
        return Interval(mean, math.nan, math.nan, len(array))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(array) - 1) * array.std(ddof=1) / math.sqrt(len(array)))
    return Interval(mean, mean - half, mean + half, len(array))


def summarise(table: pd.DataFrame, by: list[str], value: str) -> pd.DataFrame:
    """Mean over layers within each seed, then mean and interval over seeds, for every group of `by`."""
    seeds = table.groupby([*by, "seed"], observed=True)[value].mean().reset_index()
    rows = [
        dict(zip(by, key if isinstance(key, tuple) else (key,), strict=True))
        | mean_with_interval(group[value])._asdict()
        for key, group in seeds.groupby(by, observed=True, sort=False)
    ]
    return pd.DataFrame(rows)


def wilson(correct: float, items: int) -> tuple[float, float]:
    """Wilson's score interval of a proportion."""
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(correct, items, alpha=1 - CONFIDENCE, method="wilson")
    return float(low), float(high)


def auroc_with_interval(
    positive: Float[np.ndarray, " positives"], negative: Float[np.ndarray, " negatives"]
) -> tuple[float, float, float]:
    r"""How often a positive item's margin is above a negative one's, a tie counting half; and its bounds.

    Bounds: all θ with |θ - AUROC| ≤ 1.96 σ(θ), where σ(θ)² = θ(1-θ) [1 + N (1-θ)/(2-θ) + N θ/(1+θ)] / (mn), with
    N = (m+n)/2 - 1, is the variance of Hanley and McNeil (1982) as Newcombe (2006, part 2, method 5) uses it.
    """
    from scipy.optimize import brentq
    from scipy.stats import mannwhitneyu, norm

    pairs = len(positive) * len(negative)
    auroc = float(mannwhitneyu(positive, negative, method="asymptotic").statistic) / pairs
    others = (len(positive) + len(negative)) / 2 - 1
    quantile = norm.ppf((1 + CONFIDENCE) / 2)

    def excess(theta: float) -> float:
        shared = 1 + others * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return float((theta - auroc) ** 2 - quantile**2 * theta * (1 - theta) * shared / pairs)

    inside = min(max(auroc, 1e-9), 1 - 1e-9)  # at 0 and 1 themselves the difference is 0, which is no bound
    low = 0.0 if auroc == 0 else brentq(excess, 0.0, inside)
    high = 1.0 if auroc == 1 else brentq(excess, inside, 1.0)
    return auroc, float(low), float(high)


def bias_free_correct(margins: Float[np.ndarray, " items"], is_a: Bool[np.ndarray, " items"]) -> float:
    """How many are right when the half with the larger margins is said to be A.

    The threshold is the median margin, which needs no labels. Items that tie across it share the places that are left
    on either side: the expected number is given, as if these were drawn by lot, so it need not be whole. Where A and B
    are not equally frequent, 100% is out of reach.
    """
    threshold = np.median(margins)
    above, below = margins > threshold, margins < threshold
    tied = ~above & ~below
    certain = (above & is_a).sum() + (below & ~is_a).sum()
    if not tied.any():
        return float(certain)
    share_a = (len(margins) / 2 - above.sum()) / tied.sum()
    return float(certain + share_a * (tied & is_a).sum() + (1 - share_a) * (tied & ~is_a).sum())


def mean_with_bounds(
    values: Float[np.ndarray, " parts"], low: Float[np.ndarray, " parts"], high: Float[np.ndarray, " parts"]
) -> Interval:
    """Mean of independent estimates, and its bounds from theirs.

    Squared distances to the bounds add up as variances do (method of variance estimates recovery: Zou, Huang & Zhang
    2009, for linear functions of proportions with Wilson bounds). For estimates from different items of fixed tasks:
    it says how the mean would vary with other items, not with other tasks.
    """
    mean, parts = float(np.mean(values)), len(values)
    down, up = (math.sqrt(np.sum((values - bound) ** 2)) / parts for bound in (low, high))
    return Interval(mean, mean - down, mean + up, parts)


def exact_mcnemar(first_only: int, second_only: int) -> float:
    """Two-sided p of the exact McNemar test."""
    from statsmodels.stats.contingency_tables import mcnemar

    return min(1.0, float(mcnemar([[0, first_only], [second_only, 0]], exact=True).pvalue))


def holm(p: Sequence[float]) -> Float[np.ndarray, " tests"]:
    """Holm's correction of the p-values of several tests."""
    from statsmodels.stats.multitest import multipletests

    return multipletests(p, method="holm")[1]


def paired_interval(first_only: int, second_only: int, items: int) -> tuple[float, float]:
    """95% interval of the difference of two paired proportions (second - first).

    Agresti and Min (2005): Wald's interval after half an item is added to each of the four cells, which keeps it
    honest for small counts and wider than zero.
    """
    from scipy.stats import norm

    minus, plus, total = first_only + 0.5, second_only + 0.5, items + 2
    difference = (plus - minus) / total
    half = norm.ppf((1 + CONFIDENCE) / 2) * math.sqrt(plus + minus - (plus - minus) ** 2 / total) / total
    return max(-1.0, float(difference - half)), min(1.0, float(difference + half))
