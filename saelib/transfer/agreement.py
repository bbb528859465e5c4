"""The paper beside a run: each claim as one number, computed by the same function from both, and whether they agree.

In: the published scores and a run's evaluation table, both in the form of `evaluation.parquet`. Out: tables.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import pandas as pd

from saelib.results.intervals import Interval, mean_with_interval
from saelib.results.text import with_interval
from saelib.transfer.convergence import final_rows, layer_matched
from saelib.transfer.directions import DIRECTIONS

SeedValue = Callable[[pd.DataFrame], float]  # of an evaluation table with the rows of one seed


class Claim(NamedTuple):
    """A statement that one number decides."""

    text: str
    value: SeedValue
    rule: str  # a key of RULES
    percent: bool = False


RULES = {
    "sign": "same side of 0",
    "half": "same side of one half",
    "nine tenths": "same side of 0.9",
}
BORDERS = {"sign": 0.0, "half": 0.5, "nine tenths": 0.9}


def verdict(rule: str, paper: float, ours: Interval) -> str:
    """Say "yes" or "no", by the rule; "open" where our interval holds the border (without one: by the mean alone)."""
    border = BORDERS[rule]
    if math.isfinite(ours.low) and ours.low <= border <= ours.high:
        return "open"
    return "yes" if (paper > border) == (ours.mean > border) else "no"


def agreement_table(published: pd.DataFrame, evaluation: pd.DataFrame) -> pd.DataFrame:
    """One row for each claim: claim, paper, ours (mean, low, high, count over seeds), rule, percent, agrees."""
    rows = []
    for claim in CLAIMS:
        paper = claim.value(published)
        ours = mean_with_interval([claim.value(rows_of_seed) for _, rows_of_seed in evaluation.groupby("seed")])
        rows.append({"claim": claim.text, "paper": paper, **ours._asdict(), "rule": RULES[claim.rule],
                     "percent": claim.percent, "agrees": verdict(claim.rule, paper, ours)})  # fmt: skip
    return pd.DataFrame(rows)


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """An agreement table as texts: claim, paper, this run (95% interval over seeds), agrees when, agrees."""
    lines = []
    for row in table.to_dict("records"):
        digits = 1 if row["percent"] else 4
        paper = f"{row['paper']:.{digits}%}" if row["percent"] else f"{row['paper']:.{digits}f}"
        lines.append({"claim": row["claim"], "paper": paper, "this run": with_interval(row, digits, row["percent"]),
                      "agrees when on the": row["rule"], "agrees": row["agrees"]})  # fmt: skip
    return pd.DataFrame(lines)


def mean_of(evaluation: pd.DataFrame, direction: str, arm: str, metric: str = "ce_score") -> float:
    """Mean over a direction's layers: its transfers at the end, its "zero_shot" sources, or "scratch" at the end."""
    if arm == "zero_shot":
        sources = evaluation.loc[evaluation["arm"] == direction, ["source_layer", "act_layer"]].drop_duplicates()
        rows = evaluation[evaluation["arm"] == "zero_shot"].merge(sources, on=["source_layer", "act_layer"])
    else:
        matched = final_rows(layer_matched(evaluation).query("direction == @direction"))
        rows = matched[matched["arm"] == arm]
    return float(rows[metric].mean())


def first_tenth(evaluation: pd.DataFrame, direction: str) -> float:
    """Mean CE-loss score of a direction's transfers at the checkpoint nearest to a tenth of the source's tokens."""
    rows = evaluation[evaluation["arm"] == direction]
    distance = (rows["tokens"] - rows["source_tokens"] / 10).abs()
    return float(rows.loc[distance == distance.min(), "ce_score"].mean())


def recovered(evaluation: pd.DataFrame, direction: str, early: bool = False) -> float:
    """Normalised score of the means: 0 is the untrained source, 1 the finished scratch SAEs of the same layers.

    A ratio of means, not the paper's mean of ratios, which has no finite spread where one layer's span is near 0.
    """
    zero, scratch = mean_of(evaluation, direction, "zero_shot"), mean_of(evaluation, direction, "scratch")
    reached = first_tenth(evaluation, direction) if early else mean_of(evaluation, direction, direction)
    return (reached - zero) / (scratch - zero)


def change(evaluation: pd.DataFrame, direction: str, metric: str) -> float:
    """Transfer at the end against finished scratch, same layers: difference of CE-loss score, else relative change."""
    transfer, scratch = (mean_of(evaluation, direction, arm, metric) for arm in (direction, "scratch"))
    return transfer - scratch if metric == "ce_score" else transfer / scratch - 1


def share_of_layers_won(evaluation: pd.DataFrame, direction: str) -> float:
    """Share of a direction's layers whose transfer ends with a higher CE-loss score than the finished scratch SAE."""
    final = final_rows(evaluation).pivot_table("ce_score", "act_layer", "arm")
    return float((final[direction] > final["scratch"])[final[direction].notna()].mean())


def _zero_shot_lead(evaluation: pd.DataFrame) -> float:
    return mean_of(evaluation, "backward", "zero_shot") - mean_of(evaluation, "forward", "zero_shot")


def _claims() -> list[Claim]:
    claims = [
        Claim(
            "Untrained neighbours: CE score of the layer after minus that of the layer before", _zero_shot_lead, "sign"
        )
    ]
    for way in DIRECTIONS:
        closed, early = partial(recovered, direction=way), partial(recovered, direction=way, early=True)
        gap = "share of the gap from the untrained source to scratch that is closed"
        claims += [
            Claim(f"{way}: {gap} at the end", closed, "nine tenths", percent=True),
            Claim(f"{way}: {gap} after a tenth of the source's tokens", early, "nine tenths", percent=True),
            Claim(
                f"{way}: CE score at the end minus that of finished scratch",
                partial(change, direction=way, metric="ce_score"),
                "sign",
            ),
            Claim(
                f"{way}: share of layers that end above finished scratch in CE score",
                partial(share_of_layers_won, direction=way),
                "half",
                percent=True,
            ),
        ]
        for metric, label in (("l0", "L0"), ("mse", "squared error")):
            relative = partial(change, direction=way, metric=metric)
            claims.append(Claim(f"{way}: {label} at the end against finished scratch", relative, "sign", percent=True))
    return claims


CLAIMS = _claims()


def unmatched_baseline(evaluation: pd.DataFrame) -> pd.DataFrame:
    """What the paper's dashed line does: scratch over all layers, beside scratch over each direction's own layers."""
    final = final_rows(evaluation)
    everywhere = final.loc[final["arm"] == "scratch", "ce_score"].mean()
    rows = [{"layers": "all (the paper's dashed line)", "scratch": everywhere}]
    for direction in DIRECTIONS:
        rows.append({"layers": f"those of {direction}", "scratch": mean_of(evaluation, direction, "scratch"),
                     "transfer": mean_of(evaluation, direction, direction)})  # fmt: skip
    return pd.DataFrame(rows)
