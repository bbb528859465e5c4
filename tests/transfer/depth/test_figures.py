"""Figures of the study: what stands in each panel, with and without what a config may leave out."""

import numpy as np
import pandas as pd

from saelib.transfer import figures
from saelib.transfer.checks import Results
from saelib.transfer.depth.compare import distance_curves, equal_l0, objective_ratios
from saelib.transfer.depth.tables import read_depth_maps
from saelib.transfer.depth.wording import ARM_NAMES, by_layer
from saelib.transfer.experiment import Experiment

FEW = 20


def test_scores_stand_at_the_layers_that_are_read(deep: Experiment, scores: Results) -> None:
    curves = distance_curves(scores, resamples=FEW)
    drawn = figures.map_distance(curves, read_depth_maps(deep), 512).figure
    first, *_, fits = drawn.axes
    lines = {line.get_label(): line for line in first.lines if line.get_linestyle() == "-"}
    wanted = curves.query("metric == 'ce_score' and arm == 'affine' and budget == 2048").sort_values("act_layer")
    assert np.asarray(lines[ARM_NAMES["affine"]].get_xdata()).tolist() == [0, 1, 2]
    assert np.asarray(lines[ARM_NAMES["affine"]].get_ydata()).tolist() == wanted["mean"].tolist()
    assert len(drawn.axes) == 6 and "fit of the map" in fits.get_title()
    assert drawn.axes[4].get_title() == "share of features that fire\non none of 512 scored tokens"


def test_without_a_frontier_one_panel_is_left(scores: Results) -> None:
    ratios, gaps = objective_ratios(scores, resamples=FEW), equal_l0(scores, resamples=FEW)
    assert len(figures.map_against_scratch(ratios, gaps).figure.axes) == 2
    assert len(figures.map_against_scratch(ratios, gaps.iloc[:0]).figure.axes) == 1


def test_each_layer_with_scratch_saes_has_a_panel(scores: Results) -> None:
    drawn = figures.depth_frontier(scores.evaluation).figure
    titles = [axis.get_title() for axis in drawn.axes if axis.get_visible()]
    assert titles == ["layer 0 (+0)", "layer 1 (+1)", "layer 2 (+2)"]
    means = scores.evaluation.query("budget == 2048 and act_layer == 2 and arm == 'scratch'")
    line = next(line for line in drawn.axes[2].lines if line.get_label() == ARM_NAMES["scratch"])
    assert sorted(np.asarray(line.get_xdata())) == sorted(means.groupby("l1_multiple")["l0"].mean())


def test_a_table_has_a_row_for_each_layer_and_budget_and_a_column_for_each_arm() -> None:
    summary = pd.DataFrame(
        {"arm": arm, "budget": 2000, "act_layer": 3, "distance": 1, "metric": "loss_ratio", "mean": mean, "low": 0.9,
         "high": 1.1} for arm, mean in (("affine", 1.0), ("copy", float("nan")))
    )  # fmt: skip
    (row,) = by_layer(summary).to_dict("records")
    assert row == {"layer": 3, "distance": 1, "tokens of the source": "2 thousand", "copy": "-",
                   "affine map": "1.00 (0.90 to 1.10)"}  # fmt: skip
