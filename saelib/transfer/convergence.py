"""What the curves say: layer-matched means with intervals, ends of training, and normalised scores.

In: a run's results, or the published ones. Out: tidy tables. Intervals: the bootstrap over replicates and held-out
rows (`samples.estimate`).
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Float

from saelib.results.bootstrap import RESAMPLES
from saelib.transfer.checks import Results
from saelib.transfer.curves import Curve, alike, compared_arms, curve, matched, trained_arms
from saelib.transfer.directions import UNTRAINED, parse_arm
from saelib.transfer.samples import Sample, metric_table

Group = tuple[str, int, Curve]  # direction and distance, and one of the arms that are compared over their layers


def average_curves(
    results: Results, metrics: Sequence[str], *, seed: int = 0, resamples: int = RESAMPLES
) -> pd.DataFrame:
    """Mean of each metric over layers and replicates, over tokens, of each arm and what it is compared with.

    Returns:
        direction, distance, arm, tokens, metric, mean, low, high, count. `arm` is one of that direction and distance,
        or "scratch" or "control" over exactly their layers.
    """
    return _means(results, _groups(results.evaluation), metrics, seed=seed, resamples=resamples)


def final_table(results: Results, metrics: Sequence[str], *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """The ends of `average_curves`: direction, distance, arm, metric, mean, low, high, count."""
    ends = [(direction, distance, arm.last) for direction, distance, arm in _groups(results.evaluation)]
    return _means(results, ends, metrics, seed=seed, resamples=resamples).drop(columns="tokens")


def layer_curves(
    results: Results, metrics: Sequence[str], *, seed: int = 0, resamples: int = RESAMPLES
) -> pd.DataFrame:
    """Mean of each metric over replicates, layer by layer, of every trained arm.

    Returns:
        arm, act_layer, tokens, metric, mean, low, high, count.
    """
    parts = []
    for chosen in alike([curve(results.evaluation, arm) for arm in trained_arms(results.evaluation)]):
        keys = [
            {"arm": chosen.arm, "act_layer": layer, "tokens": tokens}
            for layer in chosen.layers
            for tokens in chosen.tokens
        ]
        means = partial(_layer_means, chosen)
        parts.append(metric_table(results, keys, metrics, means, seed=seed, resamples=resamples))
    return pd.concat(parts, ignore_index=True)


def final_rows(evaluation: pd.DataFrame) -> pd.DataFrame:
    """The last checkpoint of every trained SAE."""
    trained = evaluation[~evaluation["arm"].isin(UNTRAINED)]
    return trained[trained["tokens"] == trained.groupby("arm")["tokens"].transform("max")]


def zero_shot_matrix(evaluation: pd.DataFrame, metric: str = "ce_score") -> pd.DataFrame:
    """Mean over replicates of a metric: rows are the layer an SAE was trained on, columns the layer it reads."""
    scratch = final_rows(evaluation).query("arm == 'scratch'")
    rows = pd.concat([scratch, evaluation[evaluation["arm"] == "zero_shot"]])
    return rows.pivot_table(metric, "sae_layer", "act_layer", aggfunc="mean")


def normalised_scores(evaluation: pd.DataFrame) -> pd.DataFrame:
    """(transfer - zero shot) / (scratch - zero shot) of the CE-loss score, as paper 1 has it, each checkpoint.

    0 is the untrained source at the new layer, 1 the layer's own finished scratch SAE. Where zero shot is almost as
    good as scratch the ratio is unstable; its denominator is kept in the column `span`.
    """
    scores = evaluation["ce_score"].to_numpy(float)
    parts = []
    for arm in compared_arms(evaluation):
        zero, scratch = matched(evaluation, arm, "zero_shot"), matched(evaluation, arm)
        places = scratch.arm.places
        part = evaluation.iloc[places.ravel()][
            ["arm", "source_layer", "act_layer", "seed", "data_seed", "tokens", "ce_score"]
        ]
        level = {"zero_shot": zero.reference, "scratch": scratch.reference}
        levels = {name: np.broadcast_to(scores[end.last.places], places.shape).ravel() for name, end in level.items()}
        parts.append(part.assign(**levels)[np.repeat((zero.sound & scratch.sound).ravel(), places.shape[-1])])
    joined = pd.concat(parts, ignore_index=True)
    joined["span"] = joined["scratch"] - joined["zero_shot"]
    return joined.assign(normalised=(joined["ce_score"] - joined["zero_shot"]) / joined["span"])


def _groups(evaluation: pd.DataFrame) -> list[Group]:
    """Every arm of transfers, and scratch and control over the layers of each direction and distance."""
    groups: dict[tuple[str, int], dict[str, Curve]] = {}
    for name in compared_arms(evaluation):
        arm = parse_arm(name)
        assert arm is not None  # transfer_arms gives no others
        for reference in (other for other in trained_arms(evaluation) if parse_arm(other) is None):
            ends = {end.arm: end for end in matched(evaluation, name, reference)}
            groups.setdefault((arm.direction, arm.distance), {}).update(ends)
    return [(*group, chosen) for group, ends in groups.items() for chosen in alike([*ends.values()])]


def _means(
    results: Results, groups: Sequence[Group], metrics: Sequence[str], *, seed: int, resamples: int
) -> pd.DataFrame:
    keys = [
        {"direction": direction, "distance": distance, "arm": chosen.arm, "tokens": int(tokens)}
        for direction, distance, chosen in groups
        for tokens in chosen.tokens
    ]
    curves = [chosen for *_, chosen in groups]
    return metric_table(results, keys, metrics, partial(_overall_means, curves), seed=seed, resamples=resamples)


def _overall_means(curves: Sequence[Curve], metric: str, sample: Sample) -> Float[np.ndarray, "*draws points"]:
    return np.concatenate([sample.mean(sample.values(chosen, metric), chosen.sound) for chosen in curves], axis=-1)


def _layer_means(chosen: Curve, metric: str, sample: Sample) -> Float[np.ndarray, "*draws layers tokens"]:
    return sample.mean_of_replicates(sample.values(chosen, metric), chosen.sound)
