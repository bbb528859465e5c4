"""What the study says: by hand, and by plain loops over its tables."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from saelib.transfer.checks import Results
from saelib.transfer.depth.compare import distance_curves, equal_l0, interpolated, layers_kept, objective_ratios
from saelib.transfer.depth.groups import SHARE, Groups

FEW = 50
GROUP = ["arm", "act_layer", "budget"]


def test_a_line_through_points_is_numpy_s_and_nothing_outside_of_them() -> None:
    random = np.random.default_rng(0)
    at, values, where = random.normal(size=(2, 7, 4)), random.normal(size=(7, 4)), random.normal(size=(2, 7))
    found = interpolated(at, values, where)
    for draw, row in np.ndindex(2, 7):
        order = np.argsort(at[draw, row])
        x, y = at[draw, row][order], values[row][order]
        inside = x[0] <= where[draw, row] <= x[-1]
        wanted = np.interp(where[draw, row], x, y) if inside else math.nan
        np.testing.assert_allclose(found[draw, row], wanted)
    assert interpolated(np.array([1.0, 3.0]), np.array([10.0, 20.0]), np.array(2.0)) == 15
    assert interpolated(np.array([3.0, 1.0]), np.array([20.0, 10.0]), np.array(3.0)) == 20
    assert math.isnan(interpolated(np.array([1.0, 3.0]), np.array([10.0, 20.0]), np.array(3.1)))
    assert interpolated(np.array([2.0, 2.0]), np.array([10.0, 10.0]), np.array(2.0)) == 10


def test_layers_are_kept_up_to_the_first_that_is_not() -> None:
    scores = {-3: 0.95, -2: 0.5, -1: 0.9, 0: 1.0, 1: 0.9, 2: 0.91}
    assert layers_kept(scores, 0.9) == (-1, 2)
    assert layers_kept(scores, 0.92) == (0, 0)
    assert layers_kept({0: 0.1}, 0.9) == (0, 0)


def hand_made(**of_affine: Any) -> Results:
    """One replicate at one layer: scratch has L0 10 and 40 with CE-loss scores .8 and .9, and at its own λ L0 20."""
    common = {"act_layer": 5, "budget": 100, "distance": 1, "seed": 0, "data_seed": 0, "l1_multiple": 1.0,
              "explained_variance": 0.5, "l1": 2.0, "dead_latents": 0.0}  # fmt: skip
    rows = [
        {"arm": "scratch", "l0": 10.0, "ce_score": 0.80, "mse": 9.0, "loss": 19.0, "l1_multiple": 2.0},
        {"arm": "scratch", "l0": 20.0, "ce_score": 0.86, "mse": 6.0, "loss": 16.0},
        {"arm": "scratch", "l0": 40.0, "ce_score": 0.90, "mse": 5.0, "loss": 15.0, "l1_multiple": 0.5},
        {"arm": "affine", "l0": 20.0 * math.sqrt(2), "ce_score": 0.87, "mse": 7.0, "loss": 12.0} | of_affine,
        {"arm": "copy", "l0": 41.0, "ce_score": 0.1, "mse": 7.0, "loss": 32.0},
    ]
    return Results(pd.DataFrame([common | row for row in rows]), None)


def test_equal_l0_by_hand() -> None:
    """Half-way in log L0 between 20 and 40 scratch has .88; at L0 41 it has nothing."""
    table = equal_l0(hand_made(), ["ce_score"]).set_index("arm")
    assert table.loc["affine", "mean"] == pytest.approx(0.87 - 0.88)
    assert math.isnan(table.loc["copy", "mean"])
    assert (table.loc["affine", "l0_least"], table.loc["affine", "l0_most"]) == (10, 40)
    assert table.loc["affine", "l0"] == pytest.approx(28.284, abs=1e-3)
    below = equal_l0(hand_made(l0=10.0 * math.sqrt(2)), ["ce_score"]).set_index("arm")
    assert below.loc["affine", "mean"] == pytest.approx(0.87 - 0.83)


def test_objectives_by_hand() -> None:
    results = hand_made()
    ratios = objective_ratios(results).set_index("arm")["mean"]
    assert ratios.to_dict() == pytest.approx({"affine": 12 / 16, "copy": 32 / 16})
    shares = distance_curves(results, [SHARE]).set_index("arm")["mean"]  # variance: mse / (1 - .5)
    assert shares.to_dict() == pytest.approx({"scratch": 16 / 12, "affine": 12 / 14, "copy": 32 / 14})


def test_one_lambda_gives_no_comparison_at_equal_l0() -> None:
    results = hand_made()
    table = equal_l0(results._replace(evaluation=results.evaluation.query("l1_multiple == 1")))
    assert table.empty and {"mean", "l0", "distance", "metric"} <= {*table}


def test_a_table_that_lacks_a_replicate_is_refused(scores: Results) -> None:
    with pytest.raises(ValueError, match="not 2 replicates of each"):
        Groups(scores._replace(evaluation=scores.evaluation.iloc[1:]))


def test_curves_are_the_means_of_replicates_and_lie_within_their_bounds(scores: Results) -> None:
    metrics = ["ce_score", SHARE, "explained_variance", "l0"]
    table, own = distance_curves(scores, metrics, resamples=FEW), scores.evaluation.query("l1_multiple == 1")
    assert len(table) == len(metrics) * len(own) // 2
    variance = own["mse"] / (1 - own["explained_variance"])
    for metric in metrics:
        values = own["loss"] / variance if metric == SHARE else own[metric]
        wanted = values.groupby([own[name] for name in GROUP]).mean()
        found = table[table["metric"] == metric].set_index(GROUP)["mean"]
        pd.testing.assert_series_equal(found.sort_index(), wanted.sort_index(), check_names=False, rtol=1e-6,
                                       check_index_type=False)  # fmt: skip
    assert ((table["low"] <= table["mean"] + 1e-6) & (table["mean"] <= table["high"] + 1e-6)).all()
    assert set(table["count"]) == {2}


def test_ratios_and_differences_are_those_of_plain_loops(scores: Results) -> None:
    ratios, gaps, own = objective_ratios(scores, resamples=FEW), equal_l0(scores, resamples=FEW), scores.evaluation
    assert len(ratios) == 18 and len(gaps) == 36  # copy and affine at 3 layers, one SAE of 2, tuned at 1; 2 budgets
    for table in (ratios, gaps):
        for row in table.to_dict("records"):
            here = own[(own["act_layer"] == row["act_layer"]) & (own["budget"] == row["budget"])]
            plain = [one_replicate(mine, row["arm"], row["metric"]) for _, mine in here.groupby("seed")]
            np.testing.assert_allclose(row["mean"], np.mean(plain), rtol=1e-6, atol=1e-9)
    assert gaps["mean"].notna().any()
    assert gaps.loc[gaps["mean"].isna(), ["low", "high"]].isna().all(axis=None)


def one_replicate(rows: pd.DataFrame, arm: str, metric: str) -> float:
    scratch, one = rows[rows["arm"] == "scratch"].sort_values("l0"), rows[rows["arm"] == arm].iloc[0]
    if metric == "loss_ratio":
        return float(one["loss"] / scratch[scratch["l1_multiple"] == 1]["loss"].iloc[0])
    if not scratch["l0"].iloc[0] <= one["l0"] <= scratch["l0"].iloc[-1]:
        return math.nan
    return float(one[metric] - np.interp(math.log(one["l0"]), np.log(scratch["l0"]), scratch[metric]))
