"""Intervals, rankings and paired tests beside other implementations, and how often they hold the truth."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.stats import binomtest, norm

from saelib.results.intervals import (
    auroc_with_interval,
    bias_free_correct,
    exact_mcnemar,
    mean_with_bounds,
    mean_with_interval,
    paired_interval,
    summarise,
    wilson,
)


def test_interval_is_students() -> None:
    values = [1.0, 2.0, 4.0]
    low, high = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
    assert mean_with_interval(values) == pytest.approx((np.mean(values), low, high, 3))
    alone = mean_with_interval([1.0])
    assert (alone.mean, alone.count) == (1.0, 1)
    assert math.isnan(alone.low) and math.isnan(alone.high)


def test_layers_are_averaged_within_a_seed_before_seeds_are_compared() -> None:
    table = pd.DataFrame({"arm": "a", "seed": [0, 0, 1, 1], "value": [0.0, 10.0, 1.0, 11.0]})
    summary = summarise(table, ["arm"], "value").iloc[0]
    assert (summary["mean"], summary["count"]) == (5.5, 2)
    low, high = stats.t.interval(0.95, 1, loc=5.5, scale=stats.sem([5.0, 6.0]))
    assert (summary["low"], summary["high"]) == pytest.approx((low, high))


@pytest.mark.parametrize("total", [1, 7, 200])
def test_wilson_equals_that_of_scipy(total: int) -> None:
    for correct in {0, 1, total // 2, total}:
        theirs = binomtest(correct, total).proportion_ci(method="wilson")
        assert wilson(correct, total) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@pytest.mark.parametrize("values", [3, 1000])
def test_auroc_equals_the_count_over_all_pairs(values: int) -> None:
    random = np.random.default_rng(values)
    above, below = random.integers(0, values, 31).astype(float), random.integers(0, values, 17).astype(float)
    naive = np.mean([(a > b) + 0.5 * (a == b) for a, b in itertools.product(above, below)])
    auroc, low, high = auroc_with_interval(above, below)
    assert auroc == pytest.approx(naive, abs=1e-12)
    assert 0 < low < auroc < high < 1


def test_the_interval_of_auroc_holds_the_truth_in_95_of_100_draws() -> None:
    random = np.random.default_rng(0)
    bounds = [auroc_with_interval(random.normal(1, 1, 50), random.normal(0, 1, 50))[1:] for _ in range(400)]
    truth = 0.760250  # of the normal distribution at 1 / sqrt(2)
    assert 0.92 < np.mean([low <= truth <= high for low, high in bounds]) < 0.98


def test_the_ends_of_auroc_have_an_interval() -> None:
    low, high = np.arange(10.0), np.arange(10.0) + 20
    assert auroc_with_interval(high, low)[0] == auroc_with_interval(high, low)[2] == 1
    assert 0.5 < auroc_with_interval(high, low)[1] < 1
    mirrored = [1 - value for value in auroc_with_interval(low, high)]
    assert sorted(mirrored) == pytest.approx(sorted(auroc_with_interval(high, low)), abs=1e-9)


def test_ties_across_the_median_are_shared_as_a_draw_would_on_average() -> None:
    margins = np.array([3.0, 1, 1, 1, 1, 0])
    is_a = np.array([True, True, False, True, False, False])
    tied = [1, 2, 3, 4]
    draws = [sum(is_a[i] == (i == 0 or i in said_a) for i in range(6)) for said_a in itertools.combinations(tied, 2)]
    assert bias_free_correct(margins, is_a) == pytest.approx(np.mean(draws))


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
