"""Where a search for a layer's lambda goes on: out of the trials that there are, what to try next, and what to take.

In: trials, each with its lambda and the L0 that it will have. Out: lambdas by layer. The first round tries `FIRST` norm
units, each further one where a straight line through the two nearest trials, log L0 over log lambda, meets the target.
"""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from saelib.transfer.lambdas import rounded

FIRST = (0.25, 1.0, 4.0)
"""Lambdas of the first round, in norm units."""
ROUNDS = 4
TOLERANCE = 0.1
"""A trial within this share of the target is near enough."""
FARTHEST = 8.0  # times the last lambda, where the target lies outside of what was tried


def asked_lambdas(trials: pd.DataFrame, units: Mapping[int, float], target: float) -> dict[int, list[float]]:
    """The lambdas of the next round, by layer; none of a layer with a trial that is near enough."""
    if trials.empty:
        return {layer: [rounded(factor * unit) for factor in FIRST] for layer, unit in units.items()}
    asked = {}
    for layer in units:
        mine = _sound(trials, layer)
        if (_distance(mine["l0_expected"], target) > math.log1p(TOLERANCE)).all():
            asked[layer] = [rounded(next_lambda(mine["l1_coefficient"].tolist(), mine["l0_expected"].tolist(), target))]
    return asked


def _sound(trials: pd.DataFrame, layer: int) -> pd.DataFrame:
    """The trials of a layer that did not diverge.

    Raises:
        FloatingPointError: all did.
    """
    mine = trials[trials["layer"] == layer]
    sound = mine[mine["l0_expected"].notna()]
    if sound.empty:
        raise FloatingPointError(
            f"each of the {len(mine)} trials of layer {layer} diverged, at lambda "
            f"{', '.join(f'{value:g}' for value in mine['l1_coefficient'])}: in a run of another name, lower "
            "scratch.learning_rate"
        )
    return sound


def _distance(l0: pd.Series, target: float) -> pd.Series:
    return l0.map(lambda value: abs(math.log(value / target)) if value > 0 else math.inf)


def next_lambda(coefficients: Sequence[float], l0: Sequence[float], target: float) -> float:
    """Where a line through two trials, log L0 over log lambda, meets the target.

    The two are those on either side of it, or the two outermost towards it, from which it goes on `FARTHEST` times at
    most. Where neither has more active features at the lower lambda, or there is one alone, a step that far is taken.
    """
    known = sorted((math.log(one), math.log(max(other, 1e-3))) for one, other in zip(coefficients, l0, strict=True))
    goal, most = math.log(target), math.log(FARTHEST)
    above = [point for point in known if point[1] > goal]  # too dense: lambda was too small
    if not above:
        (x, y), (x2, y2) = known[0], known[min(1, len(known) - 1)]
        low, high = x - most, x
    elif len(above) == len(known):
        (x, y), (x2, y2) = known[max(0, len(known) - 2)], known[-1]
        low, high = x2, x2 + most
    else:
        (x, y), (x2, y2) = above[-1], min(point for point in known if point[1] <= goal)
        low, high = min(x, x2), max(x, x2)
    slope = (y2 - y) / (x2 - x) if x2 != x else 0.0
    wanted = x + (goal - y) / slope if slope < 0 else (low if not above else high)
    return math.exp(min(max(wanted, low), high))


def nearest_lambdas(trials: pd.DataFrame, units: Mapping[int, float], target: float) -> dict[int, float]:
    """The lambda of each layer whose trial came nearest to the target.

    Raises:
        ValueError: that is not near enough at some layer.
        FloatingPointError: every trial of some layer diverged.
    """
    found, far = {}, []
    for layer in units:
        mine = _sound(trials, layer)
        distance = _distance(mine["l0_expected"], target)
        best = mine.loc[distance.idxmin()]
        found[layer] = float(best["l1_coefficient"])
        if distance.min() > math.log1p(TOLERANCE):
            far.append(f"layer {layer}: L0 {best['l0_expected']:.3g} at lambda {best['l1_coefficient']:g}")
    if far:
        raise ValueError(
            f"target_l0={target:g} was not reached within {TOLERANCE:.0%} by {ROUNDS} rounds of trials of "
            f"{trials['tokens'].iloc[0]:,} tokens; nearest: {'; '.join(far)}. In a run of another name, give more "
            "trial_tokens, another target_l0, or l1_coefficient (with l1_unit='norm')"
        )
    return found
