"""Which features are drawn."""

import numpy as np
import pytest

from saelib.interpret.features.sampling import sampled_features


def test_only_living_features_are_drawn_and_all_of_them_at_last() -> None:
    alive = np.random.default_rng(1).random(200) < 0.6
    some, every = sampled_features(alive, 40, seed=3), sampled_features(alive, None, seed=3)
    assert len(some) == len(set(some.tolist())) == 40
    assert alive[some].all()
    assert some.tolist() == sorted(some.tolist())
    assert every.tolist() == np.flatnonzero(alive).tolist() == sampled_features(alive, 1000, seed=3).tolist()


def test_a_seed_says_which_and_a_larger_sample_holds_the_smaller() -> None:
    alive = np.ones(100, bool)
    assert sampled_features(alive, 10, 0).tolist() == sampled_features(alive, 10, 0).tolist()
    assert sampled_features(alive, 10, 0).tolist() != sampled_features(alive, 10, 1).tolist()
    assert set(sampled_features(alive, 10, 0).tolist()) < set(sampled_features(alive, 20, 0).tolist())


def test_every_feature_has_the_same_chance() -> None:
    # 2,000 draws of 5 out of 20: each is drawn 500 times on average, with a spread of sqrt(2000 * 1/4 * 3/4) = 19.4.
    counts = np.zeros(20)
    for seed in range(2000):
        counts[sampled_features(np.ones(20, bool), 5, seed)] += 1
    assert np.abs(counts - 500).max() < 4.5 * 19.4


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(ValueError, match="features=-1"):
        sampled_features(np.ones(3, bool), -1, 0)
