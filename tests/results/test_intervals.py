"""Intervals and paired tests beside other implementations, and how often they hold the truth."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from saelib.results.intervals import (
    exact_mcnemar,
    exact_sign_flip,
    mean_with_bounds,
    paired_interval,
    wilson,
)


@pytest.mark.parametrize("total", [1, 7, 200])
def test_wilson_equals_that_of_scipy(total: int) -> None:
    for correct in {0, 1, total // 2, total}:
        theirs = binomtest(correct, total).proportion_ci(method="wilson")
        assert wilson(correct, total) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_the_mean_over_tasks_by_hand() -> None:
    mean = mean_with_bounds(np.array([0.5, 1.0]), np.array([0.4, 0.9]), np.array([0.6, 1.0]))
    assert tuple(mean) == pytest.approx((0.75, 0.75 - 0.5 * math.sqrt(0.02), 0.75 + 0.5 * 0.1, 2))


def test_the_mean_over_tasks_holds_the_truth_in_95_of_100_draws() -> None:
    random = np.random.default_rng(0)
    chances = np.array([0.5] * 7 + [0.8, 0.97, 0.99])
    inside = []
    for _ in range(400):
        counts = random.binomial(50, chances)
        bounds = np.array([wilson(count, 50) for count in counts])
        mean = mean_with_bounds(counts / 50, bounds[:, 0], bounds[:, 1])
        inside.append(mean.low <= chances.mean() <= mean.high)
    assert 0.92 < np.mean(inside) < 0.985


@pytest.mark.parametrize(("first", "second"), [(0, 0), (5, 5), (1, 9), (30, 12), (0, 100)])
def test_mcnemar_equals_the_sign_test_of_scipy(first: int, second: int) -> None:
    theirs = binomtest(first, first + second).pvalue if first + second else 1.0
    assert exact_mcnemar(first, second) == pytest.approx(theirs)


@pytest.mark.parametrize(("first", "second", "items"), [(0, 0, 200), (5, 25, 200), (0, 20, 20)])
def test_the_interval_is_walds_of_the_table_with_half_an_item_more_in_each_cell(
    first: int, second: int, items: int
) -> None:
    outcomes = [-1.0] * (2 * first + 1) + [1.0] * (2 * second + 1)  # in halves of items
    outcomes += [0.0] * (2 * items + 4 - len(outcomes))
    mean = sum(outcomes) / len(outcomes)
    variance = sum((value - mean) ** 2 for value in outcomes) / len(outcomes) / (items + 2)
    low, high = paired_interval(first, second, items)
    assert low == pytest.approx(mean - norm.ppf(0.975) * math.sqrt(variance))
    assert high == pytest.approx(min(1, mean + norm.ppf(0.975) * math.sqrt(variance)))
    assert low < high


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([1.0, 2.0, 3.0], 2 / 8),  # as it is, and all the other way round
        ([-1.0, -2.0, -3.0], 2 / 8),
        ([1.0, 2.0, -3.0], 1.0),  # a sum of 0 is surpassed or equalled by every pattern
        ([3.0, 1.0, -1.0], 6 / 8),  # of +-3 +-1 +-1 only +-3 -1 -1 turned against the 3 are nearer to 0
        ([0.1] * 10, 2 / 2**10),  # the smallest that ten tasks can give
        ([0.0, 0.0], 1.0),
    ],
)
def test_sign_flips_are_counted_by_hand(differences: list[float], p: float) -> None:
    patterns = [abs(np.dot(signs, differences)) for signs in itertools.product([1, -1], repeat=len(differences))]
    assert np.mean([value >= abs(sum(differences)) - 1e-12 for value in patterns]) == pytest.approx(p)
    assert exact_sign_flip(differences) == pytest.approx(p)
