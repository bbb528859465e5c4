"""Results of runs that never ran, with scores of every held-out row: curves that fall from an arm's start."""

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from saelib.transfer.directions import parse_arm
from saelib.transfer.tables import Results

ARMS = ("forward", "forward_affine", "backward", "backward_affine")
BUDGETS = tuple(16_384 * step // 2 for step in (0, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64))
SCORES = ("ce_clean", "ce_spliced", "ce_zero", "ce_mean", "mse", "l0", "l1")
PRICE = 10.0  # λ


def made_results(
    arms: Sequence[str] = ARMS,
    layers: int = 6,
    replicates: int = 5,
    budgets: Sequence[int] = BUDGETS,
    rows: int = 32,
    seed: int = 0,
) -> Results:
    """A run with scratch, some arms of transfers, and the zero-shot matrix; all replicates in all arms."""
    random = np.random.default_rng(seed)
    clean = 3.0 + 0.3 * random.standard_normal(rows)
    zero = {layer: clean + 8 - layer + 0.3 * random.standard_normal(rows) for layer in range(layers)}
    saes = []
    for layer, replicate in itertools.product(range(layers), range(replicates)):
        key = {"sae_layer": layer, "act_layer": layer, "seed": replicate, "data_seed": 100 + replicate}
        saes += [key | {"arm": "scratch", "start": "random", "tokens": tokens} for tokens in budgets]
        for arm in map(parse_arm, arms):
            assert arm is not None
            source = layer + arm.offset
            if 0 <= source < layers:
                whose = {"arm": arm.name, "direction": arm.direction, "start": arm.start, "source_layer": source}
                saes += [key | whose | {"tokens": tokens} for tokens in budgets]
        saes += [key | {"arm": "zero_shot", "start": "copy", "source_layer": source, "sae_layer": source, "tokens": 0}
                 for source in range(layers) if source != layer]  # fmt: skip
    table = pd.DataFrame(saes).assign(sae_sha256=[f"sae {place}" for place in range(len(saes))])
    table = table.astype(dict.fromkeys(("source_layer", "sae_layer", "act_layer"), "Int64"))
    table["source_tokens"] = np.where(table["source_layer"].notna(), budgets[-1], 0)
    table["map_tokens"] = np.where(table["start"] == "affine", 5, 0)
    parts = []
    effects = 0.02 * random.standard_normal((layers, replicates))
    for sae in table.to_dict("records"):
        part = _rows_of(sae, budgets[-1], clean, zero, effects, random)
        parts.append(part.assign(sae_sha256=sae["sae_sha256"], act_layer=sae["act_layer"], row=np.arange(rows)))
    by_row = pd.concat(parts, ignore_index=True).astype(dict.fromkeys(SCORES, np.float32))
    by_row["act_layer"] = by_row["act_layer"].astype("Int64")
    return Results(with_means(table, by_row), by_row)


def with_means(table: pd.DataFrame, by_row: pd.DataFrame) -> pd.DataFrame:
    """The columns of an evaluation that are means over rows, and those made of them."""
    means = by_row.astype(dict.fromkeys(SCORES, np.float64)).groupby("sae_sha256")[list(SCORES)].mean()
    table = table.merge(means, left_on="sae_sha256", right_index=True)
    gained = table["ce_zero"] - table["ce_spliced"], table["ce_mean"] - table["ce_spliced"]
    return table.assign(
        ce_score=gained[0] / (table["ce_zero"] - table["ce_clean"]),
        ce_score_mean=gained[1] / (table["ce_mean"] - table["ce_clean"]),
        ce_increase=table["ce_spliced"] - table["ce_clean"],
        loss=table["mse"] + PRICE * table["l1"],
        explained_variance=1 - table["mse"] / 1000,
    )


def _rows_of(sae, most, clean, zero, effects, random) -> pd.DataFrame:
    """Scores on each row: what is left falls with tokens from what the start is worth."""
    layer, replicate, moved = sae["act_layer"], sae["seed"], sae["arm"] != "scratch"
    far = abs(sae["source_layer"] - layer) if moved else 0
    start = 0.1 * far * (0.5 if sae["start"] == "affine" else 1.0) if moved else 1.0
    left = start * np.exp(-5 * sae["tokens"] / most) + 0.1 * np.exp(-2 * sae["tokens"] / most)
    left += 0.05 - 0.005 * moved + 0.1 * effects[layer, replicate] + 0.001 * random.standard_normal()
    noise = 1 + 0.05 * random.standard_normal((4, len(clean)))
    return pd.DataFrame({
        "ce_clean": clean, "ce_zero": zero[layer], "ce_mean": zero[layer] - 2,
        "ce_spliced": clean + (zero[layer] - clean) * left * noise[0],
        "mse": 1000 * left * noise[1], "l0": (60 + 100 * left) * noise[2], "l1": 30 * (1 + left) * noise[3],
    })  # fmt: skip
