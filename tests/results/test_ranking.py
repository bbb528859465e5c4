"""AUROC and accuracy at the median beside other implementations, and how often their intervals hold the truth."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import bootstrap, norm

from saelib.results.intervals import Interval, mean_with_bounds, wilson
from saelib.results.ranking import accuracy_at_median, auroc

Margins = tuple[np.ndarray, np.ndarray]


def one_hill(random: np.random.Generator, items: int) -> Margins:
    return random.normal(1, 1, items), random.normal(0, 1, items)


def two_hills(random: np.random.Generator, items: int) -> Margins:
    """Positive items on both sides of the negative: the threshold lies among negative ones alone."""
    return np.where(random.random(items) < 0.25, -3, 3) + random.normal(size=items), 0.7 * random.normal(size=items)


@pytest.mark.parametrize("values", [3, 1000])
def test_auroc_equals_the_count_over_all_pairs(values: int) -> None:
    random = np.random.default_rng(values)
    above, below = random.integers(0, values, 31).astype(float), random.integers(0, values, 17).astype(float)
    naive = np.mean([(a > b) + 0.5 * (a == b) for a, b in itertools.product(above, below)])
    found = auroc(above, below)
    assert found.mean == pytest.approx(naive, abs=1e-12)
    assert 0 < found.low < found.mean < found.high < 1
    assert found.count == 48


def test_the_ends_of_auroc_have_an_interval() -> None:
    low, high = np.arange(10.0), np.arange(10.0) + 20
    best, worst = auroc(high, low), auroc(low, high)
    assert best.mean == best.high == 1 and 0.5 < best.low < 1
    assert (1 - worst.mean, 1 - worst.high, 1 - worst.low) == pytest.approx(best[:3], abs=1e-9)


def test_ties_across_the_median_are_shared_as_a_draw_would_on_average() -> None:
    margins = np.array([3.0, 1, 1, 1, 1, 0])
    is_a = np.array([True, True, False, True, False, False])
    tied = [1, 2, 3, 4]
    draws = [np.mean([is_a[i] == (i == 0 or i in said_a) for i in range(6)])
             for said_a in itertools.combinations(tied, 2)]  # fmt: skip
    assert accuracy_at_median(margins[is_a], margins[~is_a]).mean == pytest.approx(np.mean(draws))


def test_where_both_kinds_are_as_dense_at_the_threshold_the_interval_is_wilsons() -> None:
    """Four items in turn around the median, and one of each kind on the wrong side far away."""
    positive, negative = np.array([1.0, 3, 7, 8, 9, -9]), np.array([-1.0, -3, -7, -8, -10, 10])
    found = accuracy_at_median(positive, negative)
    assert found.mean == pytest.approx(10 / 12)
    assert found[1:3] == pytest.approx(wilson(10, 12), abs=0.02)


def test_perfect_and_hopeless_margins_keep_wilsons_width() -> None:
    low, high = np.arange(10.0), np.arange(10.0) + 20
    assert accuracy_at_median(high, low)[:3] == pytest.approx((1, *wilson(20, 20)))
    assert accuracy_at_median(low, high)[:3] == pytest.approx((0, *wilson(0, 20)))
    assert accuracy_at_median(np.ones(5), np.ones(5))[:3] == pytest.approx((0.5, *wilson(5, 10)), abs=1e-9)


@pytest.mark.parametrize("draw", [one_hill, two_hills])
@pytest.mark.parametrize("value", [auroc, accuracy_at_median])
def test_an_interval_is_as_wide_as_a_bootstrap_over_items_of_either_kind(
    value: Callable[..., Interval], draw: Callable[..., Margins]
) -> None:
    random = np.random.default_rng(0)
    found, widths = [], []
    for _ in range(4):
        margins = draw(random, 150)
        found.append(value(*margins))
        resampled = bootstrap(margins, lambda a, b: value(a, b).mean, vectorized=False, n_resamples=300,
                              method="percentile", rng=random)  # fmt: skip
        widths.append(2 * norm.ppf(0.975) * resampled.standard_error)
    assert np.mean([one.high - one.low for one in found]) == pytest.approx(np.mean(widths), rel=0.15)


@pytest.mark.parametrize("draw", [one_hill, two_hills])
@pytest.mark.parametrize("value", [auroc, accuracy_at_median])
def test_the_mean_over_tasks_holds_the_truth_in_95_of_100_draws(
    value: Callable[..., Interval], draw: Callable[..., Margins]
) -> None:
    random = np.random.default_rng(0)
    truth = value(*draw(random, 300_000)).mean
    inside = []
    for _ in range(200):
        tasks = np.array([value(*draw(random, 50))[:3] for _ in range(5)])
        mean = mean_with_bounds(*tasks.T)
        inside.append(mean.low <= truth <= mean.high)
    assert 0.9 < np.mean(inside) < 0.99
