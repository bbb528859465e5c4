"""How many training tokens a transfer saves until it is level with its layer's finished scratch SAE.

In: a run's results. Out: tidy tables: SAE by SAE, by layer, and for each arm. One that does not arrive within its
budget is *censored*: it needs more than the budget, nobody knows how much. Means are restricted to the budget (a
censored SAE has spent it, so that where some do not arrive the mean saving is at most that), medians are those of
Kaplan and Meier. How many arrive stands beside both. An SAE that diverged is not censored: it, or what it is compared
with, has no such number, and the pair is left out (`saes` counts those that are in).
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from saelib.results.bootstrap import RESAMPLES
from saelib.transfer.checks import Results
from saelib.transfer.curves import Matched, alike, compared_arms, matched
from saelib.transfer.directions import Arm, parse_arm
from saelib.transfer.samples import Sample, estimate, whole
from saelib.transfer.targets import arrival, possible_targets

L0_FACTORS = (1.0, 1.02, 1.05, 1.1)
Pair = tuple[Arm, str, Matched]  # an arm of transfers, a target, and both curves


def tokens_to_target(results: Results) -> pd.DataFrame:
    """When each SAE of each arm of transfers is level, for each target that the table has the scores for.

    Returns:
        direction, distance, start, arm, act_layer, seed, data_seed, target, level (of the loss, or of the CE-loss
        score), tokens_needed (infinity: not within the budget), budget, arrived, scratch_tokens_needed, saving,
        l0_ratio (L0 at the crossing over that of the finished scratch SAE; NaN without one).
    """
    sample, parts = whole(results), []
    for arm, target, pair in _pairs(results.evaluation):
        found = arrival(sample, pair, target)
        sae = [(layer, *replicate) for layer in pair.layers for replicate in pair.arm.replicates]
        part = pd.DataFrame(sae, columns=["act_layer", "seed", "data_seed"]).assign(target=target)
        columns = {"level": found.level, "tokens_needed": found.crossing.tokens,
                   "budget": np.full(len(part), found.budget), "arrived": found.crossing.arrived,
                   "scratch_tokens_needed": found.reference_tokens, "saving": found.saving,
                   "l0_ratio": found.l0_ratio}  # fmt: skip
        part = part.assign(**{name: np.ravel(values) for name, values in columns.items()})[pair.sound.ravel()]
        parts.append(_with_arm(arm, part))
    return pd.concat(parts, ignore_index=True)


def savings(results: Results, *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """What each arm of transfers saves, for each target, over all its SAEs.

    Returns:
        direction, distance, start, arm, target; mean, low, high, count: restricted mean of the saving, its bounds and
        the number of replicates; saes; median (Kaplan-Meier; NaN where fewer than half arrive), lowest, highest;
        arrived (how many), share_arrived, share_low, share_high; l0_ratio (mean over those that arrive).
    """
    pairs, needed, rows = _pairs(results.evaluation), tokens_to_target(results), []
    found = estimate(results, partial(_saved_and_arrived, pairs), seed=seed, resamples=resamples)
    for place, (arm, target, _) in enumerate(pairs):
        saes = needed[(needed["arm"] == arm.name) & (needed["target"] == target)]
        (mean, share), (low, share_low), (high, share_high) = (values[place] for values in found[:3])
        rows.append({**_identity(arm), "target": target, "mean": mean, "low": low, "high": high, "count": found.count,
                     "saes": len(saes), "median": median_saving(saes),
                     "lowest": saes["saving"].min(), "highest": saes["saving"].max(),
                     "arrived": int(saes["arrived"].sum()), "share_arrived": share, "share_low": share_low,
                     "share_high": share_high, "l0_ratio": saes["l0_ratio"].mean()})  # fmt: skip
    return pd.DataFrame(rows)


def savings_by_layer(results: Results, *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """The restricted mean saving of each arm at each layer, over replicates.

    Returns:
        direction, distance, start, arm, act_layer, target, mean, low, high, count, arrived (how many).
    """
    parts = []
    for arm, target, pair in _pairs(results.evaluation):
        found = estimate(results, partial(_saved_by_layer, pair, target), seed=seed, resamples=resamples)
        arrived = arrival(whole(results), pair, target).crossing.arrived.sum(axis=-1, where=pair.sound)
        part = pd.DataFrame({"act_layer": pair.layers, "target": target, **found._asdict(), "arrived": arrived})
        parts.append(_with_arm(arm, part))
    return pd.concat(parts, ignore_index=True)


def joint_savings(results: Results, *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """How the saving by the joint target depends on how much more L0 is allowed, `L0_FACTORS` times scratch's.

    Returns:
        direction, distance, start, arm, l0_factor, mean, low, high, count.
    """
    pairs, parts = [part for part in _pairs(results.evaluation) if part[1] == "joint"], []
    for factor in L0_FACTORS:

        def saved(sample: Sample, factor: float = factor) -> Float[np.ndarray, "*draws pairs"]:
            means = [sample.mean(arrival(sample, pair, target, factor).saving[..., None], pair.sound)
                     for _, target, pair in pairs]  # fmt: skip
            return np.stack([mean[..., 0] for mean in means], axis=-1)

        found = estimate(results, saved, seed=seed, resamples=resamples)
        part = pd.DataFrame([_identity(arm) for arm, _, _ in pairs])
        parts.append(part.assign(l0_factor=factor, **found._asdict()))
    return pd.concat(parts, ignore_index=True)


def leads_over_copies(results: Results, *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """What a mapped start saves more than a copy of the same source, over all SAEs, pair by pair.

    Returns:
        direction, distance, start, arm, target; mean, low, high, count: saving minus that of the copy. No rows where a
        run has no mapped starts, or no copies.
    """
    pairs = _pairs(results.evaluation)
    keys = [(arm.direction, arm.distance, target) for arm, target, _ in pairs]
    copies = {key: pair for key, pair in zip(keys, pairs, strict=True) if pair[0].start == "copy"}
    leads = [_over_the_same(pair, copies[key]) for key, pair in zip(keys, pairs, strict=True)
             if pair[0].start != "copy" and key in copies]  # fmt: skip
    if not leads:
        return pd.DataFrame(columns=["direction", "distance", "start", "arm", "target", "mean", "low", "high", "count"])
    mapped, copied = ([*parts] for parts in zip(*leads, strict=True))

    def lead(sample: Sample) -> Float[np.ndarray, "*draws leads"]:
        return _saved_and_arrived(mapped, sample)[..., 0] - _saved_and_arrived(copied, sample)[..., 0]

    rows = [{**_identity(arm), "target": target} for arm, target, _ in mapped]
    found = estimate(results, lead, seed=seed, resamples=resamples)
    return pd.DataFrame(rows).assign(**found._asdict())


def median_saving(saes: pd.DataFrame) -> float:
    """Median saving of SAEs of which some do not arrive, by the estimate of Kaplan and Meier (1958).

    The median is the share of scratch's tokens by which half have arrived. Not to arrive is known to need more than
    budget / scratch_tokens_needed, and no more is known.

    Args:
        saes: rows of `tokens_to_target`.

    Returns:
        1 - that share; NaN where fewer than half arrive.
    """
    from scipy import stats

    spent = np.minimum(saes["tokens_needed"], saes["budget"]) / saes["scratch_tokens_needed"].clip(lower=1)
    arrived = saes["arrived"].to_numpy(bool)
    if not arrived.any():
        return math.nan
    waiting = stats.ecdf(stats.CensoredData(uncensored=spent[arrived], right=spent[~arrived])).sf
    half = np.flatnonzero(waiting.probabilities <= 0.5 + 1e-12)  # products of shares: 1/2 may be 1e-17 above it
    return 1 - float(waiting.quantiles[half[0]]) if len(half) else math.nan


def _pairs(evaluation: pd.DataFrame) -> list[Pair]:
    """Each arm of transfers with each target, beside scratch over the same layers."""
    pairs = {name: matched(evaluation, name) for name in compared_arms(evaluation)}
    targets: Sequence[str] = possible_targets(evaluation)
    return [(_arm(name), target, pair) for name, pair in pairs.items() for target in targets]


def _over_the_same(first: Pair, second: Pair) -> tuple[Pair, Pair]:
    """Both over the SAEs that count in both."""
    ends = alike([*first[2], *second[2]])
    return (*first[:2], Matched(*ends[:2])), (*second[:2], Matched(*ends[2:]))


def _saved_and_arrived(pairs: Sequence[Pair], sample: Sample) -> Float[np.ndarray, "*draws pairs 2"]:
    """For each pair and target: mean saving, and the share of SAEs that arrive."""
    values = []
    for _, target, pair in pairs:
        found = arrival(sample, pair, target)
        both = np.stack([found.saving, found.crossing.arrived.astype(float)], axis=-1)
        values.append(sample.mean(both, pair.sound))
    return np.stack(values, axis=-2)


def _saved_by_layer(pair: Matched, target: str, sample: Sample) -> Float[np.ndarray, "*draws layers"]:
    return sample.mean_of_replicates(arrival(sample, pair, target).saving[..., None], pair.sound)[..., 0]


def _arm(name: str) -> Arm:
    arm = parse_arm(name)
    assert arm is not None  # transfer_arms gives no others
    return arm


def _identity(arm: Arm) -> dict[str, Any]:
    return {"direction": arm.direction, "distance": arm.distance, "start": arm.start, "arm": arm.name}


def _with_arm(arm: Arm, part: pd.DataFrame) -> pd.DataFrame:
    identity = _identity(arm)
    return part.assign(**identity)[[*identity, *part.columns]]
