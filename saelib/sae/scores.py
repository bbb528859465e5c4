"""The metrics of an SAE: what each number means, over all held-out tokens and row by row.

In: numbers that `evaluation` has measured. Out: `Scores`, and its `RowScores`, from which a bootstrap over rows draws.
"""

from dataclasses import dataclass, field, fields

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class RowScores:
    """The metrics of `Scores` that are means over tokens, for each held-out row, in float64.

    Rows have equal lengths, so the mean over the rows is the metric. Positions that are skipped count nowhere.
    """

    ce_clean: Float[np.ndarray, " rows"]
    ce_spliced: Float[np.ndarray, " rows"]
    ce_zero: Float[np.ndarray, " rows"]
    ce_mean: Float[np.ndarray, " rows"]
    kl: Float[np.ndarray, " rows"]
    mse: Float[np.ndarray, " rows"]
    l0: Float[np.ndarray, " rows"]
    l1: Float[np.ndarray, " rows"]

    def __eq__(self, other: object) -> bool:
        """Equal to the bit."""
        return isinstance(other, RowScores) and all(map(np.array_equal, vars(self).values(), vars(other).values()))


ROW_METRICS = tuple(metric.name for metric in fields(RowScores))


@dataclass(frozen=True)
class Scores:
    """Metrics of one SAE at one layer, means over the held-out tokens.

    Cross-entropies are in nats, over every token that has a next one; the others are over all tokens. Positions that
    are skipped count nowhere, and keep their own residual vectors in every splice.
    """

    ce_clean: float
    """Of the untouched language model."""
    ce_spliced: float
    """With the residual stream replaced by the reconstruction at every position."""
    ce_zero: float
    """With the residual stream replaced by zeros."""
    ce_mean: float
    """With the residual stream replaced by its mean over the held-out tokens."""
    ce_score: float
    """(ce_zero - ce_spliced) / (ce_zero - ce_clean): 1 is a perfect splice, 0 is no better than zeros."""
    ce_score_mean: float
    """(ce_mean - ce_spliced) / (ce_mean - ce_clean): 0 is no better than the mean."""
    ce_increase: float
    """ce_spliced - ce_clean: what the splice costs, in nats."""
    kl: float
    """Of the spliced from the clean next-token distribution, in nats."""
    mse: float
    """Squared error summed over d_model (the paper's "L2")."""
    explained_variance: float
    """1 - sum of squared errors / sum of squared distances from the mean activation: predicting the mean gives 0."""
    l0: float
    """Active features per token."""
    l1: float
    """Features times the norms of their decoder rows, summed."""
    dead_latents: float
    """Share of the features that fire on none of the held-out tokens."""
    rows: RowScores = field(repr=False)
    """Of each row."""

    def metrics(self) -> dict[str, float]:
        """All numbers by name, without those of the rows."""
        return {name: value for name, value in vars(self).items() if name != "rows"}
