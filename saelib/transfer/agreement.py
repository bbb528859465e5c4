"""The paper beside a run: each claim as one number, computed by the same function from both, and whether they agree.

In: the published results and a run's. Out: tables. Whatever is compared is compared over the same layers
(`curves.matched`). The paper has one seed and no scores by row, so its numbers have no interval; an interval of ours
that holds the border of a claim leaves it open, and so does a number of theirs that is nearer to it than ours is sure.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from saelib.results.bootstrap import RESAMPLES
from saelib.results.intervals import Interval
from saelib.results.text import with_interval
from saelib.transfer.curves import Curve, curve, matched, trained_arms
from saelib.transfer.directions import DIRECTIONS
from saelib.transfer.samples import Sample, Statistic, estimate, whole
from saelib.transfer.tables import Results
from saelib.transfer.targets import arrival


class Claim(NamedTuple):
    """A statement that one number decides."""

    text: str
    """With {share} where a share of the source's tokens is named: what is nearest to it differs from run to run."""
    value: Callable[[pd.DataFrame], Statistic]
    """From an evaluation table to a statistic of it, one number for each draw."""
    rule: str
    """A key of `RULES`."""
    percent: bool = False
    share: float | None = None
    """Of the source's tokens."""


RULES = {
    "sign": "same side of 0",
    "half": "same side of one half",
    "nine tenths": "same side of 0.9",
}
BORDERS = {"sign": 0.0, "half": 0.5, "nine tenths": 0.9}


def verdict(rule: str, paper: float, ours: Interval) -> str:
    """Say "yes" or "no", by the rule; "open" where our interval holds the border, or the paper's number is near it.

    Near: nearer than half of our interval is wide. The paper has one seed; another one would move its number too. Where
    we have no interval the means alone decide.
    """
    border = BORDERS[rule]
    if math.isfinite(ours.low):
        near = abs(paper - border) <= (ours.high - ours.low) / 2
        if near or ours.low <= border <= ours.high:
            return "open"
    return "yes" if (paper > border) == (ours.mean > border) else "no"


def agreement_table(published: Results, results: Results, *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """One row for each claim about the paper's arms, copies of the neighbour, as far as both have them.

    Returns:
        claim, paper, mean, low, high, count (ours, and its replicates), rule, percent, agrees ("yes", "no", "open").
    """
    both = [trained_arms(each.evaluation) for each in (published, results)]
    claims = claims_of([way for way in DIRECTIONS if all(way in arms for arms in both)])
    theirs = [float(claim.value(published.evaluation)(whole(published))) for claim in claims]
    statistics = [claim.value(results.evaluation) for claim in claims]
    found = estimate(results, partial(_side_by_side, statistics), seed=seed, resamples=resamples)
    rows = []
    for claim, paper, mean, low, high in zip(claims, theirs, found.mean, found.low, found.high, strict=True):
        ours = Interval(mean, low, high, found.count)
        text = claim.text.format(share=_shares(claim.share, published, results))
        rows.append({"claim": text, "paper": paper, **ours._asdict(), "rule": RULES[claim.rule],
                     "percent": claim.percent, "agrees": verdict(claim.rule, paper, ours)})  # fmt: skip
    return pd.DataFrame(rows)


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """An agreement table as texts: claim, paper (one seed, no interval), this run (95% interval), rule, agrees."""
    lines = []
    for row in table.to_dict("records"):
        digits = 1 if row["percent"] else 4
        paper = f"{row['paper']:.{digits}%}" if row["percent"] else f"{row['paper']:.{digits}f}"
        lines.append({"claim": row["claim"], "paper": paper, "this run": with_interval(row, digits, row["percent"]),
                      "agrees when on the": row["rule"], "agrees": row["agrees"]})  # fmt: skip
    return pd.DataFrame(lines)


def unmatched_baseline(evaluation: pd.DataFrame) -> pd.DataFrame:
    """What the paper's dashed line does: scratch over all layers, beside scratch over each direction's own layers."""
    sample = whole(Results(evaluation, None))
    scratch = curve(evaluation, "scratch").last
    rows = [{"layers": "all (the paper's dashed line)", "scratch": float(_mean(sample, scratch))}]
    for direction in DIRECTIONS:
        pair = matched(evaluation, direction)
        rows.append({"layers": f"those of {direction}", "scratch": float(_mean(sample, pair.reference.last)),
                     "transfer": float(_mean(sample, pair.arm.last))})  # fmt: skip
    return pd.DataFrame(rows)


def zero_shot_lead(evaluation: pd.DataFrame) -> Statistic:
    """CE-loss score of untrained sources: the layer after minus the layer before, at layers that have both."""
    layers = matched(evaluation, "backward", "forward").layers
    after, before = (_zero_shot(evaluation, way).at_layers(layers) for way in ("backward", "forward"))
    return lambda sample: _mean(sample, after) - _mean(sample, before)


def recovered(evaluation: pd.DataFrame, arm: str, share: float | None = None) -> Statistic:
    """Normalised score of the means: 0 is the untrained source, 1 the finished scratch SAEs of the same layers.

    A ratio of means, not the paper's mean of ratios, which has no finite spread where one layer's span is near 0.

    Args:
        share: read at the budget nearest to this share of the source's tokens; at the end if not given.
    """
    pair, zero = matched(evaluation, arm), _zero_shot(evaluation, arm)
    reached = pair.arm.last if share is None else pair.arm.at([nearest_budget(evaluation, pair.arm, share)])

    def statistic(sample: Sample) -> Float[np.ndarray, "*draws"]:
        start, end = _mean(sample, zero), _mean(sample, pair.reference.last)
        return (_mean(sample, reached) - start) / (end - start)

    return statistic


def change(evaluation: pd.DataFrame, arm: str, metric: str) -> Statistic:
    """Transfer at the end against finished scratch: difference of CE-loss score, else relative change."""
    pair = matched(evaluation, arm)

    def statistic(sample: Sample) -> Float[np.ndarray, "*draws"]:
        transfer, scratch = (_mean(sample, end.last, metric) for end in pair)
        return transfer - scratch if metric == "ce_score" else transfer / scratch - 1

    return statistic


def share_won(evaluation: pd.DataFrame, arm: str) -> Statistic:
    """Share of an arm's SAEs that end with a higher CE-loss score than the finished scratch SAE."""
    pair = matched(evaluation, arm)

    def statistic(sample: Sample) -> Float[np.ndarray, "*draws"]:
        transfer, scratch = (sample.values(end.last, "ce_score") for end in pair)
        return sample.mean((transfer > scratch).astype(float))[..., 0]

    return statistic


def share_level(evaluation: pd.DataFrame, arm: str, target: str, share: float) -> Statistic:
    """Share of an arm's SAEs that are level with finished scratch within a share of the source's tokens."""
    pair = matched(evaluation, arm)
    budget = nearest_budget(evaluation, pair.arm, share)

    def statistic(sample: Sample) -> Float[np.ndarray, "*draws"]:
        within = arrival(sample, pair, target).crossing.tokens <= budget
        return sample.mean(within[..., None].astype(float))[..., 0]

    return statistic


def depth_correlation(evaluation: pd.DataFrame) -> Statistic:
    """Spearman's rank correlation of layer and CE-loss score over finished scratch SAEs, means over replicates."""
    from scipy import stats

    scratch = curve(evaluation, "scratch").last

    def statistic(sample: Sample) -> Float[np.ndarray, "*draws"]:
        scores = sample.mean_of_replicates(sample.values(scratch, "ce_score"))[..., 0]
        ranks = stats.rankdata(scores, axis=-1) - (len(scratch.layers) + 1) / 2
        depth = np.arange(len(scratch.layers)) - (len(scratch.layers) - 1) / 2
        return (ranks * depth).sum(-1) / np.sqrt((ranks**2).sum(-1) * (depth**2).sum())

    return statistic


def nearest_budget(evaluation: pd.DataFrame, arm: Curve, share: float) -> int:
    """The budget of an arm, above 0, that is nearest to a share of its source's tokens."""
    trained = arm.tokens[arm.tokens > 0]
    return int(trained[np.argmin(np.abs(trained - share * _source_tokens(evaluation, arm)))])


def claims_of(ways: Sequence[str]) -> list[Claim]:
    """All claims about copies from these directions."""
    claims = [Claim("Scratch: rank correlation of a layer's depth and its final CE score", depth_correlation, "sign")]
    if len(ways) == len(DIRECTIONS):
        lead = "Untrained neighbours: CE score of the layer after minus that of the layer before, where both exist"
        claims.append(Claim(lead, zero_shot_lead, "sign"))
    return claims + [claim for way in ways for claim in _claims_of_one(way)]


def _claims_of_one(way: str) -> list[Claim]:
    gap = f"{way}: share of the gap from the untrained source to scratch that is closed"
    level = f"{way}: share of SAEs as good as finished scratch within {{share}} of its tokens"

    def relative(metric: str, name: str) -> Claim:
        value = partial(change, arm=way, metric=metric)
        return Claim(f"{way}: {name} at the end against finished scratch", value, "sign", percent=True)

    def levels(target: str, name: str) -> Claim:
        value = partial(share_level, arm=way, target=target, share=0.5)
        return Claim(f"{level}, {name}", value, "half", percent=True, share=0.5)

    early = partial(recovered, arm=way, share=0.1)
    return [
        Claim(f"{gap} at the end", partial(recovered, arm=way), "nine tenths", percent=True),
        Claim(f"{gap} after {{share}} of the source's tokens", early, "nine tenths", percent=True, share=0.1),
        Claim(
            f"{way}: CE score at the end minus that of finished scratch",
            partial(change, arm=way, metric="ce_score"),
            "sign",
        ),
        Claim(f"{way}: share of SAEs that end above finished scratch in CE score", partial(share_won, arm=way),
              "half", percent=True),
        levels("joint", "in CE score at no more than 1.02 times its L0"),
        levels("ce_score", "in CE score at whatever L0"),
        relative("l0", "L0"),
        relative("mse", "squared error"),
    ]  # fmt: skip


def _shares(wanted: float | None, published: Results, results: Results) -> str:
    """The shares of the source's tokens that are read for one: "10.0% (paper) and 9.4% (this run)"."""
    if wanted is None:
        return ""
    shares = []
    for evaluation in (published.evaluation, results.evaluation):
        arm = curve(evaluation, next(way for way in DIRECTIONS if way in set(evaluation["arm"])))
        shares.append(nearest_budget(evaluation, arm, wanted) / _source_tokens(evaluation, arm))
    return f"{shares[0]:.1%} (paper) and {shares[1]:.1%} (this run)"


def _source_tokens(evaluation: pd.DataFrame, arm: Curve) -> int:
    return int(evaluation["source_tokens"].iloc[arm.places.flat[0]])


def _zero_shot(evaluation: pd.DataFrame, arm: str) -> Curve:
    return matched(evaluation, arm, "zero_shot").reference


def _mean(sample: Sample, chosen: Curve, metric: str = "ce_score") -> Float[np.ndarray, "*draws"]:
    """Of a curve with one number of tokens."""
    return sample.mean(sample.values(chosen, metric))[..., 0]


def _side_by_side(statistics: Sequence[Statistic], sample: Sample) -> Float[np.ndarray, "*draws claims"]:
    return np.stack(np.broadcast_arrays(*(statistic(sample) for statistic in statistics)), axis=-1)
