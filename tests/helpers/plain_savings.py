"""More of the first page's numbers from scores by held-out row, by loops over plain numbers as in `transfer.reference`.

In: `evaluation.parquet` and `evaluation_rows.parquet` as tables. Out: ends, medians, and who is better in both.
"""

import math
from collections import defaultdict
from statistics import fmean

from saelib.transfer.reference import plain_scores_by_sae


def plain_changes(evaluation, rows):
    """By (arm, metric): a transfer's score at its end minus scratch's at its own, mean over SAEs."""
    ends: dict = {}
    for (arm, *sae, _), score in sorted(plain_scores_by_sae(evaluation, rows).items()):
        ends[arm, *sae] = score  # tokens rise: the last one stays
    differences = defaultdict(list)
    for (arm, *sae), score in ends.items():
        if arm not in ("scratch", "control"):
            for metric, value in score.items():
                differences[arm, metric].append(value - ends["scratch", *sae][metric])
    return {key: fmean(values) for key, values in differences.items()}


def plain_median(saved):
    """Kaplan and Meier's median by hand: half of those still waiting must have arrived.

    Args:
        saved: what `plain_savings` gives for one arm and target.
    """
    waiting, left = 1.0, sorted((1 - saving, not arrived) for saving, arrived, _ in saved)
    for place, (spent, censored) in enumerate(left):
        if not censored:
            waiting *= 1 - 1 / (len(left) - place)
        if waiting <= 0.5 + 1e-12:
            return 1 - spent
    return math.nan


def plain_dominance(evaluation, rows):
    """By arm: how many SAEs end with no lower CE-loss score and no higher L0 than scratch, and how many there are."""
    scores: dict = dict(plain_scores_by_sae(evaluation, rows))
    counts: dict = defaultdict(lambda: (0, 0))
    last = max(tokens for arm, *_, tokens in scores if arm not in ("scratch", "control"))
    for (arm, *sae, tokens), score in scores.items():
        if tokens == last and arm not in ("scratch", "control"):
            other = scores["scratch", *sae, tokens]
            better = score["ce_score"] >= other["ce_score"] and score["l0"] <= other["l0"]
            counts[arm] = counts[arm][0] + better, counts[arm][1] + 1
    return dict(counts)
