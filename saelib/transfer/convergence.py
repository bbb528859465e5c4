"""What the curves say: normalised scores, layer-matched means, and how many tokens a transfer saves.

In: the evaluation table of a run. Out: tidy tables. Seeds carry the uncertainty: a quantity is averaged over layers
within each seed, and its interval is Student's t over seeds, two-sided 95%.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from saelib.results.intervals import summarise
from saelib.transfer.directions import DIRECTIONS

TARGETS = {"ce_score": "rises", "loss": "falls"}  # metrics with a target, and what each does when it gets better
TARGET_NAMES = {"ce_score": "CE-loss score", "loss": "training loss"}


def trained_rows(evaluation: pd.DataFrame) -> pd.DataFrame:
    """The rows of SAEs read at the layer they were trained on; the zero-shot matrix is left out."""
    return evaluation[evaluation["arm"] != "zero_shot"]


def layer_matched(evaluation: pd.DataFrame) -> pd.DataFrame:
    """For each direction, its own rows and those of scratch and control at exactly its layers.

    Forward lacks the first layer and backward the last, the hardest: a mean over other layers would not compare.
    Adds the column `direction`.
    """
    trained = trained_rows(evaluation)
    parts = []
    for direction in DIRECTIONS:
        layers = trained.loc[trained["arm"] == direction, "act_layer"].unique()
        chosen = trained["arm"].isin([direction, "scratch", "control"]) & trained["act_layer"].isin(layers)
        parts.append(trained[chosen].assign(direction=direction))
    return pd.concat(parts, ignore_index=True)


def average_curves(evaluation: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Layer-matched mean of each metric over tokens: direction, arm, tokens, metric, mean, low, high, count."""
    long = layer_matched(evaluation).melt(
        ["direction", "arm", "act_layer", "seed", "tokens"], list(metrics), var_name="metric"
    )
    return summarise(long, ["direction", "arm", "tokens", "metric"], "value")


def final_rows(evaluation: pd.DataFrame) -> pd.DataFrame:
    """The last checkpoint of every trained SAE."""
    trained = trained_rows(evaluation)
    return trained[trained["tokens"] == trained.groupby("arm")["tokens"].transform("max")]


def zero_shot_matrix(evaluation: pd.DataFrame, metric: str = "ce_score") -> pd.DataFrame:
    """Mean over seeds of a metric: rows are the layer an SAE was trained on, columns the layer it reads."""
    scratch = final_rows(evaluation).query("arm == 'scratch'")
    rows = pd.concat([scratch, evaluation[evaluation["arm"] == "zero_shot"]])
    return rows.pivot_table(metric, "sae_layer", "act_layer", aggfunc="mean")


def normalised_scores(evaluation: pd.DataFrame) -> pd.DataFrame:
    """(transfer - zero shot) / (scratch - zero shot) of the CE-loss score, as paper 1 has it, each checkpoint.

    0 is the untrained source at the new layer, 1 the layer's own finished scratch SAE. Where zero shot is almost as
    good as scratch the ratio is unstable; its denominator is kept in the column `span`.
    """
    transfers = evaluation[evaluation["arm"].isin([*DIRECTIONS])]
    zero = evaluation[evaluation["arm"] == "zero_shot"].rename(columns={"ce_score": "zero_shot"})
    none = final_rows(evaluation).query("arm == 'scratch'").rename(columns={"ce_score": "scratch"})
    keys = ["act_layer", "seed"]
    joined = transfers.merge(zero[[*keys, "source_layer", "zero_shot"]], on=[*keys, "source_layer"])
    joined = joined.merge(none[[*keys, "scratch"]], on=keys)
    joined["span"] = joined["scratch"] - joined["zero_shot"]
    joined["normalised"] = (joined["ce_score"] - joined["zero_shot"]) / joined["span"]
    return joined[["arm", "source_layer", *keys, "tokens", "ce_score", "zero_shot", "scratch", "span", "normalised"]]


def first_crossing(tokens: Sequence[int], values: Sequence[float], target: float, better: str) -> float:
    """Tokens at which a curve first reaches `target`, linear between checkpoints; infinity if it never does.

    Args:
        better: "rises" or "falls", what the metric does when it gets better.
    """
    sign = {"rises": 1.0, "falls": -1.0}[better]
    gaps = sign * (np.asarray(values, float) - target)  # negative until the target is reached
    reached = np.flatnonzero(gaps >= 0)
    if not len(reached):
        return math.inf
    first = int(reached[0])
    if first == 0:
        return float(tokens[0])
    share = -gaps[first - 1] / (gaps[first] - gaps[first - 1])
    return float(tokens[first - 1] + share * (tokens[first] - tokens[first - 1]))


def tokens_to_target(evaluation: pd.DataFrame, metric: str = "ce_score") -> pd.DataFrame:
    """New tokens each SAE needs until it is as good as its layer's finished scratch SAE of the same seed.

    The saving is 1 - tokens / (tokens that the scratch SAE itself needed, by the same rule); an SAE that never
    arrives within its budget has `tokens_needed` infinite and is counted as saving nothing.

    Returns:
        direction, arm, act_layer, seed, target, tokens_needed, scratch_tokens_needed, reached, saving.
    """
    matched = layer_matched(evaluation)
    curves = matched.sort_values("tokens").groupby(["direction", "arm", "act_layer", "seed"])
    targets = final_rows(evaluation).query("arm == 'scratch'").set_index(["act_layer", "seed"])[metric]
    rows = []
    for (direction, arm, layer, seed), curve in curves:
        target = float(targets[layer, seed])
        needed = first_crossing(curve["tokens"].to_list(), curve[metric].to_list(), target, TARGETS[metric])
        rows.append({"direction": direction, "arm": arm, "act_layer": layer, "seed": seed, "target": target,
                     "tokens_needed": needed})  # fmt: skip
    table = pd.DataFrame(rows)
    keys = ["direction", "act_layer", "seed"]
    scratch = table[table["arm"] == "scratch"].rename(columns={"tokens_needed": "scratch_tokens_needed"})
    table = table.merge(scratch[[*keys, "scratch_tokens_needed"]], on=keys)
    table["reached"] = np.isfinite(table["tokens_needed"])
    saving = 1 - table["tokens_needed"] / table["scratch_tokens_needed"]
    table["saving"] = saving.where(table["reached"] & (table["scratch_tokens_needed"] > 0), 0.0)
    return table


def savings(evaluation: pd.DataFrame) -> pd.DataFrame:
    """Mean saving of each direction and of the control, for both targets: mean, low, high, and who arrived."""
    parts = []
    for metric in TARGETS:
        table = tokens_to_target(evaluation, metric)
        summary = summarise(table, ["direction", "arm"], "saving")
        reached = table.groupby(["direction", "arm"])["reached"].mean().rename("share_reached").reset_index()
        parts.append(summary.merge(reached, on=["direction", "arm"]).assign(target=metric))
    return pd.concat(parts, ignore_index=True).query("arm != 'scratch'").reset_index(drop=True)


def equal_token_gains(evaluation: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Transfer minus control at the same layer, seed and number of new tokens, with intervals over seeds."""
    matched = layer_matched(evaluation).melt(
        ["direction", "arm", "act_layer", "seed", "tokens"], list(metrics), var_name="metric"
    )
    keys = ["direction", "act_layer", "seed", "tokens", "metric"]
    transfer = matched[matched["arm"] == matched["direction"]]
    control = matched[matched["arm"] == "control"].rename(columns={"value": "control"})
    joined = transfer.merge(control[[*keys, "control"]], on=keys)
    joined["gain"] = joined["value"] - joined["control"]
    return summarise(joined, ["direction", "tokens", "metric"], "gain")
