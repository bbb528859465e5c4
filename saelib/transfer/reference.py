"""Savings once more, by loops over plain numbers: for checks, not for speed. Nothing here is of the rest of the kit.

In: `evaluation.parquet` and `evaluation_rows.parquet` as tables. Out: what each SAE saves by each target.
"""

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

import pandas as pd

from saelib.transfer.directions import UNTRAINED

Score = dict[str, float]
METRICS = ("ce_clean", "ce_spliced", "ce_zero", "mse", "l0", "l1")


def plain_scores_by_sae(evaluation: pd.DataFrame, rows: pd.DataFrame) -> dict[tuple[str, int, int, int, int], Score]:
    """By (arm, layer, seed, data seed, tokens): the scores of an SAE, each from averages over held-out rows."""
    of_reading: dict[tuple[str, int], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for line in rows.to_dict("records"):
        for name in METRICS:
            of_reading[line["sae_sha256"], int(line["act_layer"])][name].append(float(line[name]))
    found = {}
    for line in evaluation[~evaluation["arm"].isin(UNTRAINED)].to_dict("records"):
        if _has_diverged(line):
            continue
        layer = int(line["act_layer"])
        means = {name: fmean(values) for name, values in of_reading[line["sae_sha256"], layer].items()}
        price = (line["loss"] - line["mse"]) / line["l1"] if line["l1"] else 0.0
        found[line["arm"], layer, line["seed"], line["data_seed"], line["tokens"]] = {
            "loss": means["mse"] + price * means["l1"],
            "ce_score": (means["ce_zero"] - means["ce_spliced"]) / (means["ce_zero"] - means["ce_clean"]),
            "l0": means["l0"],
            "ce_increase": means["ce_spliced"] - means["ce_clean"],
        }
    return found


class PlainSaving(NamedTuple):
    """What one SAE saves, whether it gets level, and its L0 there over that of the finished scratch SAE."""

    saving: float
    arrived: bool
    l0_ratio: float


def plain_savings(evaluation: pd.DataFrame, rows: pd.DataFrame) -> dict[tuple[str, str], list[PlainSaving]]:
    """By (arm, target): the saving of each SAE; without those that diverged, or whose scratch SAE did."""
    curves: dict[tuple[str | int, ...], list[tuple[int, Score]]] = defaultdict(list)
    for (arm, *sae, tokens), score in sorted(plain_scores_by_sae(evaluation, rows).items()):
        curves[arm, *sae].append((tokens, score))
    keys, lost = ("arm", "act_layer", "seed", "data_seed"), set()
    mapped: dict[tuple[str | int, ...], int] = {}
    for line in evaluation.to_dict("records"):
        which_sae = tuple(line[key] for key in keys)
        mapped[which_sae] = line.get("map_tokens", 0)
        lost |= {which_sae} if _has_diverged(line) else set()
    found = defaultdict(list)
    for (name, *which), curve in curves.items():
        if lost & {(name, *which), ("scratch", *which)}:
            continue
        scratch = curves["scratch", *which]
        for target in ("loss", "joint", "ce_score") if name not in ("scratch", "control") else ():
            needed, l0 = _needed(curve, scratch[-1][1], target)
            spent = min(max(needed, mapped[name, *which]), curve[-1][0])
            of_scratch, _ = _needed(scratch, scratch[-1][1], target)
            one = PlainSaving(1 - spent / of_scratch, needed < math.inf, l0 / scratch[-1][1]["l0"])
            found[str(name), target].append(one)
    return dict(found)


def _has_diverged(line: Mapping[Hashable, Any]) -> bool:
    return bool(pd.notna(line.get("diverged_at_step")))


def _needed(curve: Sequence[tuple[int, Score]], end: Score, target: str) -> tuple[float, float]:
    """Tokens at which a curve is first level, linear in their logarithm, and L0 there; infinity if it never is."""
    before: tuple[int, Score] | None = None
    for tokens, score in curve:
        gaps = _ahead(score, end, target)
        if min(gaps) >= 0:
            if before is None or before[0] == 0:
                return tokens, score["l0"]
            short = [(was, now) for was, now in zip(_ahead(before[1], end, target), gaps, strict=True) if was < 0]
            share = max(-was / (now - was) for was, now in short)  # the latest condition decides
            at = math.exp(math.log(before[0]) + share * (math.log(tokens) - math.log(before[0])))
            return at, before[1]["l0"] + share * (score["l0"] - before[1]["l0"])
        before = tokens, score
    return math.inf, math.nan


def _ahead(score: Score, end: Score, target: str) -> list[float]:
    """How far each condition of a target is on the good side."""
    if target == "loss":
        return [end["loss"] - score["loss"]]
    better = score["ce_score"] - end["ce_score"]
    return [better, 1.02 * end["l0"] - score["l0"]] if target == "joint" else [better]
