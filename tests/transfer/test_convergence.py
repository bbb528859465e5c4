"""Means of curves, and what is derived from them, by hand."""

import pandas as pd
import pytest

from saelib.transfer.convergence import average_curves, final_table, layer_curves, normalised_scores, zero_shot_matrix
from saelib.transfer.tables import Results
from tests.helpers.made_runs import made_results

BUDGETS = (0, 10, 20)
FEW = {"resamples": 50}


@pytest.fixture(scope="module")
def results() -> Results:
    return made_results(["forward", "backward", "forward_affine_2"], layers=4, replicates=2, budgets=BUDGETS, rows=4)


def mean_of(results: Results, metric: str, **chosen) -> float:
    rows = results.evaluation
    for column, values in chosen.items():
        rows = rows[rows[column].isin(values)]
    return float(rows[metric].mean())


def test_curves_are_means_over_the_layers_of_each_direction_and_distance(results: Results) -> None:
    table = average_curves(results, ["ce_score", "l0"], **FEW)
    assert list(table) == ["direction", "distance", "arm", "tokens", "metric", "mean", "low", "high", "count"]
    found = table.set_index(["direction", "distance", "arm", "tokens", "metric"])["mean"]
    assert not found.index.duplicated().any()
    for direction, distance, arm, layers in (("forward", 1, "forward", [1, 2, 3]), ("forward", 1, "scratch", [1, 2, 3]),
                                             ("backward", 1, "scratch", [0, 1, 2]),
                                             ("forward", 2, "forward_affine_2", [2, 3]),
                                             ("forward", 2, "scratch", [2, 3])):  # fmt: skip
        for tokens in BUDGETS:
            expected = mean_of(results, "l0", arm=[arm], act_layer=layers, tokens=[tokens])
            assert found[direction, distance, arm, tokens, "l0"] == pytest.approx(expected)
    assert ((table["low"] <= table["mean"]) & (table["mean"] <= table["high"])).all()


def test_a_control_is_drawn_over_the_same_layers_and_ends_at_its_own_budget(results: Results) -> None:
    evaluation = results.evaluation
    early = evaluation[(evaluation["arm"] == "scratch") & (evaluation["tokens"] < 20)].assign(arm="control")
    table = average_curves(Results(pd.concat([evaluation, early]), results.rows), ["l0"], **FEW).set_index("arm")
    assert table.loc["control"].groupby("direction")["tokens"].unique().map(list).to_dict() == {
        "forward": [0, 10], "backward": [0, 10]
    }  # fmt: skip
    same = ["direction", "distance", "tokens"]
    scratch = table.loc["scratch"].set_index(same)["mean"]
    control = table.loc["control"].set_index(same)["mean"]
    assert control.to_dict() == pytest.approx(scratch.reindex(control.index).to_dict())


def test_ends_are_the_last_points_of_the_curves(results: Results) -> None:
    metrics = ["ce_increase", "loss_ratio", "l0_ratio"]
    curves = average_curves(results, metrics, **FEW).query("tokens == 20").drop(columns="tokens")
    ends = final_table(results, metrics, **FEW)
    pd.testing.assert_frame_equal(ends, curves.reset_index(drop=True))
    scratch = ends[(ends["arm"] == "scratch") & (ends["metric"] != "ce_increase")]
    assert scratch[["mean", "low", "high"]].to_numpy() == pytest.approx(1)


def test_a_ratio_is_of_the_same_layer_and_replicate(results: Results) -> None:
    of = results.evaluation.set_index(["arm", "act_layer", "seed", "tokens"])["loss"]
    table = layer_curves(results, ["loss_ratio"], **FEW).set_index(["arm", "act_layer", "tokens"])["mean"]
    expected = sum(of["forward", 2, seed, 10] / of["scratch", 2, seed, 20] for seed in (0, 1)) / 2
    assert table["forward", 2, 10] == pytest.approx(expected)
    assert set(table.index.unique("arm")) == {"scratch", "forward", "backward", "forward_affine_2"}
    assert set(table.index.unique("tokens")) == set(BUDGETS)


def test_a_metric_without_rows_has_bounds_of_its_replicates_only(results: Results) -> None:
    one = Results(results.evaluation[results.evaluation["seed"] == 0], results.rows)
    table = final_table(one, ["ce_score", "explained_variance"], **FEW).set_index("metric")
    assert table.loc["explained_variance", ["low", "high"]].isna().to_numpy().all()
    assert (table.loc["ce_score", "low"] < table.loc["ce_score", "high"]).all()
    both = final_table(results, ["explained_variance"], **FEW)
    assert (both["low"] < both["high"]).all()


def test_rows_that_are_not_the_evaluations_are_refused(results: Results) -> None:
    assert results.rows is not None
    with pytest.raises(ValueError, match="evaluate again"):
        final_table(Results(results.evaluation, results.rows[results.rows["row"] < 3].iloc[1:]), ["l0"], **FEW)


def small_evaluation() -> pd.DataFrame:
    """Two layers: scratch ends at 0.9, each neighbour is at 0.7 untrained, forward is at 0.9 and then 0.95."""
    rows: list[tuple] = []
    for seed in (0, 1):
        for layer in (0, 1):
            rows += [("scratch", None, layer, layer, seed, tokens, score) for tokens, score in ((0, 0.0), (40, 0.9))]
            rows.append(("zero_shot", 1 - layer, 1 - layer, layer, seed, 0, 0.7))
        rows += [("forward", 0, 1, 1, seed, *values) for values in ((0, 0.7), (20, 0.9), (40, 0.95))]
        rows += [("backward", 1, 0, 0, seed, *values) for values in ((0, 0.7), (20, 0.75), (40, 0.8))]
    columns = ["arm", "source_layer", "sae_layer", "act_layer", "seed", "tokens", "ce_score"]
    return pd.DataFrame(rows, columns=columns).assign(data_seed=7)


def test_normalised_scores_by_hand() -> None:
    scores = normalised_scores(small_evaluation()).set_index(["arm", "tokens", "seed"])["normalised"]
    assert scores["forward", 0, 0] == pytest.approx(0)
    assert scores["forward", 20, 0] == pytest.approx(1)
    assert scores["forward", 40, 1] == pytest.approx(0.25 / 0.2)
    assert scores["backward", 40, 0] == pytest.approx(0.5)


def test_zero_shot_matrix_has_scratch_on_its_diagonal() -> None:
    matrix = zero_shot_matrix(small_evaluation())
    assert matrix.loc[0, 0] == matrix.loc[1, 1] == pytest.approx(0.9)
    assert matrix.loc[0, 1] == matrix.loc[1, 0] == pytest.approx(0.7)
