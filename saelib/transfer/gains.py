"""What a transfer is ahead by: at the same number of new tokens, and at its end against finished scratch.

In: a run's results. Out: tidy tables of differences, SAE by SAE of the same layer and replicate, with intervals.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Float

from saelib.results.bootstrap import RESAMPLES
from saelib.transfer.checks import Results
from saelib.transfer.curves import Matched, equal_token_reference, matched
from saelib.transfer.directions import parse_arm, transfer_arms
from saelib.transfer.samples import Sample, metric_table, whole

GAIN_COLUMNS = ("direction", "distance", "arm", "reference", "tokens", "metric", "mean", "low", "high", "count")


def equal_token_gains(
    results: Results, metrics: Sequence[str], *, seed: int = 0, resamples: int = RESAMPLES
) -> pd.DataFrame:
    """Transfer minus the arm that trained from a random start on as many new tokens, mean over layers and replicates.

    Returns:
        `GAIN_COLUMNS`; no rows where no number of tokens is common, as in the published results.
    """
    reference = equal_token_reference(results.evaluation)
    pairs = [matched(results.evaluation, arm, reference).at_equal_tokens() for arm in transfer_arms(results.evaluation)]
    return _differences(results, pairs, metrics, seed=seed, resamples=resamples)


def final_changes(
    results: Results, metrics: Sequence[str], *, seed: int = 0, resamples: int = RESAMPLES
) -> pd.DataFrame:
    """Transfer at its end minus finished scratch, mean over layers and replicates: `GAIN_COLUMNS`."""
    pairs = [matched(results.evaluation, arm) for arm in transfer_arms(results.evaluation)]
    ends = [Matched(pair.arm.last, pair.reference.last) for pair in pairs]
    return _differences(results, ends, metrics, seed=seed, resamples=resamples)


def dominance(results: Results) -> pd.DataFrame:
    """How many SAEs are better in CE-loss score and in L0 at once than one trained from scratch on as many tokens.

    Needs no interpolation, nor a choice of what L0 is worth in score; who is better in one of the two only is neither.

    Returns:
        direction, distance, arm, reference, tokens, saes, better, worse (in both).
    """
    reference, sample, rows = equal_token_reference(results.evaluation), whole(results), []
    for name in transfer_arms(results.evaluation):
        pair, arm = matched(results.evaluation, name, reference).at_equal_tokens(), parse_arm(name)
        assert arm is not None  # transfer_arms gives no others
        score, l0 = (sample.values(pair.arm, metric) - sample.values(pair.reference, metric)
                     for metric in ("ce_score", "l0"))  # fmt: skip
        for place, tokens in enumerate(pair.arm.tokens):
            ahead, sparser = score[pair.sound, place], l0[pair.sound, place]
            rows.append({"direction": arm.direction, "distance": arm.distance, "arm": name, "reference": reference,
                         "tokens": int(tokens), "saes": ahead.size,
                         "better": int(((ahead >= 0) & (sparser <= 0)).sum()),
                         "worse": int(((ahead < 0) & (sparser > 0)).sum())})  # fmt: skip
    return pd.DataFrame(rows, columns=[*GAIN_COLUMNS[:5], "saes", "better", "worse"])


def _differences(
    results: Results, pairs: Sequence[Matched], metrics: Sequence[str], *, seed: int, resamples: int
) -> pd.DataFrame:
    keys = []
    for pair in pairs:
        arm = parse_arm(pair.arm.arm)
        assert arm is not None  # transfer_arms gives no others
        identity = {"direction": arm.direction, "distance": arm.distance, "arm": arm.name}
        keys += [identity | {"reference": pair.reference.arm, "tokens": int(tokens)} for tokens in pair.arm.tokens]
    if not keys:
        return pd.DataFrame(columns=list(GAIN_COLUMNS))
    return metric_table(results, keys, metrics, partial(_mean_gains, pairs), seed=seed, resamples=resamples)


def _mean_gains(pairs: Sequence[Matched], metric: str, sample: Sample) -> Float[np.ndarray, "*draws points"]:
    gains = [sample.values(pair.arm, metric) - sample.values(pair.reference, metric) for pair in pairs]
    return np.concatenate([sample.mean(gain, pair.sound) for pair, gain in zip(pairs, gains, strict=True)], axis=-1)
