"""How sure a number is: intervals for counts, their means and paired differences; all two-sided 95%.

In: counts, or values with bounds. Out: bounds. Those for counts keep a width above zero
where nothing, or everything, was right, which the textbook form (estimate ± 1.96 standard errors) does not.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A mean with its 95% interval; the bounds are NaN where there is one value only."""

    mean: float
    low: float
    high: float
    count: int  # type: ignore[assignment]  # a tuple's own method of that name is not needed


def wilson(correct: float, items: float) -> tuple[float, float]:
    """Wilson's score interval of a proportion; `items` may be an effective number, which need not be whole."""
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(correct, items, alpha=1 - CONFIDENCE, method="wilson")
    return float(low), float(high)


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


def exact_sign_flip(differences: Sequence[float]) -> float:
    """Two-sided p of the mean of some differences, when the sign of each might as well be the other one.

    All 2^n ways to give signs are counted, up to n = 16. Exact where each difference, drawn at random like the others,
    is as likely to be one way as the other; nothing is taken for granted of its size, nor of its interval.
    """
    from scipy.stats import permutation_test

    test = permutation_test((np.asarray(differences),), np.mean, permutation_type="samples", n_resamples=2**16,
                            axis=-1, vectorized=True, rng=0)  # fmt: skip
    return float(test.pvalue)


def holm(p: Sequence[float]) -> Float[np.ndarray, " tests"]:
    """Holm's correction of the p-values of several tests."""
    from statsmodels.stats.multitest import multipletests

    return multipletests(p, method="holm")[1]


def paired_interval(first_only: float, second_only: float, items: int) -> tuple[float, float]:
    """95% interval of the difference of two paired proportions (second - first).

    Agresti and Min (2005): Wald's interval after half an item is added to each of the four cells, which keeps it
    honest for small counts and wider than zero. Items that are right in part, over several replies, may count by parts:
    the interval is then rather too wide.
    """
    from scipy.stats import norm

    minus, plus, total = first_only + 0.5, second_only + 0.5, items + 2
    difference = (plus - minus) / total
    half = norm.ppf((1 + CONFIDENCE) / 2) * math.sqrt(plus + minus - (plus - minus) ** 2 / total) / total
    return max(-1.0, float(difference - half)), min(1.0, float(difference + half))
