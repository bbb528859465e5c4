"""Circuits: which features are kept, by hand."""

import pytest
import torch

from saelib.interpret.circuits.circuit import Circuit

EFFECTS = torch.tensor([[3.0, -5.0, 1.0, 0.0], [0.0, 2.0, -4.0, 0.5]])


def kept(circuit: Circuit) -> list[list[int]]:
    return [row.nonzero().flatten().tolist() for row in circuit.kept]


def test_the_largest_signed_effects_are_kept_at_each_position():
    assert kept(Circuit.top(EFFECTS, 1)) == [[0], [1]]
    assert kept(Circuit.top(EFFECTS, 2)) == [[0, 2], [1, 3]]


def test_by_size_what_opposes_is_kept_too():
    assert kept(Circuit.top(EFFECTS, 1, absolute=True)) == [[1], [2]]


def test_summed_over_positions_the_same_features_are_kept_at_each():
    # sums: 3, -3, -3, 0.5
    assert kept(Circuit.top(EFFECTS, 2, summed=True)) == [[0, 3], [0, 3]]
    assert kept(Circuit.top(EFFECTS, 2, absolute=True, summed=True)) == [[0, 1], [0, 1]]


def test_of_equal_effects_the_first_are_kept():
    assert kept(Circuit.top(torch.zeros(2, 5), 3)) == [[0, 1, 2]] * 2


def test_complement_and_the_two_ends():
    circuit = Circuit.top(EFFECTS, 1)
    assert kept(circuit.complement()) == [[1, 2, 3], [0, 2, 3]]
    assert circuit.complement().complement() == circuit
    assert Circuit.empty(2, 4) == Circuit.full(2, 4).complement() != Circuit.full(2, 4)
    assert Circuit(circuit.kept, error=False).complement() == Circuit(~circuit.kept, error=False)


@pytest.mark.parametrize("k", [0, 5])
def test_a_size_that_there_is_not_is_refused(k):
    with pytest.raises(ValueError, match=f"k={k}: choose from 1 to 4"):
        Circuit.top(EFFECTS, k)


def test_what_is_no_mask_is_refused():
    with pytest.raises(ValueError, match="should be bool"):
        Circuit(EFFECTS)


def test_random_features_are_active_ones_first_and_nested():
    active = torch.rand(6, 40, generator=torch.Generator().manual_seed(0)) < 0.5
    small, large = (Circuit.random(active, k, seed=3) for k in (4, 30))
    assert (small.kept.sum(1) == 4).all() and (large.kept.sum(1) == 30).all()
    assert not (small.kept & ~active).any()
    assert not (active & ~large.kept).any()  # fewer than 30 are active anywhere: others fill up
    assert not (small.kept & ~large.kept).any()
    assert small == Circuit.random(active, 4, seed=3) != Circuit.random(active, 4, seed=4)
    assert len({tuple(row) for row in kept(small)}) == 6
    assert len({tuple(row) for row in kept(Circuit.random(active, 4, seed=3, summed=True))}) == 1


def test_every_active_feature_is_as_likely_to_be_drawn():
    active = torch.zeros(2000, 8, dtype=torch.bool)
    active[:, 2:6] = True
    drawn = Circuit.random(active, 1, seed=0).kept.float().mean(0)
    assert drawn.tolist() == pytest.approx([0, 0, 0.25, 0.25, 0.25, 0.25, 0, 0], abs=0.04)
