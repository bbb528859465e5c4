"""Tables of the study of distance as `transfer.depth` makes them, with made-up numbers: a source at layer 3 of 6."""

from collections.abc import Iterator, Sequence
from itertools import product

import pandas as pd

from saelib.transfer.depth.compare import SHOWN

SOURCE, LAYERS, BUDGETS = 3, range(6), (32_768, 131_072)
WORSE = {"scratch": 0.0, "affine": 0.05, "copy": 0.4, "tuned": 0.02}  # of a layer's distance from the source


def distance_lines(metrics: Sequence[str], arms: Sequence[str]) -> pd.DataFrame:
    """Metrics of arms at every layer: the farther from the source and the shorter its training, the lower."""
    return pd.DataFrame(_lines(metrics, arms))


def _lines(metrics: Sequence[str], arms: Sequence[str]) -> Iterator[dict[str, object]]:
    for metric, arm, budget, layer in product(metrics, arms, BUDGETS, LAYERS):
        mean = 0.9 / (1 + WORSE[arm] * abs(layer - SOURCE)) - 1e4 / budget
        yield {"arm": arm, "budget": budget, "act_layer": layer, "distance": layer - SOURCE, "metric": metric,
               "mean": mean, "low": mean - 0.02, "high": mean + 0.02, "count": 3}  # fmt: skip


def distance_curves() -> pd.DataFrame:
    """As `compare.distance_curves`."""
    return distance_lines(SHOWN, [*WORSE])


def against_scratch(metric: str) -> pd.DataFrame:
    """As `compare.objective_ratios` and `compare.equal_l0`."""
    return distance_lines([metric], ["affine", "copy", "tuned"])


def distance_maps() -> pd.DataFrame:
    """As `depth_maps.parquet`."""
    fits = [1 - 0.1 * abs(layer - SOURCE) for layer in LAYERS]
    return pd.DataFrame({"act_layer": LAYERS, "r2": fits, "r2_back": fits})


def distance_evaluation() -> pd.DataFrame:
    """As `depth.parquet`, with scratch SAEs at three λ."""
    table = distance_lines(["ce_score"], [*WORSE]).rename(columns={"mean": "ce_score"})
    lines = [table[table["arm"] != "scratch"].assign(l1_multiple=1.0)]
    lines += [table[table["arm"] == "scratch"].assign(l1_multiple=multiple) for multiple in (0.5, 1.0, 2.0)]
    whole = pd.concat(lines, ignore_index=True).assign(seed=0, data_seed=0)
    return whole.assign(l0=50 / whole["l1_multiple"])
