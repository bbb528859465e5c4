"""The bootstrap over two factors, against cases worked by hand, plain loops, and a count of how often it is right."""

import math
from functools import partial

import numpy as np
import pytest
from scipy import stats

from saelib.results.bootstrap import as_weights, crossed_bootstrap, expanded_confidence


def test_the_expanded_level_by_hand():
    below = stats.norm.cdf(-math.sqrt(5 / 4) * 2.7764451)  # t of 4 degrees of freedom at 97.5%
    assert expanded_confidence(5) == pytest.approx(1 - 2 * below)
    assert expanded_confidence(5) == pytest.approx(0.99809, abs=1e-5)
    assert expanded_confidence(10_000) == pytest.approx(0.95, abs=1e-4)
    assert expanded_confidence(2) < 1


def test_weights_count_the_draws():
    assert as_weights(np.array([[0, 0, 2], [1, 1, 1]])).tolist() == [[2 / 3, 0, 1 / 3], [0, 1, 0]]


def test_bounds_of_a_mean_are_the_percentiles_of_plain_draws():
    values, random = np.array([1.0, 2.0, 4.0, 8.0, 16.0]), np.random.default_rng(5)
    means = [np.mean(random.choice(values, 5)) for _ in range(20_000)]
    share = (1 - expanded_confidence(5)) / 2
    low, high = crossed_bootstrap(lambda weights: weights[0] @ values, [5], seed=0, resamples=20_000)
    assert [low, high] == pytest.approx(np.quantile(means, [share, 1 - share]), abs=0.5)


def test_both_factors_widen_the_bounds():
    table = np.add.outer(np.arange(5.0), np.arange(32.0) / 4)

    def width(sizes, statistic):
        low, high = crossed_bootstrap(statistic, sizes, seed=0, resamples=999)
        return high - low

    rows = width([5], lambda weights: weights[0] @ table.mean(1))
    both = width([5, 32], lambda weights: np.einsum("dr,rt,dt->d", weights[0], table, weights[1]))
    assert both > rows > 0


def test_the_same_draws_for_everything_that_is_compared():
    values = np.array([3.0, 5.0, 11.0])
    low, high = crossed_bootstrap(
        lambda weights: np.stack([weights[0] @ (values + 1) - weights[0] @ values, weights[0] @ values], axis=-1),
        [3],
        seed=1,
        resamples=500,
    )
    assert (low[0], high[0]) == (pytest.approx(1.0), pytest.approx(1.0))
    assert low[1] < high[1]


def test_bounds_of_a_share_stay_between_0_and_1_and_the_seed_decides():
    arrived = np.array([1.0, 1.0, 1.0, 1.0, 0.0])
    first, again, other = (
        crossed_bootstrap(lambda weights: weights[0] @ arrived, [5], seed=seed, resamples=999) for seed in (3, 3, 4)
    )
    assert first == again
    assert 0 <= first[0] < 0.8 < first[1] == other[1] == 1.0


def test_one_member_is_no_factor():
    with pytest.raises(ValueError, match="at least"):
        crossed_bootstrap(lambda weights: weights[0][:, 0], [1], seed=0)


def test_it_covers_with_five_replicates_and_the_plain_level_does_not(monkeypatch):
    random = np.random.default_rng(0)
    runs = [random.standard_normal((5, 1)) + random.standard_normal((1, 32)) / 3 for _ in range(300)]

    def mean_of(run, weights):
        return np.einsum("dr,rt,dt->d", weights[0], run, weights[1])

    def coverage():
        bounds = [crossed_bootstrap(partial(mean_of, run), [5, 32], seed=0, resamples=499) for run in runs]
        return np.mean([low <= 0 <= high for low, high in bounds])

    expanded = coverage()
    monkeypatch.setattr("saelib.results.bootstrap.expanded_confidence", lambda count: 0.95)
    assert 0.9 <= expanded <= 0.98
    assert coverage() < expanded - 0.04
