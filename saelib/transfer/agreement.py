"""The paper beside a run: each claim as one number, computed by the same function from both, and whether they agree.

In: the published results and a run's. Out: tables. Whatever is compared is compared over the same layers
(`curves.matched`). The paper has one seed and no scores by row, so its numbers have no interval; an interval of ours
that holds the border of a claim leaves it open, and so does a number of theirs that is nearer to it than ours is sure.
"""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Float

from saelib.results.bootstrap import RESAMPLES
from saelib.results.intervals import Interval
from saelib.results.text import with_interval
from saelib.transfer.checks import Results
from saelib.transfer.claims import (
    claims_of,
    layers_with_both,
    mean_score,
    nearest_budget,
    source_tokens,
    zero_shot_lead,
)
from saelib.transfer.curves import curve, matched, trained_arms
from saelib.transfer.directions import DIRECTIONS
from saelib.transfer.samples import Sample, Statistic, estimate, whole

RULES = {
    "sign": "same side of 0",
    "half": "same side of one half",
    "nine tenths": "same side of 0.9",
}
BORDERS = {"sign": 0.0, "half": 0.5, "nine tenths": 0.9}


def verdict(rule: str, paper: float, ours: Interval) -> str:
    """Say "yes" or "no", by the rule; "open" where our interval holds the border, or the paper's number is near it.

    Near: nearer than half of our interval is wide. The paper has one seed; another one would move its number too. Where
    we have no interval the means alone decide; where one of them is no number nothing is decided.
    """
    border = BORDERS[rule]
    if not (math.isfinite(paper) and math.isfinite(ours.mean)):
        return "open"
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
    both = [_comparable_ways(each.evaluation) for each in (published, results)]
    claims = claims_of([way for way in DIRECTIONS if all(way in ways for ways in both)])
    if not all(layers_with_both(each.evaluation) for each in (published, results)):  # as where there are two layers
        claims = [claim for claim in claims if claim.value is not zero_shot_lead]
    theirs = [float(claim.value(published.evaluation)(whole(published))) for claim in claims]
    statistics = [claim.value(results.evaluation) for claim in claims]
    found = estimate(results, partial(_side_by_side, statistics), seed=seed, resamples=resamples)
    rows = []
    for claim, paper, mean, low, high in zip(claims, theirs, found.mean, found.low, found.high, strict=True):
        ours = Interval(mean, low, high, found.count)
        share = _shares(claim.share, published, results) if "{share}" in claim.text else ""
        text = claim.text.format(share=share)
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
    """What the paper's dashed line does: scratch over all layers, beside scratch over each direction's own layers.

    Of the directions whose copies of the neighbour the table has.
    """
    sample = whole(Results(evaluation, None))
    scratch = curve(evaluation, "scratch").last
    rows = [{"layers": "all (the paper's dashed line)", "scratch": float(mean_score(sample, scratch))}]
    for direction in filter(set(evaluation["arm"]).__contains__, DIRECTIONS):
        pair = matched(evaluation, direction)
        rows.append({"layers": f"those of {direction}", "scratch": float(mean_score(sample, pair.reference.last)),
                     "transfer": float(mean_score(sample, pair.arm.last))})  # fmt: skip
    return pd.DataFrame(rows)


def _comparable_ways(evaluation: pd.DataFrame) -> list[str]:
    """The directions of an evaluation's copies whose sources have seen a known number of tokens."""
    arms = [way for way in DIRECTIONS if way in trained_arms(evaluation)]
    return [way for way in arms if source_tokens(evaluation, curve(evaluation, way))]


def _shares(wanted: float, published: Results, results: Results) -> str:
    """The shares of the source's tokens that are read for one: "50%", or "10% (paper) and 9.4% (this run)"."""
    shares = []
    for evaluation in (published.evaluation, results.evaluation):
        arm = curve(evaluation, next(way for way in DIRECTIONS if way in set(evaluation["arm"])))
        shares.append(nearest_budget(evaluation, arm, wanted) / source_tokens(evaluation, arm))
    theirs, ours = (f"{100 * share:.3g}%" for share in shares)
    return ours if theirs == ours else f"{theirs} (paper) and {ours} (this run)"


def _side_by_side(statistics: Sequence[Statistic], sample: Sample) -> Float[np.ndarray, "*draws claims"]:
    return np.stack(np.broadcast_arrays(*(statistic(sample) for statistic in statistics)), axis=-1)
