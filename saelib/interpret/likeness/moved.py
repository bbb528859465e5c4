"""How far each feature has moved from its own source: kept, moved, or reborn as another.

In: the decoders of a transfer and of its source, whose indices are the same, and the covariance of the layer's stream.
Out: cosines by index, and shares. A cosine is large or small beside what directions that have nothing to do with each
other have in that layer, which is not 0 where a stream has a few strong directions: so there is a null.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from saelib.interpret.features.neighbours import unit_rows

KEPT = 0.9  # a cosine from which a feature is the same: an angle of 26 degrees
LEVELS = (0.5, 0.7)  # cosines at which shares are told too, for who would draw the line elsewhere
QUANTILE = 0.99  # of the null, up to which a cosine is no sign of a common origin
DRAWS = 8  # of the null for each feature


class Null(NamedTuple):
    """Cosines up to which a feature may be anybody's: the 99th percentiles of two nulls."""

    other: float
    """Of a feature of the transfer with a random *other* feature of the source."""
    directions: float
    """Of a feature of the transfer with a direction drawn as the layer's stream varies."""

    @property
    def threshold(self) -> float:
        """The larger: what either null explains is no sign that a feature was kept."""
        return max(self)


class Moved(NamedTuple):
    """Shares of the features; the three add up to 1."""

    kept: float
    """Cosine with its own source of 0.9 or more."""
    moved: float
    """Less, and more than the null's threshold."""
    reborn: float
    """Not more than the threshold, and less than 0.9."""


def covariance(stream: Float[Tensor, "tokens d_model"]) -> Float[Tensor, "d_model d_model"]:
    """Of residual vectors about their mean, float64 on the CPU."""
    centred = stream.detach().cpu().double()
    centred = centred - centred.mean(0)
    return centred.T @ centred / len(centred)


def random_directions(
    spread: Float[Tensor, "d_model d_model"], count: int, generator: torch.Generator
) -> Float[Tensor, "count d_model"]:
    """Unit vectors drawn as a stream of that covariance varies about its mean: normal, then scaled to length 1."""
    values, vectors = torch.linalg.eigh(spread)
    drawn = torch.randn(count, len(spread), generator=generator, dtype=torch.float64)
    return unit_rows(drawn * values.clamp_min(0).sqrt() @ vectors.T)


def null_cosines(
    now: Float[Tensor, "d_sae d_model"],
    source: Float[Tensor, "d_sae d_model"],
    spread: Float[Tensor, "d_model d_model"],
    seed: int,
) -> Null:
    """The thresholds of both nulls, of `DRAWS` cosines for each feature.

    Raises:
        ValueError: there is one feature alone, which has no other.
    """
    if len(now) < 2:
        raise ValueError("1 feature has no other to be compared with; two at least are needed")
    generator = torch.Generator().manual_seed(seed)
    mine, theirs = unit_rows(now).cpu(), unit_rows(source).cpu()
    shifts = torch.randint(1, len(now), (DRAWS,), generator=generator).tolist()
    order = torch.randperm(len(now), generator=generator)
    mine, theirs = mine[order], theirs[order]  # a shift of a random order pairs no feature with itself
    others = torch.cat([(mine * theirs.roll(shift, 0)).sum(1) for shift in shifts])
    drawn = [(mine * random_directions(spread, len(mine), generator)).sum(1) for _ in range(DRAWS)]
    return Null(*(float(torch.quantile(cosines.double(), QUANTILE)) for cosines in (others, torch.cat(drawn))))


def moved(cosines: Float[Tensor, " d_sae"], threshold: float) -> Moved:
    """Shares of features by their cosine with their own source; NaN of none at all."""
    if not len(cosines):
        return Moved(float("nan"), float("nan"), float("nan"))
    kept, above = cosines >= KEPT, cosines > threshold
    shares = (kept, ~kept & above, ~kept & ~above)
    return Moved(*(float(chosen.double().mean()) for chosen in shares))
