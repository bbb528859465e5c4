"""The first page's numbers once more, from scores by held-out row: loops over plain numbers, nothing of the library.

In: `evaluation.parquet` and `evaluation_rows.parquet` as tables. Out: what each SAE saves by each target, and ends.
"""

import math
from collections import defaultdict
from statistics import fmean


def scored(evaluation, rows):
    """By (arm, layer, seed, data seed, tokens): the scores of an SAE, each from averages over held-out rows."""
    of_reading: dict = defaultdict(lambda: defaultdict(list))
    for line in rows.to_dict("records"):
        for name in ("ce_clean", "ce_spliced", "ce_zero", "mse", "l0", "l1"):
            of_reading[line["sae_sha256"], int(line["act_layer"])][name].append(float(line[name]))
    found = {}
    for line in evaluation.to_dict("records"):
        if line["arm"] == "zero_shot":
            continue
        layer = int(line["act_layer"])
        means = {name: fmean(values) for name, values in of_reading[line["sae_sha256"], layer].items()}
        price = (line["loss"] - line["mse"]) / line["l1"] if line["l1"] else 0.0
        found[line["arm"], layer, line["seed"], line["data_seed"], line["tokens"]] = {
            "loss": means["mse"] + price * means["l1"],
            "ce_score": (means["ce_zero"] - means["ce_spliced"]) / (means["ce_zero"] - means["ce_clean"]),
            "ce_increase": means["ce_spliced"] - means["ce_clean"],
            "l0": means["l0"],
        }
    return found


def level(score, end, target):
    """How far each condition of a target is on the good side."""
    if target == "loss":
        return [end["loss"] - score["loss"]]
    better = score["ce_score"] - end["ce_score"]
    return [better, 1.02 * end["l0"] - score["l0"]] if target == "joint" else [better]


def needed(curve, end, target):
    """Tokens at which a curve of (tokens, scores) is first level, and the L0 there; infinity if it never is."""
    before = None
    for tokens, score in curve:
        gaps = level(score, end, target)
        if min(gaps) >= 0:
            if before is None or before[0] == 0:
                return tokens, score["l0"]
            share = 0.0
            for was, now in zip(level(before[1], end, target), gaps, strict=True):
                if was < 0:
                    share = max(share, -was / (now - was))
            at = math.exp(math.log(before[0]) + share * (math.log(tokens) - math.log(before[0])))
            return at, before[1]["l0"] + share * (score["l0"] - before[1]["l0"])
        before = tokens, score
    return math.inf, math.nan


def plain_savings(evaluation, rows):
    """By (arm, target): a list of (saving, whether it arrived, L0 there over scratch's), one for each SAE."""
    curves = defaultdict(list)
    for (arm, *sae, tokens), score in sorted(scored(evaluation, rows).items()):
        curves[arm, *sae].append((tokens, score))
    mapped = {(line["arm"], line["act_layer"], line["seed"], line["data_seed"]): line.get("map_tokens", 0)
              for line in evaluation.to_dict("records")}  # fmt: skip
    found = defaultdict(list)
    for (arm, *sae), curve in curves.items():
        if arm in ("scratch", "control"):
            continue
        scratch = curves["scratch", *sae]
        end = scratch[-1][1]
        for target in ("loss", "joint", "ce_score"):
            tokens, l0 = needed(curve, end, target)
            spent = min(max(tokens, mapped[arm, *sae]), curve[-1][0]) / needed(scratch, end, target)[0]
            found[arm, target].append((1 - spent, tokens < math.inf, l0 / end["l0"]))
    return dict(found)


def plain_changes(evaluation, rows):
    """By (arm, metric): a transfer's score at its end minus scratch's at its own, mean over SAEs."""
    ends = {}
    for (arm, *sae, _), score in sorted(scored(evaluation, rows).items()):
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
