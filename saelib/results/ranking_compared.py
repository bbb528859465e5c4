"""Does one margin tell two kinds of items apart better than another, and does it still where a third number is fixed?

In: margins of the items of either kind (`ranking.auroc`). Out: differences of AUROC, of different items or of the same
ones, and the AUROC among pairs of items that are alike in something else, with 95% intervals and two-sided p-values.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from saelib.results.intervals import wilson
from saelib.results.ranking import auroc, placements

NEAREST, FARTHEST = 0.01, 8.0  # standard deviations; p-values above .99 are given as 1, those below 1e-15 as that

Kinds = tuple[Float[np.ndarray, " positives"], Float[np.ndarray, " negatives"]]
"""Margins of the positive and of the negative items."""


class Difference(NamedTuple):
    """A difference with its 95% interval, and the p-value of none: below .05 just where the interval leaves out 0."""

    mean: float
    low: float
    high: float
    p: float


class HeldFixed(NamedTuple):
    """An AUROC among pairs that are alike; all but `pairs` is NaN where no pair is."""

    mean: float
    low: float
    high: float
    p: float
    """Of a margin that says nothing where the number is fixed."""
    pairs: float
    """Share of the pairs of a positive and a negative item that are alike."""


def auroc_difference(first: Kinds, second: Kinds, same_items: bool = False) -> Difference:
    """The AUROC of the second margins minus that of the first.

    The distances of the two AUROCs to their bounds are put together as standard errors are (Zou 2007, for any two
    estimates that have intervals); for the same items with the correlation of DeLong, DeLong and Clarke-Pearson (1988).
    The p-value belongs to the widest interval that leaves out 0.

    Args:
        same_items: whether both are margins of the same items, in one order.
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    mean = auroc(*second).mean - auroc(*first).mean
    together = _correlation(first, second) if same_items else 0.0

    def bounds(deviations: float | None = None) -> tuple[float, float]:
        one, two = auroc(*first, deviations), auroc(*second, deviations)
        down = _joined(two.mean - two.low, one.high - one.mean, together)
        return mean - down, mean + _joined(two.high - two.mean, one.mean - one.low, together)

    def left_out(deviations: float) -> float:
        """Above 0 where both bounds are on one side of 0."""
        low, high = bounds(deviations)
        return max(low, -high)

    if left_out(NEAREST) <= 0:
        return Difference(mean, *bounds(), 1.0)
    widest = FARTHEST if left_out(FARTHEST) > 0 else brentq(left_out, NEAREST, FARTHEST)
    return Difference(mean, *bounds(), float(2 * norm.sf(widest)))


def _joined(one: float, two: float, together: float) -> float:
    return math.sqrt(max(0.0, one**2 + two**2 - 2 * together * one * two))


def _correlation(first: Kinds, second: Kinds) -> float:
    """Of two AUROCs over the same items; 0 where one of them does not vary."""
    covariance = np.zeros((2, 2))
    for these, others in ((0, 1), (1, 0)):
        parts = [placements(kinds[these], kinds[others]) for kinds in (first, second)]
        if len(parts[0]) > 1:
            covariance += np.cov(parts) / len(parts[0])
    spread = math.sqrt(covariance[0, 0] * covariance[1, 1])
    return float(covariance[0, 1] / spread) if spread else 0.0


def auroc_held_fixed(
    positive: Float[np.ndarray, " positives"],
    negative: Float[np.ndarray, " negatives"],
    of_positive: Float[np.ndarray, " positives"],
    of_negative: Float[np.ndarray, " negatives"],
) -> HeldFixed:
    """The AUROC among the pairs of a positive and a negative item of which a third number is the same.

    What the margin owes to that number alone makes no difference inside such pairs. The interval is Wilson's for as
    many items as the variance is worth, which is that of a ratio of U-statistics (for one stratum DeLong's), and for
    no more than twice the rarer kind of each stratum. The p-value is that of the Mann-Whitney test added up over the
    strata, with the variance that dealing the labels anew inside each of them has (ties included).

    Args:
        of_positive: the number that is held fixed, of each positive item; so `of_negative`.
    """
    levels = of_positive, of_negative
    found = auroc_held_near((positive, negative), levels, levels)
    strata = [(positive[of_positive == number], negative[of_negative == number])
              for number in np.intersect1d(of_positive, of_negative)]  # fmt: skip
    pairs = found.pairs * len(positive) * len(negative)
    p = _p_of_excess(pairs * (found.mean - 0.5), sum(_dealing_variance(*stratum) for stratum in strata))
    return found._replace(p=p if strata else math.nan)


def auroc_held_near(margins: Kinds, scores: Kinds, levels: Kinds) -> HeldFixed:
    """The same where few scores are equal: among pairs in one level of a third score, and there not by its order.

    Items in one level still differ in the score, and a margin that follows it orders them as it does. So the pairs that
    the score has in the right order and those that it has in the wrong one count for half each, however many they are
    (equal scores are half of either): a margin that is the score has 50%. Noise leaves it a little more, since the
    score differs more in its right pairs. The p-value is the one that belongs to the interval.

    Args:
        levels: of each item; what is in one level is compared. Nothing can be said where no pair is in the right order,
            or none in the wrong one.
    """
    alike = levels[0][:, None] == levels[1]
    right = alike * _above(*scores)
    sides = (right, alike - right)
    if not all(side.any() for side in sides):
        return HeldFixed(math.nan, math.nan, math.nan, math.nan, 0.0)
    above = _above(*margins)
    shares = [float((side * above).sum() / side.sum()) for side in sides]
    value = sum(shares) / 2
    pulls = sum(side * (above - share) / (2 * side.sum()) for side, share in zip(sides, shares, strict=True))
    variance = sum(float((pulls.sum(axis) ** 2).sum()) for axis in (0, 1))  # pulls is an array: there are two sides
    most = min(_rarer(levels), 4 * min(_in_pairs(side) for side in sides))
    worth = min(most, value * (1 - value) / variance) if variance > 1e-12 else most  # not what rounding leaves of 0
    low, high = wilson(value * worth, worth)  # whose ends may miss 0 and 1 by rounding
    p = _p_of_excess(value - 0.5, 0.25 / worth)
    return HeldFixed(value, min(value, low), max(value, high), p, float(alike.mean()))


def _above(positive: np.ndarray, negative: np.ndarray) -> Float[np.ndarray, "positives negatives"]:
    """1 where a positive item's number is above a negative one's, half where it is the same."""
    return np.asarray((positive[:, None] > negative) + 0.5 * (positive[:, None] == negative))


def _rarer(levels: Kinds) -> float:
    """Twice the rarer kind of each level: more items than these the pairs are not worth."""
    return 2 * sum(min((levels[0] == level).sum(), (levels[1] == level).sum()) for level in np.intersect1d(*levels))


def _in_pairs(side: np.ndarray) -> float:
    """Twice the rarer kind of the items that are in any pair."""
    return 2 * min(side.any(axis).sum() for axis in (0, 1))


def _dealing_variance(these: np.ndarray, others: np.ndarray) -> float:
    """Of the count of pairs in order, when it is by lot which of a stratum's margins are positive."""
    count = len(these) + len(others)
    ties = np.unique(np.concatenate([these, others]), return_counts=True)[1].astype(float)
    return len(these) * len(others) / 12 * (count + 1 - float((ties**3 - ties).sum()) / (count * (count - 1)))


def _p_of_excess(excess: float, variance: float) -> float:
    """Two-sided, of an excess over what is expected of a margin that says nothing."""
    from scipy.stats import norm

    return float(2 * norm.sf(abs(excess) / math.sqrt(variance))) if variance > 0 else 1.0
