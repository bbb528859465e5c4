"""An SAE that diverged counts nowhere, nor does what is compared with it; all other numbers are those without it."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from saelib.results.provenance import write_table
from saelib.transfer import figures
from saelib.transfer.agreement import unmatched_baseline
from saelib.transfer.checks import Results, check_finite
from saelib.transfer.claims import change, recovered, share_won, zero_shot_lead
from saelib.transfer.convergence import (
    average_curves,
    final_table,
    layer_curves,
    normalised_scores,
    zero_shot_matrix,
)
from saelib.transfer.curves import alike, curve, matched
from saelib.transfer.divergence import left_out
from saelib.transfer.gains import dominance, equal_token_gains, final_changes
from saelib.transfer.reference import plain_savings
from saelib.transfer.samples import whole
from saelib.transfer.savings import joint_savings, leads_over_copies, savings, savings_by_layer, tokens_to_target
from tests.helpers.made_runs import made_results

BUDGETS = (0, 8192, 16384, 32768)
SAE = ["arm", "act_layer", "seed"]
Lost = tuple[str, int, int]  # arm, layer, seed


@pytest.fixture(scope="module")
def sound() -> Results:
    """Four layers, three replicates, both directions, copies and maps."""
    return made_results(layers=4, replicates=3, budgets=BUDGETS, rows=8)


def with_lost(results: Results, *lost: Lost) -> Results:
    """The same run, in which SAEs diverged after their first budget."""
    table = results.evaluation.copy()
    chosen = pd.MultiIndex.from_frame(table[SAE]).isin(lost) & (table["tokens"] > BUDGETS[1])
    numbers = table.select_dtypes("float").columns
    table.loc[chosen, numbers] = math.nan
    gone = table.loc[chosen, "sae_sha256"]
    table.loc[chosen, "sae_sha256"] = None
    table["diverged_at_step"] = pd.array(np.where(chosen, 11, -1), "Int64")
    table["diverged_at_step"] = table["diverged_at_step"].where(chosen)
    assert results.rows is not None
    return Results(table, results.rows[~results.rows["sae_sha256"].isin(gone)].reset_index(drop=True))


def plain_mean(
    results: Results, arm: str, metric: str, without: set[tuple[int, int]], tokens: int = BUDGETS[-1]
) -> float:
    """By a plain sum over the arm's SAEs."""
    table = results.evaluation
    rows = table[(table["arm"] == arm) & (table["tokens"] == tokens)].to_dict("records")
    kept = [row[metric] for row in rows if (row["act_layer"], row["seed"]) not in without]
    return float(sum(kept) / len(kept))


def test_numbers_of_a_run_that_lost_none_are_those_without_the_column(sound: Results) -> None:
    noted = sound._replace(
        evaluation=sound.evaluation.assign(diverged_at_step=pd.array([None] * len(sound.evaluation), "Int64"))
    )
    pd.testing.assert_frame_equal(savings(sound, resamples=99), savings(noted, resamples=99))
    pd.testing.assert_frame_equal(
        final_table(sound, ["loss"], resamples=99), final_table(noted, ["loss"], resamples=99)
    )


def test_a_pair_is_left_out_in_both_arms_and_counts_in_others(sound: Results) -> None:
    lost = with_lost(sound, ("forward", 2, 1))
    check_finite(lost.evaluation)
    ends = final_table(lost, ["mse", "ce_score"], resamples=99).set_index(["direction", "arm", "metric"])["mean"]
    for arm in ("forward", "forward_affine", "scratch"):  # all are in one comparison
        own = [row for row in sound.evaluation.to_dict("records") if row["arm"] == arm and row["act_layer"] > 0
               and row["tokens"] == BUDGETS[-1] and (row["act_layer"], row["seed"]) != (2, 1)]  # fmt: skip
        assert len(own) == 8
        for metric in ("mse", "ce_score"):
            assert ends["forward", arm, metric] == pytest.approx(sum(row[metric] for row in own) / 8, rel=1e-6)
    whole_ends = final_table(sound, ["mse"], resamples=99).set_index(["direction", "arm", "metric"])["mean"]
    for arm in ("backward", "scratch"):
        assert ends["backward", arm, "mse"] == whole_ends["backward", arm, "mse"]


def test_it_is_left_out_at_every_budget(sound: Results) -> None:
    """Else a curve would be of other SAEs where it begins than where it ends."""
    means = average_curves(with_lost(sound, ("forward", 2, 1)), ["mse"], resamples=99)
    starts = means[(means["arm"] == "forward") & (means["tokens"] == 0)]["mean"]
    assert starts.item() == pytest.approx(plain_mean(sound, "forward", "mse", {(2, 1)}, tokens=0), rel=1e-6)
    assert np.isfinite(means[["mean", "low", "high"]].to_numpy()).all()


def test_a_lost_scratch_sae_leaves_out_what_is_measured_by_it(sound: Results) -> None:
    lost = with_lost(sound, ("scratch", 1, 0))
    needed = tokens_to_target(lost)
    by_sae = needed.set_index([*SAE, "target"])["saving"]
    without = tokens_to_target(sound).set_index([*SAE, "target"])["saving"]
    kept = [key for key in without.index if key[1:3] != (1, 0)]
    pd.testing.assert_series_equal(by_sae.sort_index(), without.loc[kept].sort_index())
    saved = savings(lost, resamples=99).set_index(["arm", "target"])
    assert saved.loc[("forward", "loss"), "saes"] == 8
    for key, mean in saved["mean"].items():
        assert mean == pytest.approx(without.loc[[one for one in kept if (one[0], one[3]) == key]].mean(), rel=1e-9)
    ratios = final_table(lost, ["loss_ratio"], resamples=99)
    assert np.isfinite(ratios[["mean", "low", "high"]].to_numpy()).all()


def test_savings_are_those_of_plain_loops(sound: Results) -> None:
    lost = with_lost(sound, ("scratch", 1, 0), ("forward", 2, 1))
    assert lost.rows is not None
    plain = plain_savings(lost.evaluation, lost.rows)
    saved = savings(lost, resamples=99).set_index(["arm", "target"])
    assert {key: len(saes) for key, saes in plain.items()} == saved["saes"].to_dict()
    assert saved.loc[("forward", "loss"), "saes"] == 7 and saved.loc[("backward_affine", "loss"), "saes"] == 8
    for key, saes in plain.items():
        assert saved.loc[key, "mean"] == pytest.approx(sum(one.saving for one in saes) / len(saes), rel=1e-5)


def test_every_figure_is_drawn_of_what_is_left(sound: Results) -> None:
    lost = with_lost(sound, ("scratch", 1, 0), *(("forward", 3, seed) for seed in range(3)))
    metrics = ["loss_ratio", "loss", "ce_score", "ce_score_mean", "ce_increase", "mse", "l0"]
    curves, needed, saved = (
        average_curves(lost, metrics, resamples=9),
        tokens_to_target(lost),
        savings(lost, resamples=9),
    )
    layers, gains = layer_curves(lost, metrics, resamples=9), equal_token_gains(lost, metrics, resamples=9)
    for drawn in (figures.convergence(curves, needed, saved), figures.savings(needed, saved),
                  figures.savings_by_layer(needed, savings_by_layer(lost, resamples=9)), figures.averages(curves),
                  figures.frontier(curves), figures.layers(layers), figures.finals(layers), figures.gains(gains),
                  figures.zero_shot_matrix({"this run": zero_shot_matrix(lost.evaluation)})):  # fmt: skip
        assert drawn._repr_png_()


def test_by_layer_the_replicates_that_are_left_count(sound: Results) -> None:
    lost = with_lost(sound, ("forward", 2, 1), ("forward", 3, 0), ("forward", 3, 1), ("forward", 3, 2))
    by_layer = savings_by_layer(lost, resamples=199).set_index(["arm", "act_layer", "target"])
    own = tokens_to_target(sound).set_index([*SAE, "target"])["saving"]
    line = by_layer.loc[("forward", 2, "loss")]
    assert line["mean"] == pytest.approx((own["forward", 2, 0, "loss"] + own["forward", 2, 2, "loss"]) / 2, rel=1e-9)
    assert line["low"] <= line["mean"] <= line["high"]
    assert by_layer.loc[("forward", 3, "loss"), ["mean", "low", "high"]].isna().all()
    curves = layer_curves(lost, ["loss_ratio"], resamples=99).set_index(["arm", "act_layer", "tokens"])["mean"]
    assert math.isnan(curves["scratch", 3, BUDGETS[-1]]) and curves["scratch", 2, BUDGETS[-1]] == pytest.approx(1)


def test_leads_gains_and_counts_are_of_pairs(sound: Results) -> None:
    lost = with_lost(sound, ("forward_affine", 2, 1))
    own = tokens_to_target(sound).set_index([*SAE, "target"])["saving"]
    wanted = [own["forward_affine", layer, seed, "loss"] - own["forward", layer, seed, "loss"]
              for layer in (1, 2, 3) for seed in range(3) if (layer, seed) != (2, 1)]  # fmt: skip
    leads = leads_over_copies(lost, resamples=99).set_index(["arm", "target"])["mean"]
    assert leads["forward_affine", "loss"] == pytest.approx(sum(wanted) / 8, rel=1e-9)
    gains = equal_token_gains(lost, ["mse"], resamples=99)
    gain = gains[(gains["arm"] == "forward_affine") & (gains["tokens"] == BUDGETS[-1])]["mean"].item()
    ends = [
        plain_mean(sound, arm, "mse", {(2, 1)} | {(0, seed) for seed in range(3)})
        for arm in ("forward_affine", "scratch")
    ]
    assert gain == pytest.approx(ends[0] - ends[1], rel=1e-6)
    counts = dominance(lost).set_index(["arm", "tokens"])["saes"]
    assert counts["forward_affine", BUDGETS[-1]] == 8 and counts["forward", BUDGETS[-1]] == 9
    for table in (final_changes(lost, ["mse"], resamples=99), joint_savings(lost, resamples=99)):
        assert table["mean"].notna().all()
    scores = normalised_scores(lost.evaluation)
    assert scores["normalised"].notna().all() and len(scores[scores["arm"] == "forward_affine"]) == 8 * len(BUDGETS)


def test_claims_of_the_paper_are_about_pairs(sound: Results) -> None:
    lost, cut = with_lost(sound, ("forward", 2, 1)), {(2, 1), *((0, seed) for seed in range(3))}
    ends = [
        plain_mean(sound, arm, "mse", cut, 16384 if arm == "forward" else BUDGETS[-1]) for arm in ("forward", "scratch")
    ]
    assert float(change(lost.evaluation, "forward", "mse")(whole(lost))) == pytest.approx(
        ends[0] / ends[1] - 1, rel=1e-6
    )
    for claim in (
        recovered(lost.evaluation, "forward"),
        share_won(lost.evaluation, "forward"),
        zero_shot_lead(lost.evaluation),
    ):
        assert np.isfinite(claim(whole(lost)))
    assert unmatched_baseline(lost.evaluation)["scratch"].notna().all()


def test_what_is_compared_has_one_set_of_saes(sound: Results) -> None:
    evaluation = with_lost(sound, ("forward", 2, 1), ("scratch", 1, 0)).evaluation
    pair = matched(evaluation, "forward")
    assert pair.layers == (1, 2, 3)
    assert pair.sound.tolist() == [[False, True, True], [True, False, True], [True, True, True]]
    assert pair.arm.sound.tolist() == pair.reference.sound.tolist()
    assert curve(evaluation, "scratch").sound.sum() == 11
    scratch, forward = alike([curve(evaluation, "scratch"), curve(evaluation, "forward")])
    assert scratch.sound[0].all() and scratch.sound[1:].tolist() == forward.sound.tolist() == pair.sound.tolist()


@pytest.mark.parametrize("reader", [savings, average_curves])
def test_bounds_are_of_draws_that_hold_something(sound: Results, reader: Callable[..., pd.DataFrame]) -> None:
    """Two of three replicates lost everywhere: many draws hold none that counts."""
    lost = with_lost(sound, *(("forward", layer, seed) for layer in (1, 2, 3) for seed in (0, 1)))
    table = reader(lost, resamples=99) if reader is savings else reader(lost, ["mse"], resamples=99)
    own = table[table["arm"] == "forward"]
    assert (own["low"] <= own["mean"] + 1e-12).all() and (own["mean"] <= own["high"] + 1e-12).all()


def test_how_many_diverged_is_said(tmp_path: Path) -> None:
    assert left_out(tmp_path) == ""
    log = pd.DataFrame({"arm": "scratch", "sae_layer": [0, 0, 1, 1], "seed": 0, "tokens": [1, 2, 1, 2]})
    log["config_sha256"] = "x"
    write_table(log, tmp_path / "training.parquet")
    assert left_out(tmp_path) == ""
    write_table(log.assign(diverged_at_step=pd.array([None, 7, None, None], "Int64")), tmp_path / "training.parquet")
    assert left_out(tmp_path) == (
        "without the 1 of 2 SAEs that diverged, and without the same layer and replicate in what is compared with them"
    )
