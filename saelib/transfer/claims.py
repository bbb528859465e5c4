"""The paper's claims about layer transfer, each as a number that can be computed from any evaluation table.

In: an evaluation table, the paper's or a run's. Out: statistics of a `Sample`. Whatever is compared is compared over
the same layers (`curves.matched`), and at the same share of the source's tokens.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from saelib.transfer.curves import Curve, alike, curve, matched
from saelib.transfer.directions import DIRECTIONS
from saelib.transfer.samples import Sample, Statistic
from saelib.transfer.targets import arrival

PAPERS_SHARE = 0.5
"""Of the source's tokens: where the paper's transfers end, and so where all that it says of their end is compared."""


class Claim(NamedTuple):
    """A statement that one number decides."""

    text: str
    """With {share} where a share of the source's tokens is named: what is nearest to it differs from run to run."""
    value: Callable[[pd.DataFrame], Statistic]
    """From an evaluation table to a statistic of it, one number for each draw."""
    rule: str
    """A key of `agreement.RULES`."""
    percent: bool = False
    share: float = PAPERS_SHARE
    """Of the source's tokens."""


def zero_shot_lead(evaluation: pd.DataFrame) -> Statistic:
    """CE-loss score of untrained sources: the layer after minus the layer before, at layers that have both."""
    layers = matched(evaluation, "backward", "forward").layers
    after, before = alike([_zero_shot(evaluation, way).at_layers(layers) for way in ("backward", "forward")])
    return lambda sample: mean_score(sample, after) - mean_score(sample, before)


def recovered(evaluation: pd.DataFrame, arm: str, share: float = PAPERS_SHARE) -> Statistic:
    """Normalised score of the means: 0 is the untrained source, 1 the finished scratch SAEs of the same layers.

    A ratio of means, not the paper's mean of ratios, which has no finite spread where one layer's span is near 0.
    """
    zero, reached, finished = alike([_zero_shot(evaluation, arm), *_reached(evaluation, arm, share)])

    def statistic(sample: Sample) -> Float[np.ndarray, "*draws"]:
        start, end = mean_score(sample, zero), mean_score(sample, finished)
        return (mean_score(sample, reached) - start) / (end - start)

    return statistic


def change(evaluation: pd.DataFrame, arm: str, metric: str, share: float = PAPERS_SHARE) -> Statistic:
    """Transfer against finished scratch: difference of CE-loss score, else relative change."""
    reached, finished = _reached(evaluation, arm, share)

    def statistic(sample: Sample) -> Float[np.ndarray, "*draws"]:
        transfer, scratch = (mean_score(sample, end, metric) for end in (reached, finished))
        return transfer - scratch if metric == "ce_score" else transfer / scratch - 1

    return statistic


def share_won(evaluation: pd.DataFrame, arm: str, share: float = PAPERS_SHARE) -> Statistic:
    """Share of an arm's SAEs that have a higher CE-loss score than the finished scratch SAE."""
    both = _reached(evaluation, arm, share)

    def statistic(sample: Sample) -> Float[np.ndarray, "*draws"]:
        transfer, scratch = (sample.values(end, "ce_score") for end in both)
        return sample.mean((transfer > scratch).astype(float), both[0].sound)[..., 0]

    return statistic


def share_level(evaluation: pd.DataFrame, arm: str, target: str, share: float) -> Statistic:
    """Share of an arm's SAEs that are level with finished scratch within a share of the source's tokens."""
    pair = matched(evaluation, arm)
    budget = nearest_budget(evaluation, pair.arm, share)

    def statistic(sample: Sample) -> Float[np.ndarray, "*draws"]:
        within = arrival(sample, pair, target).crossing.tokens <= budget
        return sample.mean(within[..., None].astype(float), pair.sound)[..., 0]

    return statistic


def depth_correlation(evaluation: pd.DataFrame) -> Statistic:
    """Spearman's rank correlation of layer and CE-loss score over finished scratch SAEs, means over replicates."""
    from scipy import stats

    scratch = curve(evaluation, "scratch").last

    def statistic(sample: Sample) -> Float[np.ndarray, "*draws"]:
        scores = sample.mean_of_replicates(sample.values(scratch, "ce_score"), scratch.sound)[..., 0]
        ranks = stats.rankdata(scores, axis=-1) - (len(scratch.layers) + 1) / 2
        depth = np.arange(len(scratch.layers)) - (len(scratch.layers) - 1) / 2
        return (ranks * depth).sum(-1) / np.sqrt((ranks**2).sum(-1) * (depth**2).sum())

    return statistic


def _reached(evaluation: pd.DataFrame, arm: str, share: float) -> tuple[Curve, Curve]:
    """An arm at the budget nearest to a share of its source's tokens, and finished scratch over the same layers."""
    pair = matched(evaluation, arm)
    return pair.arm.at([nearest_budget(evaluation, pair.arm, share)]), pair.reference.last


def nearest_budget(evaluation: pd.DataFrame, arm: Curve, share: float) -> int:
    """The budget of an arm, above 0, that is nearest to a share of its source's tokens."""
    trained = arm.tokens[arm.tokens > 0]
    return int(trained[np.argmin(np.abs(trained - share * source_tokens(evaluation, arm)))])


def claims_of(ways: Sequence[str]) -> list[Claim]:
    """All claims about copies from these directions."""
    claims = [Claim("Scratch: rank correlation of a layer's depth and its final CE score", depth_correlation, "sign")]
    if len(ways) == len(DIRECTIONS):
        lead = "Untrained neighbours: CE score of the layer after minus that of the layer before, where both exist"
        claims.append(Claim(lead, zero_shot_lead, "sign"))
    return claims + [claim for way in ways for claim in _claims_of_one(way)]


def _claims_of_one(way: str) -> list[Claim]:
    after, within = (f"{way}: {word} {{share}} of the source's tokens" for word in ("after", "within"))

    def gap(share: float) -> Claim:
        value = partial(recovered, arm=way, share=share)
        text = f"{after}, share of the gap from the untrained source to finished scratch that is closed"
        return Claim(text, value, "nine tenths", True, share)

    def against(metric: str, text: str) -> Claim:
        return Claim(f"{after}, {text}", partial(change, arm=way, metric=metric), "sign", metric != "ce_score")

    def level(target: str, name: str) -> Claim:
        value = partial(share_level, arm=way, target=target, share=PAPERS_SHARE)
        return Claim(f"{within}, share of SAEs as good as finished scratch, {name}", value, "half", True)

    return [
        gap(PAPERS_SHARE),
        gap(0.1),
        against("ce_score", "CE score minus that of finished scratch"),
        Claim(f"{after}, share of SAEs above finished scratch in CE score", partial(share_won, arm=way), "half", True),
        level("joint", "in CE score at no more than 1.02 times its L0"),
        level("ce_score", "in CE score at whatever L0"),
        against("l0", "L0 against finished scratch"),
        against("mse", "squared error against finished scratch"),
    ]


def source_tokens(evaluation: pd.DataFrame, arm: Curve) -> int:
    """Of an arm's sources."""
    return int(evaluation["source_tokens"].iloc[arm.places.flat[0]])


def _zero_shot(evaluation: pd.DataFrame, arm: str) -> Curve:
    return matched(evaluation, arm, "zero_shot").reference


def mean_score(sample: Sample, chosen: Curve, metric: str = "ce_score") -> Float[np.ndarray, "*draws"]:
    """Mean over the layers and replicates of a curve with one number of tokens."""
    return sample.mean(sample.values(chosen, metric), chosen.sound)[..., 0]


def layers_with_both(evaluation: pd.DataFrame) -> set[int]:
    """Layers with copies from both directions."""
    return set.intersection(*(set(evaluation.loc[evaluation["arm"] == way, "act_layer"]) for way in DIRECTIONS))
