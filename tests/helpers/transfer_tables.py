"""Evaluation tables of runs that never ran: a small one to work out by hand, and one that looks as a real one does."""

import itertools

import numpy as np
import pandas as pd


def row(arm, act_layer, tokens, ce_score, *, seed=0, source=None, sae_layer=None, loss=None):
    return {"arm": arm, "source_layer": source, "sae_layer": act_layer if sae_layer is None else sae_layer,
            "act_layer": act_layer, "seed": seed, "tokens": tokens, "ce_score": ce_score,
            "loss": 1 - ce_score if loss is None else loss}  # fmt: skip


def two_layer_run(seeds=(0, 1)) -> pd.DataFrame:
    """Two layers: scratch reaches 0.9 after 100 tokens, transfers start at 0.7 and are at 0.9 after 20."""
    rows = []
    for seed in seeds:
        for layer in (0, 1):
            rows += [
                row("scratch", layer, tokens, score, seed=seed) for tokens, score in [(0, 0.0), (50, 0.8), (100, 0.9)]
            ]
            rows += [
                row("control", layer, tokens, score, seed=seed) for tokens, score in [(0, 0.0), (20, 0.4), (40, 0.6)]
            ]
        rows += [
            row("forward", 1, tokens, score, seed=seed, source=0) for tokens, score in [(0, 0.7), (20, 0.9), (40, 0.95)]
        ]
        rows += [
            row("backward", 0, tokens, score, seed=seed, source=1)
            for tokens, score in [(0, 0.7), (20, 0.75), (40, 0.8)]
        ]
        rows += [
            row("zero_shot", 1, 0, 0.7, seed=seed, source=0, sae_layer=0),
            row("zero_shot", 0, 0, 0.7, seed=seed, source=1, sae_layer=1),
        ]
    return pd.DataFrame(rows)


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
