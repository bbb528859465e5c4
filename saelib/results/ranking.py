"""How well a margin tells two kinds of items apart, whatever the preference for one of them; with 95% intervals.

In: the margins of the items of either kind. Out: AUROC, and the accuracy where the median margin is the threshold. Both
intervals keep a width above zero at 0 and 1, and hold for any shape of the margins, two hills included.
"""

import math

import numpy as np
from jaxtyping import Float

from saelib.results.intervals import CONFIDENCE, Interval, wilson


def auroc(
    positive: Float[np.ndarray, " positives"],
    negative: Float[np.ndarray, " negatives"],
    deviations: float | None = None,
) -> Interval:
    r"""How often a positive item's margin is above a negative one's, a tie counting half.

    Bounds: all θ with |θ - AUROC| ≤ 1.96 c σ(θ), where σ(θ)² = θ(1-θ) [1 + N (1-θ)/(2-θ) + N θ/(1+θ)] / (mn), with
    N = (m+n)/2 - 1, is the variance of Hanley and McNeil (1982) as Newcombe (2006, part 2, method 5) uses it. It takes
    margins of one hill for granted; c ≥ 1 widens it to the variance of DeLong, DeLong and Clarke-Pearson (1988), which
    does not.

    Args:
        deviations: how many standard deviations away the bounds stand, in place of 1.96.
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    above = placements(positive, negative)
    value = float(above.mean())
    pairs, others = len(positive) * len(negative), (len(positive) + len(negative)) / 2 - 1

    def variance(theta: float) -> float:
        return theta * (1 - theta) * (1 + others * ((1 - theta) / (2 - theta) + theta / (1 + theta))) / pairs

    reach = (deviations or norm.ppf((1 + CONFIDENCE) / 2)) ** 2
    if variance(value) > 0 and min(len(positive), len(negative)) > 1:
        parts = (above, placements(negative, positive))
        reach *= max(1.0, sum(part.var(ddof=1) / len(part) for part in parts) / variance(value))

    def excess(theta: float) -> float:
        return float((theta - value) ** 2 - reach * variance(theta))

    inside = min(max(value, 1e-9), 1 - 1e-9)  # at 0 and 1 themselves the difference is 0, which is no bound
    low = 0.0 if value == 0 else brentq(excess, 0.0, inside)
    high = 1.0 if value == 1 else brentq(excess, inside, 1.0)
    return Interval(value, float(low), float(high), len(positive) + len(negative))


def placements(these: Float[np.ndarray, " these"], others: Float[np.ndarray, " others"]) -> Float[np.ndarray, " these"]:
    """For each of these, the share of the others that it is above, a tie counting half."""
    ordered = np.sort(others)
    beneath = np.searchsorted(ordered, these, "left") + np.searchsorted(ordered, these, "right")
    return np.asarray(beneath / (2 * len(others)))


def accuracy_at_median(
    positive: Float[np.ndarray, " positives"], negative: Float[np.ndarray, " negatives"]
) -> Interval:
    """Share that is right when the half with the larger margins is called positive.

    The threshold is the median margin, which needs no labels. Items that tie across it share the places that are left
    on either side: the expected share is given, as if these were drawn by lot. Where the kinds are not equally
    frequent, 100% is out of reach.

    The interval is Wilson's, for as many items as the variance is worth (an effective sample size, as for surveys). The
    threshold moves with the items: where those around it are of one kind, that costs up to half of the items, and
    where both kinds are equally dense there (as for margins that say nothing) nothing.
    """
    margins = np.concatenate([positive, negative])
    is_positive = np.arange(len(margins)) < len(positive)
    called = called_positive(margins)
    right = np.where(is_positive, called, 1 - called)
    value, items = float(right.mean()), len(margins)
    return Interval(value, *wilson(value * (worth := _worth(margins, is_positive, right)), worth), items)


def called_positive(margins: Float[np.ndarray, " items"]) -> Float[np.ndarray, " items"]:
    """1 above the median, 0 below it, and on it what makes half of all."""
    threshold = np.median(margins)
    above, tied = margins > threshold, margins == threshold
    return above + tied * ((len(margins) / 2 - above.sum()) / max(tied.sum(), 1))


def _worth(margins: np.ndarray, is_positive: np.ndarray, right: np.ndarray) -> float:
    """Items of a plain proportion with the same variance, by the delta method for a threshold that is estimated.

    With p and q the shares that are right, v and w the shares of all items, of either kind, and r the share of the
    negative around the threshold less that of the positive, the variance over n items is
    [v (1+r)² p(1-p) + w (1-r)² q(1-q)] / n: (1+r²) times the plain one where the kinds are equally frequent.
    """
    items, value = len(margins), right.mean()
    distance = np.abs(margins - np.median(margins))
    window = np.sort(distance)[min(items, 2 * round(math.sqrt(items))) - 1]
    pull = 1 - 2 * is_positive[distance <= window].mean()
    variance = 0.0
    for kind, sign in ((is_positive, 1), (~is_positive, -1)):
        share = right[kind].mean()
        variance += kind.mean() * (1 + sign * pull) ** 2 * share * (1 - share)
    return float(min(items, items * value * (1 - value) / variance)) if variance > 0 else items
