"""Costs of SAEs for all layers, worked out by hand; and the scores that stand beside them."""

import math

import pandas as pd
import pytest

from saelib.transfer.depth.costs import cost_and_quality, depth_costs
from saelib.transfer.depth.wording import WAYS, cost_table
from saelib.transfer.experiment import Experiment

STEP, WIDTH, MAP_TOKENS, TOKENS, SHORT = 5 * 2 * 32 * 64, 32, 512, 2048, 1024
BLOCK = 2 * 12 * 32**2 + 4 * 32 * 32  # of a token, through one block with rows of 64 tokens


def test_costs_by_hand(deep: Experiment) -> None:
    """Three layers, reach 1: one source in the middle, two layers that are mapped to."""
    table = depth_costs(deep, 1).set_index("way")
    assert [*table.index] == [*WAYS]
    assert table["trained"].to_dict() == {"scratch": 3, "copy": 1, "affine": 1, "tuned": 1, "group": 1}
    scratch, source = (TOKENS * (3 * BLOCK), 3 * TOKENS * STEP), (TOKENS * (2 * BLOCK), TOKENS * STEP)
    maps = MAP_TOKENS * 3 * BLOCK + 2 * MAP_TOKENS * 2 * (2 * WIDTH) ** 2
    assert tuple(table.loc["scratch", ["lm_flops", "sae_flops", "map_flops"]]) == (*scratch, 0)
    assert tuple(table.loc["copy", ["lm_flops", "sae_flops", "map_flops"]]) == (*source, 0)
    assert tuple(table.loc["affine", ["lm_flops", "sae_flops", "map_flops"]]) == (*source, maps)
    tuned = (source[0] + SHORT * 3 * BLOCK, source[1] + 2 * SHORT * STEP, maps)
    assert tuple(table.loc["tuned", ["lm_flops", "sae_flops", "map_flops"]]) == tuned
    assert tuple(table.loc["group", ["lm_flops", "sae_flops", "map_flops"]]) == (scratch[0], source[1], 0)
    assert table.loc["affine", "total_flops"] == sum(source) + maps
    assert table.loc["affine", "share"] == pytest.approx((sum(source) + maps) / sum(scratch))
    assert table.loc["scratch", "share"] == 1


def test_a_wide_reach_has_its_last_source_within_the_model(deep: Experiment) -> None:
    table = depth_costs(deep, 8).set_index("way")
    assert table.loc["affine", "trained"] == 1
    assert table.loc["affine", "lm_flops"] == TOKENS * 3 * BLOCK


def curves() -> pd.DataFrame:
    scores = {("affine", -1): 0.9, ("affine", 1): 0.8, ("affine", 2): 0.4, ("affine", 0): 0.95, ("copy", 1): 0.5,
              ("group", -1): 0.7, ("group", 1): 0.75}  # fmt: skip
    return pd.DataFrame(
        {"arm": arm, "distance": distance, "act_layer": 5 + distance, "budget": budget, "metric": metric,
         "mean": score if metric == "ce_score" else 40 + distance, "low": score - 0.1, "high": score + 0.1}
        for (arm, distance), score in scores.items()
        for budget, metric in ((100, "ce_score"), (100, "l0"), (50, "ce_score"))
    )  # fmt: skip


def test_beside_a_cost_stands_the_worst_score_within_reach(deep: Experiment) -> None:
    means = [0.3, 0.3, -0.02, 0, math.nan, 0, 0, 0]
    gaps = curves().query("metric == 'ce_score' and arm == 'affine'").assign(mean=means)
    costs = pd.concat([depth_costs(deep, reach) for reach in (1, 2)])
    table = cost_and_quality(costs, curves(), gaps, 100).set_index(["way", "reach"])
    assert len(table) == 1 + 2 * 4
    near, far = table.loc[("affine", 1)], table.loc[("affine", 2)]
    assert (near["ce_score"], near["distance"], near["l0"]) == (0.8, 1, 41)
    assert (near["gap"], near["gap_distance"]) == (-0.02, 1)
    assert (far["ce_score"], far["distance"], far["l0"]) == (0.4, 2, 42)
    assert table.loc[("copy", 1), "ce_score"] == 0.5 and math.isnan(table.loc[("copy", 1), "gap"])
    assert math.isnan(table.loc[("copy", 2), "ce_score"])  # nothing was measured at 2
    assert math.isnan(far["gap"])  # at 2 there is no difference from scratch, whatever those at 1 are
    assert table.loc[("group", 1), "ce_score"] == 0.7
    assert table.loc[[("group", 2), ("tuned", 1), ("scratch", 0)], "ce_score"].isna().all()
    told = cost_table(table.reset_index())
    assert told["way"].tolist()[:2] == ["one SAE a layer, from scratch", "sources, read as they are"]
    assert told.loc[0, "FLOPs / one SAE a layer"] == "100.0%"
