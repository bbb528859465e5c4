"""Tables of a run that never ran, which look as those of a real one do."""

import itertools

import numpy as np
import pandas as pd

LAYERS, SEEDS = range(6), range(3)
GRIDS = {"scratch": (0, 16, 32, 64, 128, 256, 384, 512, 640, 768), "transfer": (0, 16, 32, 64, 128, 256, 384)}


def synthetic_evaluation(layers: range = LAYERS, seeds: range = SEEDS) -> pd.DataFrame:
    """A table that looks as a finished run's does: curves that rise to a layer's level from an arm's own start."""
    random = np.random.default_rng(0)
    keys: list[tuple[str, int | None, int, int, int, int]] = []
    for layer, seed in itertools.product(layers, seeds):
        keys += [("scratch", None, layer, layer, seed, tokens) for tokens in GRIDS["scratch"]]
        for arm, source in (("control", None), ("forward", layer - 1), ("backward", layer + 1)):
            if source is None or source in layers:
                keys += [(arm, source, layer, layer, seed, tokens) for tokens in GRIDS["transfer"]]
        keys += [("zero_shot", source, source, layer, seed, 0) for source in layers if source != layer]
    table = pd.DataFrame(keys, columns=["arm", "source_layer", "sae_layer", "act_layer", "seed", "tokens"])
    table = table.astype(dict.fromkeys(("source_layer", "sae_layer", "act_layer"), "Int64"))
    table["tokens"] *= 1000
    moved = table["source_layer"].notna()
    table["source_tokens"] = np.where(moved, max(GRIDS["scratch"]) * 1000, 0)
    far = (table["source_layer"] - table["act_layer"]).abs().fillna(8).astype(float)
    done = np.exp(-table["tokens"] / np.where(moved, 90_000, 130_000))  # 1 at the start, 0 when converged
    lost = 0.024 + 0.002 * table["act_layer"].astype(float) + done * np.where(moved, 0.04 * far, 0.9)
    table["ce_score"] = 1 - lost * random.uniform(0.99, 1.01, len(table))
    table["mse"] = 400 * lost + 8 * table["act_layer"].astype(float)
    table["l0"] = 60 + 10 * table["act_layer"].astype(float) + 300 * done * random.uniform(0.9, 1.1, len(table))
    return table.assign(loss=2 * table["mse"] + table["l0"], explained_variance=1 - lost, ce_clean=3.5)


def synthetic_training() -> pd.DataFrame:
    trained = synthetic_evaluation().query("arm == 'scratch' and tokens > 0")
    return trained.melt(["arm", "sae_layer", "tokens"], ["loss", "mse", "l0"], var_name="metric")


def synthetic_trials() -> pd.DataFrame:
    """Trials of lambda with two learning rates."""
    trials = pd.DataFrame({"l1_coefficient": [0.3, 1.0, 3.0], "l0": [200.0, 90, 30], "ce_score": [0.99, 0.97, 0.9],
                           "zero_shot_ce_score": [0.97, 0.93, 0.8], "learning_rate": 2e-3})  # fmt: skip
    return pd.concat([trials, trials.assign(learning_rate=1e-3, ce_score=trials["ce_score"] - 0.02)])
