"""Savings against an independent script, and the two summaries of censored values against cases worked by hand."""

import math
from statistics import fmean

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from saelib.transfer.reference import plain_savings
from saelib.transfer.savings import (
    L0_FACTORS,
    joint_savings,
    leads_over_copies,
    median_saving,
    savings,
    savings_by_layer,
    tokens_to_target,
)
from saelib.transfer.tables import Results
from saelib.transfer.targets import JOINT_L0_FACTOR, TARGETS
from tests.helpers.kept import KEPT_PRESETS, kept_results
from tests.helpers.made_runs import made_results
from tests.helpers.plain_savings import plain_median


@pytest.fixture(scope="module")
def results() -> Results:
    return made_results(["forward", "backward", "backward_affine"], layers=3, replicates=3, rows=5)


def check_against_loops(results: Results, resamples: int) -> None:
    assert results.rows is not None
    plain = plain_savings(results.evaluation, results.rows)
    table = savings(results, resamples=resamples)
    assert set(zip(table["arm"], table["target"], strict=True)) == set(plain)
    for line in table.to_dict("records"):
        saved = plain[line["arm"], line["target"]]
        shares = [saving for saving, *_ in saved]
        at = [ratio for _, arrived, ratio in saved if arrived]
        assert line["saes"] == len(saved)
        assert line["mean"] == pytest.approx(fmean(shares), abs=1e-4)
        assert (line["lowest"], line["highest"]) == pytest.approx((min(shares), max(shares)), abs=1e-3)
        assert line["median"] == pytest.approx(plain_median(saved), abs=1e-3, nan_ok=True)
        assert line["arrived"] == len(at)
        assert line["l0_ratio"] == pytest.approx(fmean(at) if at else math.nan, abs=1e-4, nan_ok=True)


def test_savings_are_those_of_plain_loops_over_rows(results: Results) -> None:
    check_against_loops(results, resamples=30)


@pytest.mark.parametrize("preset", KEPT_PRESETS)
def test_the_kept_savings_are_those_of_plain_loops_over_rows(preset: str) -> None:
    check_against_loops(kept_results(preset), resamples=30)


def test_each_sae_has_a_line_for_each_target(results: Results) -> None:
    table = tokens_to_target(results)
    assert list(table) == [
        "direction", "distance", "start", "arm", "act_layer", "seed", "data_seed", "target", "level", "tokens_needed",
        "budget", "arrived", "scratch_tokens_needed", "saving", "l0_ratio",
    ]  # fmt: skip
    assert not table.duplicated(["arm", "act_layer", "seed", "data_seed", "target"]).any()
    assert set(zip(table["arm"], table["act_layer"], strict=True)) == {
        ("forward", 1), ("forward", 2), ("backward", 0), ("backward", 1), ("backward_affine", 0), ("backward_affine", 1)
    }  # fmt: skip
    away = table[~table["arrived"]]
    assert np.isinf(away["tokens_needed"]).all() and away["l0_ratio"].isna().all()
    assert (table["level"] > 1).tolist() == (table["target"] == "loss").tolist()


def test_the_mean_of_layers_is_the_mean(results: Results) -> None:
    whole = savings(results, resamples=30).set_index(["arm", "target"])
    layers = savings_by_layer(results, resamples=30).groupby(["arm", "target"])
    assert layers["mean"].mean().to_dict() == pytest.approx(whole["mean"].to_dict())
    assert layers["arrived"].sum().to_dict() == whole["arrived"].to_dict()


def test_a_map_is_compared_with_the_copy_of_the_same_source(results: Results) -> None:
    leads = leads_over_copies(results, resamples=99)
    assert list(leads["arm"]) == ["backward_affine"] * 3
    assert list(leads["target"]) == list(TARGETS)
    needed = tokens_to_target(results)
    keys = ["direction", "act_layer", "seed", "target"]
    pairs = needed[needed["start"] == "affine"].merge(needed[needed["start"] == "copy"], on=keys)
    by_hand = (pairs["saving_x"] - pairs["saving_y"]).groupby(pairs["target"]).mean()
    assert leads.set_index("target")["mean"].to_dict() == pytest.approx(by_hand.to_dict())
    assert (leads["low"] <= leads["mean"]).all() and (leads["mean"] <= leads["high"]).all()


def test_without_maps_or_without_copies_nothing_is_compared() -> None:
    for arms in (["forward"], ["forward_affine"]):
        made = made_results(arms, layers=2, replicates=2, rows=2, budgets=(0, 8))
        assert leads_over_copies(made, resamples=9).empty


def test_bounds_hold_the_mean_and_stay_within_what_is_possible(results: Results) -> None:
    table = savings(results, resamples=500)
    assert (table["low"] < table["high"]).all()
    assert (table["high"] <= 1).all()
    assert table[["share_low", "share_high"]].to_numpy().min() >= 0
    assert table[["share_low", "share_high"]].to_numpy().max() <= 1
    assert (table["share_low"] <= table["share_arrived"]).all() and (
        table["share_arrived"] <= table["share_high"]
    ).all()


def test_what_is_not_known_is_not_drawn(results: Results) -> None:
    """Without rows the bounds are of the replicates; with one replicate, of the rows; with neither there are none."""
    one = results.evaluation["seed"].isin([0])
    neither = savings(Results(results.evaluation[one], None), resamples=99)
    assert neither[["low", "high", "share_low", "share_high"]].isna().to_numpy().all()
    assert (neither["count"] == 1).all()
    for few in (Results(results.evaluation, None), Results(results.evaluation[one], results.rows)):
        table = savings(few, resamples=99)
        assert (table["low"] <= table["high"]).all() and (table["low"] < table["high"]).any()


def censored(needed, budget=100.0, scratch=100.0) -> pd.DataFrame:
    """SAEs by the tokens that they need; infinity where they do not arrive."""
    needed = np.array(needed, float)
    return pd.DataFrame({"tokens_needed": needed, "budget": budget, "scratch_tokens_needed": scratch,
                         "arrived": np.isfinite(needed)})  # fmt: skip


@pytest.mark.parametrize(
    ("saes", "median"),
    [
        (censored([10, 20, 30]), 0.8),
        (censored([10, 20, 30, 40]), 0.8),  # half have arrived at 20
        (censored([10, 20, math.inf, math.inf]), 0.8),
        (censored([10, math.inf, math.inf]), math.nan),
        (censored([math.inf, math.inf]), math.nan),
        # The second is lost sight of at 20: 3/4 wait after 10, 3/4 * 1/2 after 30.
        (censored([10, math.inf, 30, 40], budget=np.array([100, 20, 100, 100])), 0.7),
        (censored([10, 20, 30], scratch=np.array([20, 100, 100])), 0.7),  # shares .5, .2, .3
        (censored([150, 160, 170], budget=200.0), -0.6),
    ],
)
def test_the_median_of_kaplan_and_meier_by_hand(saes, median) -> None:
    assert median_saving(saes) == pytest.approx(median, nan_ok=True)


def test_the_restricted_mean_is_the_area_under_the_curve_of_kaplan_and_meier() -> None:
    """With one budget for all, nothing is lost sight of before it: the area is the mean of what was spent."""
    saes = censored([10, 25, 25, 70, math.inf, math.inf])
    spent = np.minimum(saes["tokens_needed"], 100)
    waiting = stats.ecdf(stats.CensoredData(uncensored=[10, 25, 25, 70], right=[100, 100])).sf
    steps = np.array([0, *waiting.quantiles[waiting.quantiles < 100], 100])
    heights = [1.0, *waiting.evaluate(steps[1:-1])]
    assert np.sum(np.diff(steps) * heights) == pytest.approx(spent.mean())


def test_the_more_l0_is_allowed_the_more_is_saved(results: Results) -> None:
    by_factor = joint_savings(results, resamples=19)
    joint = savings(results, resamples=19).query("target == 'joint'").set_index("arm")
    for arm, lines in by_factor.groupby("arm"):
        assert list(lines["l0_factor"]) == list(L0_FACTORS)
        assert lines.set_index("l0_factor").loc[JOINT_L0_FACTOR, ["mean", "low", "high"]].to_dict() == pytest.approx(
            joint.loc[arm, ["mean", "low", "high"]].to_dict()
        )


def test_a_map_costs_its_tokens() -> None:
    """A mapped start that is level before any training has needed the tokens of its map: 5 here."""
    made = made_results(["backward", "backward_affine"], layers=2, replicates=2, rows=2, budgets=(0, 8, 16))
    finished = made.evaluation.query("arm == 'scratch' and tokens == 16").set_index(["act_layer", "seed"])["loss"]
    keys = pd.MultiIndex.from_frame(made.evaluation[["act_layer", "seed"]])
    start = made.evaluation["arm"].isin(["backward", "backward_affine"]) & (made.evaluation["tokens"] == 0)
    loss = made.evaluation["loss"].where(~start, finished.reindex(keys).to_numpy())
    needed = tokens_to_target(Results(made.evaluation.assign(loss=loss), None)).query("target == 'loss'")
    assert needed.groupby("start")["tokens_needed"].unique().map(list).to_dict() == {"affine": [5.0], "copy": [0.0]}
