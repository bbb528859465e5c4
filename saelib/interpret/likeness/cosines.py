"""Cosines between the decoder rows of two SAEs: by the nearest row, one to one, and by index.

In: two decoders. Out: for each row of the first a cosine, and whose it is. The mean of the largest cosines is paper 1's
MMCS, which may count one row of the other many times and thus comes out high; one to one no row is counted twice.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from saelib.interpret.features.neighbours import unit_rows

CHUNK = 2048  # rows whose cosines are in memory at once; no result depends on it


class Matches(NamedTuple):
    """Pairs of rows of two decoders; `one_to_one` of decoders of different sizes has as many as the smaller has."""

    rows: Int[Tensor, " pairs"]
    """Of the first, rising."""
    places: Int[Tensor, " pairs"]
    """Of the second: whose row each is paired with."""
    cosines: Float[Tensor, " pairs"]


@torch.no_grad()
def best_matches(
    one: Float[Tensor, "d_sae d_model"], other: Float[Tensor, "other_d_sae d_model"], chunk: int = CHUNK
) -> Matches:
    """For each row of `one` the row of `other` with the largest cosine; of equal ones the first."""
    theirs = unit_rows(other).T
    found = [(rows @ theirs).max(dim=1) for rows in unit_rows(one).split(chunk)]
    places = torch.cat([part.indices for part in found])
    return Matches(torch.arange(len(one), device=one.device), places, torch.cat([part.values for part in found]))


@torch.no_grad()
def one_to_one(one: Float[Tensor, "d_sae d_model"], other: Float[Tensor, "other_d_sae d_model"]) -> Matches:
    """The pairing of rows, each in one pair at most, whose cosines have the largest sum.

    Of decoders of different sizes rows of the larger are left over. Takes time with the cube of the size, and 12 bytes
    for each pair of rows.
    """
    from scipy.optimize import linear_sum_assignment

    cosines = (unit_rows(one) @ unit_rows(other).T).cpu()
    rows, places = (torch.from_numpy(found) for found in linear_sum_assignment(cosines.numpy(), maximize=True))
    return Matches(rows, places, cosines[rows, places])


@torch.no_grad()
def by_index(one: Float[Tensor, "d_sae d_model"], other: Float[Tensor, "d_sae d_model"]) -> Float[Tensor, " d_sae"]:
    """Cosine of each row with the row of the same index.

    Raises:
        ValueError: the decoders have different sizes: their indices mean nothing to each other.
    """
    if one.shape != other.shape:
        raise ValueError(f"decoders of {list(one.shape)} and {list(other.shape)} have no indices in common")
    return (unit_rows(one) * unit_rows(other)).sum(dim=1)


class Likeness(NamedTuple):
    """How alike two decoders are; NaN where one of them has no rows."""

    mmcs: float
    """Mean over the rows of the first of their largest cosine with a row of the second (paper 1)."""
    one_to_one: float
    """Mean over the rows of the first of their cosine in the best pairing that counts no row twice; a row that is left
    over counts as 0. Never above `mmcs`."""
    distinct: float
    """How many rows of the second are anybody's nearest, as a share of the rows of the first: 1 where the largest
    cosines are one to one already."""


def likeness(
    one: Float[Tensor, "d_sae d_model"],
    other: Float[Tensor, "other_d_sae d_model"],
    chosen: Bool[Tensor, " d_sae"] | None = None,
    candidates: Bool[Tensor, " other_d_sae"] | None = None,
) -> Likeness:
    """All three, over all rows or over those chosen of each decoder: features that fire, for one."""
    first = one if chosen is None else one[chosen]
    second = other if candidates is None else other[candidates]
    if not len(first) or not len(second):
        return Likeness(float("nan"), float("nan"), float("nan"))
    nearest, paired = best_matches(first, second), one_to_one(first, second)
    distinct = len(nearest.places.unique()) / len(first)
    single = torch.zeros(len(first), dtype=torch.float64)
    single[paired.rows] = paired.cosines.double()
    largest = nearest.cosines.double().cpu()
    single = torch.minimum(single, largest)  # one that is left over and nearer to nothing than 0 is not worth 0
    return Likeness(float(largest.mean()), float(single.mean()), distinct)
