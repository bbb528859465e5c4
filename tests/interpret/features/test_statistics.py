"""Density, mean, maximum and histogram of features, by hand and beside numpy."""

import numpy as np
import pytest
import torch

from saelib.interpret.features.statistics import BINS, HISTOGRAM_EDGES, FeatureStatistics


def test_a_case_by_hand() -> None:
    # Feature 0 is active at 2 of 4 tokens, with 1 and 3: density 0.5, mean 2, maximum 3. Feature 1 never is.
    counted = FeatureStatistics(2)
    counted.add(torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    counted.add(torch.tensor([[3.0, 0.0], [0.0, 0.0]]))
    found = counted.result()
    assert found.tokens == 4
    assert found.density.tolist() == [0.5, 0]
    assert found.mean.tolist() == [2, 0]
    assert found.maximum.tolist() == [3, 0]
    assert found.dead.tolist() == [False, True]
    # 1 = 2^0 opens the bin [1, 1.41); 3 lies in [2.83, 4) = [2^1.5, 2^2).
    bins = {np.searchsorted(HISTOGRAM_EDGES, value, side="right") - 1 for value in (1.0, 3.0)}
    assert bins == {20, 23}
    assert np.flatnonzero(found.histogram[0]).tolist() == [20, 23]
    assert found.histogram[1].sum() == 0


def test_they_are_numpys() -> None:
    activations = torch.relu(torch.randn(5, 30, 12) * 10.0 ** torch.randint(-2, 3, (5, 30, 12)))
    counted = FeatureStatistics(12)
    for rows in activations.split(2):
        counted.add(rows)
    found, flat = counted.result(), activations.reshape(-1, 12).double().numpy()
    assert np.allclose(found.density, (flat > 0).mean(0))
    assert np.allclose(found.mean, [line[line > 0].mean() for line in flat.T])
    assert np.allclose(found.maximum, flat.max(0))
    for feature in range(12):
        inside = flat[:, feature][flat[:, feature] > 0].clip(HISTOGRAM_EDGES[0], HISTOGRAM_EDGES[-1] * (1 - 1e-9))
        assert found.histogram[feature].tolist() == np.histogram(inside, HISTOGRAM_EDGES)[0].tolist()


def test_what_lies_outside_all_bins_is_in_the_outermost() -> None:
    counted = FeatureStatistics(1)
    counted.add(torch.tensor([[1e-9], [1e9]]))
    assert np.flatnonzero(counted.result().histogram[0]).tolist() == [0, BINS - 1]


def test_tokens_that_do_not_count_are_in_no_share() -> None:
    counted = FeatureStatistics(1)
    counted.add(torch.tensor([[[0.0], [2.0], [0.0]]]), tokens=2)  # the first position is left out
    assert counted.result().density.tolist() == [0.5]


def test_without_tokens_there_is_nothing_to_say() -> None:
    with pytest.raises(ValueError, match="no tokens were read"):
        FeatureStatistics(3).result()
