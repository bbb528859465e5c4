"""Kept, moved, reborn: shares by hand, thresholds that hold what they say, directions that vary as the stream does."""

import math

import numpy as np
import pytest
import torch

from saelib.interpret.likeness.moved import (
    DRAWS,
    QUANTILE,
    Moved,
    Null,
    covariance,
    moved,
    null_cosines,
    random_directions,
)


def drawn(rows: int, width: int, seed: int) -> torch.Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))


def test_shares_by_hand() -> None:
    # Threshold 0.4: 0.95 and 0.9 are kept, 0.5 has moved, 0.4 and -0.2 are anybody's.
    found = moved(torch.tensor([0.95, 0.9, 0.5, 0.4, -0.2]), threshold=0.4)
    assert found == pytest.approx(Moved(kept=0.4, moved=0.2, reborn=0.4))


def test_what_is_kept_stays_so_where_the_null_is_as_high() -> None:
    assert moved(torch.tensor([0.95, 0.92, 0.89]), 0.93) == pytest.approx((2 / 3, 0, 1 / 3))
    assert all(math.isnan(share) for share in moved(torch.tensor([]), 0.5))


def test_the_larger_null_is_the_threshold() -> None:
    assert Null(other=0.3, directions=0.2).threshold == 0.3
    assert Null(other=0.1, directions=0.2).threshold == 0.2


def test_covariance_is_numpys() -> None:
    stream = drawn(50, 4, 0) @ drawn(4, 4, 1) + 3
    wanted = np.cov(stream.double().numpy().T, bias=True)
    assert covariance(stream).numpy() == pytest.approx(wanted)


def test_directions_vary_as_the_stream_does() -> None:
    spread = torch.diag(torch.tensor([100.0, 1.0, 0.0], dtype=torch.float64))
    found = random_directions(spread, 4000, torch.Generator().manual_seed(0))
    assert found.norm(dim=1).tolist() == pytest.approx([1.0] * 4000, abs=1e-5)
    assert (found[:, 2] == 0).all()  # nothing varies that way
    assert float(found[:, 0].abs().median()) > 0.98  # ten times as far the one way as the other
    assert abs(float(found[:, 0].mean())) < 0.05


def test_in_an_even_stream_the_null_is_that_of_random_directions() -> None:
    width = 64
    now, source = drawn(500, width, 0), drawn(500, width, 1)
    found = null_cosines(now, source, torch.eye(width, dtype=torch.float64), seed=0)
    # A cosine of two random directions is nearly normal with variance 1 / width: 2.33 deviations at 99%.
    assert found.other == pytest.approx(2.33 / 8, abs=0.02)
    assert found.directions == pytest.approx(2.33 / 8, abs=0.02)


def test_no_feature_is_its_own_null() -> None:
    same = torch.eye(40)
    assert null_cosines(same, same, torch.eye(40, dtype=torch.float64), seed=3).other == 0.0


def test_the_null_is_high_where_all_features_are_alike() -> None:
    alike = drawn(100, 8, 0) + 5
    found = null_cosines(alike, alike, torch.eye(8, dtype=torch.float64), seed=0)
    assert found.other > 0.95 > found.directions


def test_the_threshold_is_the_quantile_of_its_draws_and_of_the_seed() -> None:
    now, source, spread = drawn(30, 6, 0), drawn(30, 6, 1), torch.eye(6, dtype=torch.float64)
    found = null_cosines(now, source, spread, seed=1)
    assert found == null_cosines(now, source, spread, seed=1) != null_cosines(now, source, spread, seed=2)
    cosines = torch.nn.functional.normalize(now, dim=1) @ torch.nn.functional.normalize(source, dim=1).T
    apart = cosines[~torch.eye(30, dtype=torch.bool)]
    assert len(apart) > 30 * DRAWS
    assert found.other == pytest.approx(float(apart.double().quantile(QUANTILE)), abs=0.1)


def test_one_feature_has_no_null() -> None:
    with pytest.raises(ValueError, match="1 feature has no other"):
        null_cosines(torch.ones(1, 4), torch.ones(1, 4), torch.eye(4), seed=0)
