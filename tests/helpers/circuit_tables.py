"""Tables of circuits that no run made: numbers by rule, for hand-worked means."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

ARMS = {"forward": (1, 2), "forward_affine": (1, 2), "backward": (0, 1), "backward_affine": (0, 1)}
"""Transfers of a run of three layers, and the layers that they have."""
EMPTY, MODEL = [1.0, 1.0], [4.0, 6.0]
SHARES = {"faithfulness": (0.02, 0.08), "completeness": (0.006, 0.016)}


def made_attribution(
    score: Callable[[str, int, int, int], float], prompts: int = 5, tokens: Sequence[int] = (0, 100), seeds: int = 1
) -> pd.DataFrame:
    """`attribution.parquet` of three layers.

    Args:
        score: of an arm, a layer, a token count and a prompt.
    """
    layers = {"scratch": (0, 1, 2), **ARMS}
    keys = [key for arm, own in layers.items()
            for key in itertools.product([arm], own, range(seeds), tokens, range(prompts))]  # fmt: skip
    table = pd.DataFrame(keys, columns=["arm", "act_layer", "seed", "tokens", "prompt"])
    scores = [score(arm, layer, count, prompt) for arm, layer, _, count, prompt in keys]
    return table.assign(sae_layer=table["act_layer"], kind="text", score=scores)


def made_circuits(
    circuit: Callable[[str, int], Sequence[float]], tasks: Sequence[str] = ("repeats", "brackets")
) -> pd.DataFrame:
    """`faithfulness.parquet` of three layers, two blocks of prompts, and two sizes for each measure.

    Args:
        circuit: what each block adds to m(C), of an arm and a layer; "zero_shot" is an arm here.
    """
    saes = [("scratch", layer, layer, "scratch") for layer in range(3)]
    saes += [(arm, layer, layer, arm) for arm, layers in ARMS.items() for layer in layers]
    saes += [("scratch", layer + step, layer, "zero_shot") for layer in range(3) for step in (-1, 1)
             if 0 <= layer + step < 3]  # fmt: skip
    lines = []
    for task, (measure, shares), choice in itertools.product(tasks, SHARES.items(), ("attribution", "random")):
        for share, (arm, sae_layer, act_layer, role) in itertools.product(shares, saes):
            own = np.array(circuit(role, act_layer), np.float32)
            total = sum(MODEL) - sum(EMPTY)
            lines.append({
                "task": task, "arm": arm, "sae_layer": sae_layer, "act_layer": act_layer, "seed": 0, "tokens": 100,
                "measure": measure, "choice": choice, "share": share, "k": round(100 * share),
                "score": (own.sum() - sum(EMPTY)) / total, "reason": "", "circuit": own,
                "empty": np.array(EMPTY, np.float32), "model": np.array(MODEL, np.float32),
            })  # fmt: skip
    return pd.DataFrame(lines)


def made_patching() -> pd.DataFrame:
    """`patching.parquet` of two layers: estimates twice as large as exact effects, and in the opposite order."""
    exact = np.arange(4.0)
    parts = [pd.DataFrame({"task": "repeats", "arm": "scratch", "act_layer": layer, "seed": 0, "position": 3,
                           "feature": range(4), "estimate": estimate, "exact": exact})
             for layer, estimate in ((1, 2 * exact), (2, exact[::-1]))]  # fmt: skip
    return pd.concat(parts, ignore_index=True)
