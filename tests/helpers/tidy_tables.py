"""Tidy tables as the statistics give them, of a run that never ran: what figures draw, with numbers to look up.

Curves fall from an arm's own start to its own end; the savings are those of their crossings, so that text, dots and
curves can be compared. Five layers a direction, arms from the nearest layer and from two layers away.
"""

import numpy as np
import pandas as pd

from saelib.transfer.directions import DIRECTIONS, arm_name, parse_arm

BUDGETS = (0, 16_384, 24_576, 32_768, 49_152, 65_536, 98_304, 131_072, 196_608, 262_144, 393_216, 524_288)
STARTS = {"copy": (2.6, 0.985, 1.6), "affine": (1.2, 0.955, 1.3)}  # objective at 0 tokens, at the end, a rate
TARGETS = ("loss", "joint", "ce_score")


def ratio(arm: str, tokens: np.ndarray, last: int) -> np.ndarray:
    """Held-out objective over that of finished scratch."""
    parsed = parse_arm(arm)
    start, end, rate = (12.0, 1.0, 1.0) if parsed is None else STARTS[parsed.start]
    share = np.asarray(tokens, float) / last
    return end + (start - end) * np.exp(-25 * rate * share) + 0.16 * (1 - share) ** 2 * (share > 0)


METRICS = {
    "loss_ratio": lambda value, l0: value,
    "loss": lambda value, l0: 4500 * value,
    "ce_score": lambda value, l0: 0.96 - 0.08 * (value - 1),
    "ce_score_mean": lambda value, l0: 0.95 - 0.09 * (value - 1),
    "mse": lambda value, l0: 900 * value,
    "l0": lambda value, l0: l0 * value**0.5,
}


def _arms(directions, starts, distances, control):
    for direction in directions:
        for distance in distances:
            transfers = [arm_name(direction, start, distance) for start in starts]
            for arm in ["scratch", *(["control"] if control else []), *transfers]:
                yield direction, distance, arm


def curves(starts=("copy", "affine"), distances=(1,), replicates=5, budgets=BUDGETS, control=False) -> pd.DataFrame:
    """As `convergence.average_curves`; with a control (paper schedule) transfers end at half of scratch's tokens."""
    rows = []
    for direction, distance, arm in _arms(DIRECTIONS, starts, distances, control):
        shown = [tokens for tokens in budgets if not control or arm == "scratch" or tokens <= budgets[-1] / 2]
        for tokens in shown:
            value = float(ratio(arm, tokens, budgets[-1]))
            for metric, of in METRICS.items():
                mean = of(value, 50.0)
                half = 0.004 * abs(mean) if replicates > 1 else np.nan
                rows.append({"direction": direction, "distance": distance, "arm": arm, "tokens": tokens,
                             "metric": metric, "mean": mean, "low": mean - half, "high": mean + half,
                             "count": replicates})  # fmt: skip
    return pd.DataFrame(rows)


def _layers_of(arm: str, layers: int) -> list[int]:
    parsed = parse_arm(arm)
    return [layer for layer in range(layers) if parsed is None or 0 <= layer + parsed.offset < layers]


def layer_curves(layers=6, **options) -> pd.DataFrame:
    """As `convergence.layer_curves`."""
    table = curves(**options).drop_duplicates(["arm", "tokens", "metric"]).drop(columns=["direction", "distance"])
    parts = []
    for arm, rows in table.groupby("arm", sort=False):
        for layer in _layers_of(str(arm), layers):
            factor = pd.Series(1 + 0.01 * layer * (rows["metric"].to_numpy() != "ce_score"), rows.index)
            parts.append(
                rows.assign(act_layer=layer, **{name: rows[name] * factor for name in ("mean", "low", "high")})
            )
    return pd.concat(parts, ignore_index=True)


def needed(starts=("copy", "affine"), distances=(1,), replicates=5, layers=6, budgets=BUDGETS) -> pd.DataFrame:
    """As `savings.tokens_to_target`: later layers save less, and the last of forward's copies never arrives."""
    rows = []
    for direction, distance, arm in _arms(DIRECTIONS, starts, distances, control=False):
        parsed = parse_arm(arm)
        if parsed is None:
            continue
        for layer in _layers_of(arm, layers):
            for seed in range(replicates):
                for place, target in enumerate(TARGETS):
                    saving = 0.8 - 0.1 * layer - 0.2 * (parsed.start == "copy") + 0.02 * seed - 0.05 * place
                    arrives = not (parsed.start == "copy" and direction == "forward" and layer == layers - 1)
                    saving = saving if arrives else (-0.1 if target == "ce_score" else 0.0)
                    rows.append({"direction": direction, "distance": distance, "start": parsed.start, "arm": arm,
                                 "act_layer": layer, "seed": seed, "data_seed": seed, "target": target,
                                 "tokens_needed": (1 - saving) * budgets[-1] if arrives else np.inf,
                                 "budget": budgets[-1], "arrived": arrives, "scratch_tokens_needed": budgets[-1],
                                 "saving": saving, "l0_ratio": 1.0 if arrives else np.nan})  # fmt: skip
    return pd.DataFrame(rows)


def _summed_up(table: pd.DataFrame, by: list[str], replicates: int) -> pd.DataFrame:
    summed = table.groupby(by, sort=False)["saving"].agg(["mean", "median", "min", "max", "size"]).reset_index()
    summed = summed.rename(columns={"min": "lowest", "max": "highest", "size": "saes"})
    half = 0.06 if replicates > 1 else np.nan
    arrived = table.groupby(by, sort=False)["arrived"].sum().to_numpy()
    return summed.assign(low=summed["mean"] - half, high=summed["mean"] + half, count=replicates, arrived=arrived,
                         share_arrived=arrived / summed["saes"], l0_ratio=1.01)  # fmt: skip


def savings(replicates=5, **options) -> pd.DataFrame:
    """As `savings.savings`."""
    by = ["direction", "distance", "start", "arm", "target"]
    return _summed_up(needed(replicates=replicates, **options), by, replicates)


def savings_by_layer(replicates=5, **options) -> pd.DataFrame:
    """As `savings.savings_by_layer`."""
    by = ["direction", "distance", "start", "arm", "act_layer", "target"]
    return _summed_up(needed(replicates=replicates, **options), by, replicates)


def gains(**options) -> pd.DataFrame:
    """As `gains.equal_token_gains`: transfer minus scratch at the same tokens."""
    table = curves(**options)
    keys = ["direction", "distance", "tokens", "metric"]
    scratch = table[table["arm"] == "scratch"].set_index(keys)["mean"]
    transfers = table[table["arm"].map(lambda arm: parse_arm(arm) is not None)].copy()
    base = scratch.loc[list(transfers[keys].itertuples(index=False, name=None))].to_numpy()
    return transfers.assign(reference="scratch", **{name: transfers[name] - base for name in ("mean", "low", "high")})


def maps(starts=("affine", "procrustes"), distances=(1,), layers=6, replicates=2) -> pd.DataFrame:
    """As `maps.parquet`: the farther, the worse the fit."""
    rows = [
        {"start": start, "source_layer": layer + offset * distance, "act_layer": layer, "data_seed": seed,
         "tokens": 16_384, "r2": 0.97 - 0.06 * distance - 0.01 * layer - 0.05 * (start == "procrustes"),
         "r2_back": 0.9, "ridge": 1e-3, "ridge_back": 1e-3, "flops": 1e9}
        for start in starts for distance in distances for offset in DIRECTIONS.values()
        for layer in range(layers) if 0 <= layer + offset * distance < layers for seed in range(replicates)
    ]  # fmt: skip
    return pd.DataFrame(rows)
