"""How often and how strongly each feature is active, counted over a text that is read once.

In: the features of tokens, batch after batch. Out: density, mean and largest activation, and a histogram of each
feature, by sums alone.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

HISTOGRAM_EDGES: Float[np.ndarray, " edges"] = 2.0 ** (np.arange(-20, 29) / 2)
"""Half octaves from 0.001 to 16,384, the same for all features of all SAEs, in units of the residual stream. What is
smaller is counted in the first bin, what is larger in the last."""
BINS = len(HISTOGRAM_EDGES) - 1


class Statistics(NamedTuple):
    """Of each feature, over the tokens that count."""

    tokens: int
    density: Float[np.ndarray, " features"]
    """Share of the tokens at which it is active."""
    mean: Float[np.ndarray, " features"]
    """Of the activations that are not 0; 0 where there is none."""
    maximum: Float[np.ndarray, " features"]
    histogram: Int[np.ndarray, "features bins"]
    """Active tokens between two of `HISTOGRAM_EDGES`."""

    @property
    def dead(self) -> Bool[np.ndarray, " features"]:
        """Active at no token of the text."""
        return self.density == 0


class FeatureStatistics:
    """Sums over the tokens so far; they do not grow with the text."""

    def __init__(self, features: int, device: torch.device | str = "cpu") -> None:
        """Nothing is counted yet."""
        self.tokens = 0
        self._counts = torch.zeros(features, BINS, dtype=torch.int64, device=device)
        self._sums = torch.zeros(features, dtype=torch.float64)
        self._maxima = torch.zeros(features, device=device)
        self._edges = torch.from_numpy(HISTOGRAM_EDGES[1:-1]).float().to(device)

    @torch.no_grad()
    def add(self, activations: Float[Tensor, "*tokens features"], tokens: int | None = None) -> None:
        """The next tokens.

        Args:
            activations: never negative; 0 where a feature is not active, or a token does not count.
            tokens: how many count; all if not given.
        """
        flat = activations.flatten(0, -2)
        self.tokens += len(flat) if tokens is None else tokens
        _, ids = places = flat.nonzero(as_tuple=True)
        values = flat[places].float()
        bins = torch.bucketize(values, self._edges, right=True)
        self._counts += torch.bincount(ids * BINS + bins, minlength=self._counts.numel()).view_as(self._counts)
        self._sums += flat.float().sum(0).double().cpu()
        self._maxima = torch.maximum(self._maxima, flat.amax(0).float())

    def result(self) -> Statistics:
        """Of all tokens so far.

        Raises:
            ValueError: there are none.
        """
        if not self.tokens:
            raise ValueError("no tokens were read: features have no statistics")
        counts = self._counts.cpu().numpy()
        active = counts.sum(axis=1)
        return Statistics(
            tokens=self.tokens,
            density=active / self.tokens,
            mean=self._sums.numpy() / np.maximum(active, 1),
            maximum=self._maxima.cpu().numpy().astype(float),
            histogram=counts,
        )
