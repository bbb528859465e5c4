"""MMCS, the pairing one to one, and cosines by index: by hand, against loops, and against every permutation."""

import itertools
import math

import numpy as np
import pytest
import torch

from saelib.interpret.features.neighbours import unit_rows as units
from saelib.interpret.likeness.cosines import best_matches, by_index, likeness, one_to_one

ONE = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8]])
OTHER = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
# Cosines of ONE's rows with OTHER's: (1, 0, -1), (0.8, 0.6, -0.8), (0.6, 0.8, -0.6).
# Nearest: 1 (row 0), 0.8 (row 0), 0.8 (row 1): MMCS 2.6 / 3, two of three rows are anybody's nearest.
# One to one: rows 0, 1 and 2 all used. 1 + 0.6 - 0.6 = 1.0; 1 - 0.8 + 0.8 = 1.0; 0.8 + 0 - 0.6 = 0.2;
# 0.8 - 1 + 0.8 = 0.6; 0.6 + 0 - 0.8 = -0.2; 0.6 + 0.6 - 1 = 0.2. The best sum is 1.0: a mean of 1/3.


def drawn(rows: int, seed: int, width: int = 5) -> torch.Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))


def test_by_hand() -> None:
    found = likeness(ONE, OTHER)
    assert found.mmcs == pytest.approx(2.6 / 3)
    assert found.one_to_one == pytest.approx(1 / 3)
    assert found.distinct == pytest.approx(2 / 3)
    assert by_index(ONE, OTHER).tolist() == pytest.approx([1.0, 0.6, -0.6])
    assert best_matches(ONE, OTHER).places.tolist() == [0, 0, 1]


def test_the_length_of_rows_says_nothing() -> None:
    lengths = torch.tensor([[3.0], [0.1], [7.0]])
    assert likeness(ONE * lengths, OTHER) == pytest.approx(likeness(ONE, OTHER))


def test_a_row_of_zeros_is_like_nothing() -> None:
    found = best_matches(torch.zeros(1, 2), OTHER)
    assert found.cosines.tolist() == [0.0] and by_index(torch.zeros(3, 2), OTHER).tolist() == [0.0] * 3


@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_the_nearest_is_that_of_a_loop_whatever_the_chunk(chunk: int) -> None:
    one, other = drawn(9, 0), drawn(13, 1)
    found = best_matches(one, other, chunk)
    for row, place, cosine in zip(*(part.tolist() for part in found), strict=True):
        mine = one[row].numpy()
        lengths = np.linalg.norm(mine) * np.linalg.norm(other.numpy(), axis=1)
        cosines = np.array([float(np.dot(mine, theirs)) for theirs in other.numpy()]) / lengths
        assert place == int(np.argmax(cosines)) and cosine == pytest.approx(max(cosines), abs=1e-6)


def test_no_pairing_has_a_larger_sum() -> None:
    one, other = drawn(6, 2), drawn(6, 3)
    cosines = (units(one) @ units(other).T).double().numpy()
    best = max(sum(cosines[range(6), order]) for order in itertools.permutations(range(6)))
    found = one_to_one(one, other)
    assert float(found.cosines.double().sum()) == pytest.approx(best, abs=1e-5)
    assert sorted(found.places.tolist()) == [*range(6)] and found.rows.tolist() == [*range(6)]


def test_a_permuted_copy_is_the_same_one_to_one_and_not_by_index() -> None:
    one, order = drawn(20, 4), torch.randperm(20, generator=torch.Generator().manual_seed(0))
    found = likeness(one, one[order])
    assert found == pytest.approx((1.0, 1.0, 1.0), abs=1e-6)
    assert one_to_one(one, one[order]).places.tolist() == order.argsort().tolist()
    assert float(by_index(one, one[order]).mean()) < 0.5


def test_one_row_may_be_the_nearest_of_all() -> None:
    crowd = torch.tensor([[1.0, 0.01 * step] for step in range(5)])
    other = torch.tensor([[1.0, 0.02], [0.0, 1.0], [0.0, -1.0], [-1.0, 0.0], [-1.0, 1.0]])
    found = likeness(crowd, other)
    assert found.mmcs > 0.999 and found.distinct == 0.2
    assert found.one_to_one < 0.3  # one of five can have it


def test_of_decoders_of_different_sizes_rows_are_left_over() -> None:
    found = one_to_one(drawn(4, 5), drawn(9, 6))
    assert len(found.rows) == 4 and len(set(found.places.tolist())) == 4
    assert len(one_to_one(drawn(9, 6), drawn(4, 5)).rows) == 4
    with pytest.raises(ValueError, match="no indices in common"):
        by_index(drawn(4, 5), drawn(9, 6))


def test_some_rows_alone_are_compared_where_some_are_chosen() -> None:
    mine, theirs = torch.tensor([True, False, True]), torch.tensor([True, True, False])
    assert likeness(ONE, OTHER, mine, theirs) == pytest.approx(likeness(ONE[mine], OTHER[theirs]))
    nothing = likeness(ONE, OTHER, torch.zeros(3, dtype=torch.bool))
    assert all(math.isnan(value) for value in nothing)


def test_a_row_that_is_left_over_counts_as_nothing() -> None:
    # Three rows and one to pair them with: row 0 has it, with a cosine of 1. Nearest: 1, 0.8, 0.6: MMCS 0.8.
    found = likeness(ONE, OTHER[:1])
    assert found.mmcs == pytest.approx(0.8)
    assert found.one_to_one == pytest.approx(1 / 3)
    # The other way round all have a partner: (1, 0) with the row of its own.
    assert likeness(OTHER[:1], ONE).one_to_one == pytest.approx(1.0)


@pytest.mark.parametrize(("rows", "others"), [(30, 3), (3, 30), (12, 12), (5, 1)])
def test_one_to_one_is_never_above_the_nearest(rows: int, others: int) -> None:
    for seed in range(20):
        found = likeness(drawn(rows, seed, 2), drawn(others, 100 + seed, 2))
        assert found.one_to_one <= found.mmcs + 1e-6


def test_what_is_left_over_and_far_from_all_is_not_worth_0() -> None:
    # (1, 0) has the only row, at a cosine of -0.6; (0, 1) is left over, and -0.8 is all that it has.
    found = likeness(torch.eye(2), torch.tensor([[-0.6, -0.8]]))
    assert found.mmcs == pytest.approx(-0.7) and found.one_to_one == pytest.approx(-0.7)
