"""A circuit of one layer: which features are kept at which position, and whether the error term is.

In: effects of features, or a mask made by hand. Out: a `Circuit`, which evaluation takes whatever made it.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Circuit:
    """Features by position; what is not kept is ablated."""

    kept: Bool[Tensor, "positions d_sae"]
    """Positions are those of a prompt without the skipped ones."""
    error: bool = True
    """Whether the error term is added back, as in the paper."""

    def __post_init__(self) -> None:
        """Refuse what is no mask."""
        if self.kept.ndim != 2 or self.kept.dtype != torch.bool:
            shape = list(self.kept.shape)
            raise ValueError(f"kept={self.kept.dtype} of {shape}: should be bool, positions by features")

    def __eq__(self, other: object) -> bool:
        """The same features at the same positions."""
        return isinstance(other, Circuit) and self.error == other.error and torch.equal(self.kept, other.kept)

    __hash__ = None  # type: ignore[assignment]  # tensors have no value to hash

    def complement(self) -> "Circuit":
        """All other features; the error term as it is."""
        return replace(self, kept=~self.kept)

    @classmethod
    def full(cls, positions: int, d_sae: int) -> "Circuit":
        """Every feature everywhere: the model itself."""
        return cls(torch.ones(positions, d_sae, dtype=torch.bool))

    @classmethod
    def empty(cls, positions: int, d_sae: int) -> "Circuit":
        """No feature anywhere."""
        return cls(torch.zeros(positions, d_sae, dtype=torch.bool))

    @classmethod
    def top(
        cls, effects: Float[Tensor, "positions d_sae"], k: int, absolute: bool = False, summed: bool = False
    ) -> "Circuit":
        """The features with the `k` largest effects at each position; of equal ones the first.

        Args:
            effects: positive where a feature supports the answer.
            k: features a position.
            absolute: by size, whatever the sign: features that oppose the answer are kept too.
            summed: by effects summed over the positions, so that the same features are kept at each.

        Raises:
            ValueError: there are not so many features.
        """
        if not 1 <= k <= effects.shape[1]:
            raise ValueError(f"k={k}: choose from 1 to {effects.shape[1]} features")
        ranked = effects.sum(0, keepdim=True) if summed else effects
        order = (ranked.abs() if absolute else ranked).argsort(dim=1, descending=True, stable=True)
        kept = torch.zeros_like(ranked, dtype=torch.bool).scatter_(1, order[:, :k], True)
        return cls(kept.expand_as(effects).clone())

    @classmethod
    def random(cls, active: Bool[Tensor, "positions d_sae"], k: int, seed: int, summed: bool = False) -> "Circuit":
        """`k` features at each position at random, first of those that are active there: the others do nothing.

        Of one seed a larger circuit holds the smaller ones.

        Args:
            active: which features fire there on some prompt.
            summed: the same features at each position, first of those that are active anywhere.
        """
        positions = 1 if summed else len(active)
        drawn = np.random.default_rng(seed).random((positions, active.shape[1]), dtype=np.float32)
        known = active.any(0, keepdim=True) if summed else active
        scores = known + torch.from_numpy(drawn).to(active.device)
        return cls.top(scores.expand(len(active), -1), k)
