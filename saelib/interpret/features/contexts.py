"""Where each feature is most active: its best contexts of a text, read once, in memory that does not grow with it.

In: the features of token rows, batch after batch. Out: of each feature the k rows in which it is most active, where in
the row, and its activations around that place. A row counts once, by its maximum ("10 top sequences", layer-transfer
paper, feature transfer).
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

NOWHERE = -1  # position of a context that is not there: the feature was active in fewer rows


class FeatureContexts(NamedTuple):
    """The best contexts of each feature, the strongest first; of equal ones the earlier first."""

    values: Float[Tensor, "features k"]
    """Activation at the peak; 0 where there is no context."""
    positions: Int[Tensor, "features k"]
    """Of the peak, counted over all rows: `position // context` is the row; `NOWHERE` where there is no context."""
    windows: Float[Tensor, "features k window"]
    """Activations from `before` tokens before the peak to `after` behind it; 0 outside the row."""


class TopContexts:
    """Streams rows and keeps, of each feature, the k best ones.

    A batch's rows are reduced to their maxima first, so that what is sorted is k + rows of the batch for each feature.
    A naive sort of all rows, stable and falling, gives the same contexts.
    """

    def __init__(self, features: int, k: int, before: int = 12, after: int = 4) -> None:
        """Nothing is known yet.

        Args:
            features: how many.
            k: contexts that are kept of each.
            before: tokens before a peak whose activations are kept.
            after: tokens behind it.
        """
        self.features, self.k, self.rows = features, k, 0
        self._offsets = torch.arange(-before, after + 1)
        self._best: FeatureContexts | None = None

    @torch.no_grad()
    def add(self, activations: Float[Tensor, "rows context features"]) -> None:
        """The next rows of the text; all rows have the same length. What must not count is 0 in them.

        Raises:
            ValueError: there are other features than before.
        """
        rows, context, features = activations.shape
        if features != self.features:
            raise ValueError(f"activations of {features} features; the contexts are those of {self.features}")
        values, peaks = activations.max(dim=1)  # of equal ones the first
        first = torch.arange(self.rows, self.rows + rows, device=values.device).unsqueeze(1) * context
        windows = _around(activations, peaks, self._offsets.to(values.device))
        new = FeatureContexts(values.T.float(), (peaks + first).T, windows.permute(2, 0, 1))
        self._best = _best_of(self._known(values.device), new, self.k)
        self.rows += rows

    def result(self) -> FeatureContexts:
        """The best contexts of all rows so far, on the device of the activations."""
        return self._known(torch.device("cpu"))

    def _known(self, device: torch.device) -> FeatureContexts:
        if self._best is None:  # contexts that no active one comes behind
            shape = (self.features, self.k)
            return FeatureContexts(
                torch.zeros(shape, device=device),
                torch.full(shape, NOWHERE, device=device),
                torch.zeros(*shape, len(self._offsets), device=device),
            )
        return self._best


def _best_of(known: FeatureContexts, new: FeatureContexts, k: int) -> FeatureContexts:
    """The k best of both; what is known comes first where values are equal, as it is earlier, or 0."""
    values = torch.cat([known.values, new.values], dim=1)
    order = values.argsort(dim=1, descending=True, stable=True)[:, :k]
    windows = torch.cat([known.windows, new.windows.to(known.windows)], dim=1)
    return FeatureContexts(
        values.gather(1, order),
        torch.cat([known.positions, new.positions], dim=1).gather(1, order),
        windows.gather(1, order.unsqueeze(-1).expand(-1, -1, windows.shape[-1])),
    )


def _around(
    activations: Float[Tensor, "rows context features"],
    peaks: Int[Tensor, "rows features"],
    offsets: Int[Tensor, " window"],
) -> Float[Tensor, "rows window features"]:
    """Activations around each peak; 0 outside the row."""
    places = peaks.unsqueeze(1) + offsets.view(1, -1, 1)
    inside = (places >= 0) & (places < activations.shape[1])
    return activations.gather(1, places.clamp(0, activations.shape[1] - 1)).where(inside, 0.0).float()
