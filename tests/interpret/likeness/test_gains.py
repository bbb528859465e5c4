"""Gain and distance of layers: by hand, against scipy, and the paper's."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from saelib.interpret.likeness.gains import distances_of, gain_by_pair, gains, published_gains, rank_correlation
from tests.helpers.made_runs import BUDGETS, made_results
from tests.helpers.tidy_likeness import likeness_table

FEW = 49


@pytest.fixture(scope="module")
def evaluation() -> pd.DataFrame:
    return made_results(layers=5, replicates=3, rows=2).evaluation


@pytest.fixture(scope="module")
def table(evaluation: pd.DataFrame) -> pd.DataFrame:
    return gains(evaluation, likeness_table())


def loss(evaluation: pd.DataFrame, arm: str, layer: int, seed: int, tokens: int) -> float:
    chosen = evaluation[(evaluation["arm"] == arm) & (evaluation["act_layer"] == layer) & (evaluation["seed"] == seed)]
    (found,) = chosen.loc[chosen["tokens"] == tokens, "loss"]
    return float(found)


def test_a_gain_is_what_the_objective_is_below_scratch_at_equal_tokens(
    evaluation: pd.DataFrame, table: pd.DataFrame
) -> None:
    assert len(table) == 4 * 4 * 3 * 2  # arms, pairs of neighbours, replicates, checkpoints
    for row in table.to_dict("records"):
        tokens = BUDGETS[1] if row["measure"] == "first" else BUDGETS[-1]
        who = (row["act_layer"], row["seed"], tokens)
        wanted = 1 - loss(evaluation, row["arm"], *who) / loss(evaluation, "scratch", *who)
        assert row["value"] == pytest.approx(wanted)
        assert row["angular_distance"] == distances_of(likeness_table())[row["act_layer"], row["source_layer"]]


def test_what_diverged_and_layers_without_a_distance_are_left_out(evaluation: pd.DataFrame) -> None:
    step = pd.array([None] * len(evaluation), dtype="Int64")
    is_one = (evaluation["arm"] == "forward") & (evaluation["act_layer"] == 1) & (evaluation["seed"] == 0)
    step[is_one.to_numpy()] = 3
    found = gains(evaluation.assign(diverged_at_step=step), likeness_table())
    assert len(found) == 4 * 4 * 3 * 2 - 2
    near = likeness_table(layers=(1,))  # with the layers 0 to 2
    assert set(gains(evaluation, near)["act_layer"]) == {0, 1, 2}


def test_means_are_over_replicates(table: pd.DataFrame) -> None:
    found = gain_by_pair(table, resamples=FEW)
    assert len(found) == 4 * 4 * 2 and set(found["count"]) == {3}
    row = found.iloc[0]
    same = table[(table["arm"] == row["arm"]) & (table["act_layer"] == row["act_layer"])]
    assert row["mean"] == pytest.approx(same.loc[same["measure"] == row["measure"], "value"].mean())


def test_the_correlation_is_spearmans_of_the_means(table: pd.DataFrame) -> None:
    found = rank_correlation(table, resamples=FEW).set_index(["start", "measure"])
    assert len(found) == 4 and (found["pairs"] == 8).all()
    chosen = table[table["arm"].isin(["forward", "backward"]) & (table["measure"] == "end")]
    means = chosen.groupby(["arm", "act_layer"]).agg(gain=("value", "mean"), distance=("angular_distance", "first"))
    wanted = spearmanr(means["gain"], means["distance"]).statistic
    row = found.loc[("copy", "end")]
    assert row["correlation"] == pytest.approx(wanted)
    assert -1 <= row["low"] <= row["high"] <= 1


def test_closer_layers_that_gain_more_correlate_below_0() -> None:
    rows = [{"arm": "forward", "act_layer": layer, "source_layer": layer - 1, "seed": seed, "measure": "end",
             "value": 1 - 0.1 * layer + 0.001 * seed, "angular_distance": 0.1 * layer}
            for layer in range(1, 6) for seed in range(2)]  # fmt: skip
    (found,) = rank_correlation(pd.DataFrame(rows), resamples=FEW).to_dict("records")
    assert found["correlation"] == pytest.approx(-1) and found["low"] == pytest.approx(-1)
    (alone,) = rank_correlation(pd.DataFrame(rows[::2]), resamples=FEW).to_dict("records")
    assert alone["correlation"] == pytest.approx(-1) and np.isnan(alone["low"])
    (few,) = rank_correlation(pd.DataFrame(rows[:4]), resamples=FEW).to_dict("records")
    assert np.isnan(few["correlation"]) and few["pairs"] == 2


def test_the_papers_are_against_finished_scratch() -> None:
    table = published_gains()
    assert len(table) == 22 and set(table["measure"]) == {"end"}
    means = table.groupby("arm")["value"].mean()
    assert means.to_dict() == pytest.approx({"backward": 0.9620 - 0.9621, "forward": 0.9590 - 0.9599}, abs=1.1e-4)
    forward = table[(table["arm"] == "forward") & (table["act_layer"] == 1)]
    assert forward["angular_distance"].tolist() == [0.35]  # of layers 0 and 1
    assert rank_correlation(table)["correlation"].between(-1, 1).all()
