"""What changes with more training: by hand, and by plain loops over the tables."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from saelib.transfer.checks import Results
from saelib.transfer.depth.changes import maturing, short_training
from saelib.transfer.depth.compare import distance_curves, equal_l0
from saelib.transfer.depth.groups import SHARE

FEW = 50


def hand_made() -> Results:
    """One replicate, source at layer 4; objective over scratch's at two layers: from .5 and .8 to .9 and 1.0."""
    objectives = {("affine", 100, 5): 5, ("affine", 100, 6): 8, ("affine", 400, 5): 9, ("affine", 400, 6): 10,
                  ("tuned", 100, 6): 6, ("tuned", 400, 6): 9}  # fmt: skip
    objectives |= {("scratch", budget, layer): 10 for budget in (100, 400) for layer in (5, 6)}
    common = {"seed": 0, "data_seed": 0, "l1_multiple": 1.0, "explained_variance": 0.5, "l1": 1.0}
    rows: list[dict[str, Any]] = [
        {"arm": arm, "budget": budget, "act_layer": layer, "distance": layer - 4, "mse": loss - 1, "loss": loss}
        for (arm, budget, layer), loss in objectives.items()
    ]
    return Results(pd.DataFrame([common | row for row in rows]), None)


def test_a_lead_that_shrinks_is_above_0_layer_by_layer_and_on_average() -> None:
    table = maturing(hand_made())
    assert table["act_layer"].tolist() == [5, 6, pd.NA]
    assert table["distance"].tolist() == [1, 2, pd.NA]
    assert table["mean"].tolist() == pytest.approx([0.4, 0.2, 0.3])
    assert table[["low", "high"]].isna().all(axis=None)  # nothing could be drawn again


def test_one_budget_says_nothing_of_more_training() -> None:
    results = hand_made()
    table = maturing(results._replace(evaluation=results.evaluation.query("budget == 100")))
    assert table.empty and {"mean", "act_layer"} <= {*table}


def test_a_short_training_is_compared_with_its_own_start() -> None:
    table = short_training(hand_made()).set_index("budget")["mean"]
    assert table.to_dict() == pytest.approx({100: 6 / 8, 400: 9 / 10})


def test_changes_are_those_of_plain_loops(scores: Results) -> None:
    own = scores.evaluation.query("l1_multiple == 1").set_index(["arm", "act_layer", "budget", "seed"])["loss"]
    ratios = own["affine"] / own["scratch"]
    wanted = [(ratios.loc[layer, 2048] - ratios.loc[layer, 1024]).mean() for layer in (1, 2)]
    grown = maturing(scores, resamples=FEW)
    np.testing.assert_allclose(grown["mean"], [*wanted, np.mean(wanted)], rtol=1e-6)
    left = short_training(scores, resamples=FEW)
    plain = (own["tuned"] / own["affine"]).dropna().groupby(["act_layer", "budget"]).mean()
    np.testing.assert_allclose(left.set_index(["act_layer", "budget"])["mean"].sort_index(), plain, rtol=1e-6)
    for table in (grown, left):
        assert ((table["low"] <= table["mean"] + 1e-9) & (table["mean"] <= table["high"] + 1e-9)).all()


def with_rows(losses: list[float], variances: list[float]) -> Results:
    """One SAE with L0 20, and scratch SAEs with L0 10 and 30, whose rows differ in size."""
    common = {"act_layer": 5, "budget": 100, "distance": 1, "seed": 0, "data_seed": 0, "ce_score": 0.5}
    sizes = np.array(losses)
    lines, rows = [], []
    for arm, multiple, l0 in (("affine", 1.0, 20.0), ("scratch", 1.0, 30.0), ("scratch", 2.0, 10.0)):
        by_row = pd.DataFrame({"row": range(len(sizes)), "mse": sizes, "l1": 0.0, "l0": l0 + 0.3 * np.arange(4) - 0.45,
                               "variance": variances, "ce_zero": 9.0, "ce_clean": 1.0, "ce_spliced": 5.0,
                               "sae_sha256": f"{arm}{multiple}", "act_layer": 5})  # fmt: skip
        means = by_row[["mse", "l1", "l0", "variance", "ce_zero", "ce_clean", "ce_spliced"]].mean().to_dict()
        lines.append(common | means | {"arm": arm, "l1_multiple": multiple, "loss": means["mse"],
                                       "sae_sha256": f"{arm}{multiple}",
                                       "explained_variance": 1 - means["mse"] / means["variance"]})  # fmt: skip
        rows.append(by_row)
    return Results(pd.DataFrame(lines), pd.concat(rows, ignore_index=True))


def test_a_share_of_the_variance_is_drawn_with_the_variance_of_its_rows() -> None:
    """Every row's objective is half of its variance: whatever rows are drawn, the share is a half, though the objective
    itself differs tenfold."""
    sizes = [1.0, 2.0, 5.0, 10.0]
    table = distance_curves(with_rows(sizes, [2 * size for size in sizes]), [SHARE, "explained_variance", "loss"],
                            resamples=FEW)  # fmt: skip
    affine = table[table["arm"] == "affine"].set_index("metric")
    for metric in (SHARE, "explained_variance"):
        assert affine.loc[metric, ["mean", "low", "high"]].tolist() == pytest.approx([0.5] * 3)
    assert affine.loc["loss", "high"] - affine.loc["loss", "low"] > 1


def test_a_comparison_at_equal_l0_that_many_draws_cannot_make_has_no_interval() -> None:
    """Of the same SAE, with scratch's frontier ending far from its L0, and just above it."""
    results = with_rows([1.0, 1.0, 1.0, 1.0], [2.0] * 4)
    inside = equal_l0(results, resamples=FEW).set_index("metric")
    assert inside[["mean", "low", "high"]].notna().all(axis=None)
    assert results.rows is not None
    near = results.rows["sae_sha256"] == "scratch1.0"  # its L0 no longer moves with the rows drawn
    rows = results.rows.assign(l0=results.rows["l0"].where(~near, 20.1))
    ends = results.evaluation["sae_sha256"] == "scratch1.0"
    evaluation = results.evaluation.assign(l0=results.evaluation["l0"].where(~ends, 20.1))
    edge = equal_l0(Results(evaluation, rows), resamples=FEW).set_index("metric")
    assert edge["mean"].notna().all()
    assert edge[["low", "high"]].isna().all(axis=None)
