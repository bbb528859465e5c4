"""Which decoder rows point the same way: the nearest ones within an SAE, and the best match in another.

In: decoder rows. Out: indices and cosines, chunk by chunk, so that no matrix of all pairs is held.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

COSINES_AT_ONCE = 16_000_000  # numbers of one product: 64 MB


class Neighbours(NamedTuple):
    """Of each row, the nearest first; of equally near ones any."""

    indices: Int[Tensor, "rows count"]
    cosines: Float[Tensor, "rows count"]


@torch.no_grad()
def nearest_rows(
    rows: Float[Tensor, "rows d_model"],
    among: Float[Tensor, "others d_model"],
    count: int = 1,
    alive: Bool[np.ndarray, " others"] | None = None,
) -> Neighbours:
    """The rows of another decoder with the largest cosines; a row of zeros has a cosine of 0 with all.

    `count=1` is the best match of each row.

    Args:
        rows: whose neighbours.
        among: where they are looked for.
        count: how many; fewer where there are not so many.
        alive: rows of the other decoder that are searched, those of features that fire: a dead one's is what it started
            as. All where none is alive.
    """
    places = searched_rows(len(among), alive).to(among.device)
    first, second = unit_rows(rows), unit_rows(among[places])
    count = min(count, len(second))
    parts = [
        (part @ second.T).topk(count, dim=1) for part in first.split(max(1, COSINES_AT_ONCE // max(1, len(second))))
    ]
    return Neighbours(places[torch.cat([part.indices for part in parts])], torch.cat([part.values for part in parts]))


def searched_rows(count: int, alive: Bool[np.ndarray, " others"] | None) -> Int[Tensor, " searched"]:
    """Which of so many rows may be a match: those that are alive; all where that is not known, or none is."""
    return torch.arange(count) if alive is None or not alive.any() else torch.from_numpy(np.flatnonzero(alive))


@torch.no_grad()
def neighbours(decoder: Float[Tensor, "features d_model"], count: int = 5) -> Neighbours:
    """The nearest other rows of the same decoder."""
    unit = unit_rows(decoder)
    count = min(count, len(unit) - 1)
    at_once = max(1, COSINES_AT_ONCE // len(unit))
    parts = []
    for start in range(0, len(unit), at_once):
        cosines = unit[start : start + at_once] @ unit.T
        own = torch.arange(len(cosines), device=cosines.device)
        cosines[own, start + own] = -torch.inf
        parts.append(cosines.topk(count, dim=1))
    return Neighbours(torch.cat([part.indices for part in parts]), torch.cat([part.values for part in parts]))


def unit_rows(rows: Float[Tensor, "rows d_model"]) -> Float[Tensor, "rows d_model"]:
    """Rows of length 1 in float32; a row of zeros stays one, whose cosine with all others is 0."""
    rows = rows.detach().float()
    norms = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    return rows / norms.where(norms > 0, 1)
