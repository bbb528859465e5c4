"""When a transfer is level with its layer's finished scratch SAE: three targets, and the tokens that they take.

In: curves of scores. Out: crossings. A target is a list of conditions that must hold at once:

    loss      held-out objective (mean squared error + λ L1), what training lowers: at most scratch's at its end
    joint     CE-loss score at least scratch's at its end, with at most 1.02 times its L0
    ce_score  CE-loss score alone, as paper 1 reads its curves: it may be reached at a much higher L0

Budgets lie apart, so a crossing lies between two of them: linear in the logarithm of tokens, condition by condition,
and the latest one decides. Between 0 and the first budget nothing is known (λ may still be warming up): what holds at
the first budget and not at the start is reached at the first budget. A start by a map takes at least the tokens on
which the map was fitted.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from saelib.transfer.curves import Matched
from saelib.transfer.samples import Sample

TARGETS = ("loss", "joint", "ce_score")  # the leading one first
TARGET_NAMES = {
    "loss": "held-out objective",
    "joint": "CE-loss score at no more L0",
    "ce_score": "CE-loss score alone",
}
LEVEL_OF = {"loss": "loss", "joint": "ce_score", "ce_score": "ce_score"}  # the score that a target sets
JOINT_L0_FACTOR = 1.02  # an L0 this much above scratch's still counts as no more

Values = Float[np.ndarray, "*draws layers replicates budgets"]
One = Float[np.ndarray, "*draws layers replicates"]


def possible_targets(evaluation: pd.DataFrame) -> tuple[str, ...]:
    """Those whose scores a table has: the published ones lack the loss."""
    return tuple(target for target in TARGETS if LEVEL_OF[target] in evaluation)


class Crossing(NamedTuple):
    """Where curves first meet all conditions: between the budgets `before` and `after`, a share of the way."""

    tokens: One  # infinity where they never do
    before: Int[np.ndarray, "*draws layers replicates"]
    after: Int[np.ndarray, "*draws layers replicates"]
    share: One  # in the logarithm of tokens

    @property
    def arrived(self) -> np.ndarray:
        """Whether each curve meets them at all."""
        return np.isfinite(self.tokens)

    def read(self, values: Values) -> One:
        """A score of the same curves at the crossing, interpolated alike; NaN where there is none."""
        first, then = (_at(values, place) for place in (self.before, self.after))
        return np.where(self.arrived, first + self.share * (then - first), np.nan)


def crossing(
    tokens: Int[np.ndarray, " budgets"], gaps: Float[np.ndarray, "conditions *draws layers replicates budgets"]
) -> Crossing:
    """The first crossing by the rule above.

    Args:
        tokens: the budgets, rising.
        gaps: of each condition, how far a curve is on the good side: it holds where this is 0 or more.
    """
    all_hold = (gaps >= 0).all(axis=0)
    after = all_hold.argmax(axis=-1)
    before = np.maximum(after - 1, 0)
    was, now = (_at(gaps, np.broadcast_to(place, gaps.shape[:-1])) for place in (before, after))
    with np.errstate(invalid="ignore"):  # where nothing is reached the share means nothing
        own = np.where(was < 0, -was / np.where(now > was, now - was, 1.0), 0.0)
    known = (after > before) & (tokens[before] > 0)
    share = np.where(known, own.max(axis=0), 1.0)
    needed = tokens[before] ** (1 - share) * tokens[after] ** share  # 0 ** 0 is 1
    return Crossing(np.where(all_hold.any(axis=-1), needed, np.inf), before, after, share)


class Arrival(NamedTuple):
    """How an arm and its reference get to the level of the reference's end."""

    crossing: Crossing
    reference_tokens: One  # that the reference needed, by the same rule
    budget: int  # the most tokens that the arm was given
    level: One
    l0_ratio: One  # L0 at the crossing, over the reference's at its end

    @property
    def saving(self) -> One:
        """1 - tokens needed / tokens that the reference needed; one that does not arrive has spent its budget.

        Negative where more was spent than the reference needed. Where budgets are smaller than the reference's, not to
        arrive costs the budget only: an upper bound. Nothing is saved where the reference needs no training; NaN where
        it never gets to its own end, because a score of it is no number.
        """
        spent = np.minimum(self.crossing.tokens, self.budget)
        reference = np.where(np.isfinite(self.reference_tokens), self.reference_tokens, np.nan)
        return 1 - np.where(reference == 0, 1.0, spent / np.maximum(reference, 1))


def arrival(sample: Sample, pair: Matched, target: str, l0_factor: float = JOINT_L0_FACTOR) -> Arrival:
    """When the arm of a pair is level with the end of its reference.

    Args:
        target: one of `TARGETS`.
        l0_factor: of the joint target.
    """
    scores = [sample.values(curve, LEVEL_OF[target]) for curve in pair]
    l0 = [sample.values(curve, "l0") for curve in pair]
    level, sparse = (values[1][..., -1:] for values in (scores, l0))
    crossings = []
    for curve, score, active in zip(pair, scores, l0, strict=True):
        gaps = [level - score if target == "loss" else score - level]
        gaps += [l0_factor * sparse - active] if target == "joint" else []
        found = crossing(curve.tokens, np.stack(gaps))
        crossings.append(found._replace(tokens=np.maximum(found.tokens, sample.map_tokens(curve))))
    arm, reference = crossings
    ratio = arm.read(l0[0]) / sparse[..., 0]
    return Arrival(arm, reference.tokens, int(pair.arm.tokens[-1]), level[..., 0], ratio)


def _at(values: Float[np.ndarray, "*shape budgets"], places: Int[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    return np.take_along_axis(values, places[..., None], axis=-1)[..., 0]
