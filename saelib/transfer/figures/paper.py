"""Figures that put the paper's Pythia-160M beside a run (90_report).

In: the published scores and a run's evaluation table, in the same form. Out: figures with one panel for each.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saelib.results.figures import figure, log_ticks, new_figure
from saelib.transfer.agreement import mean_of
from saelib.transfer.convergence import average_curves, normalised_scores
from saelib.transfer.directions import DIRECTIONS
from saelib.transfer.figures.style import COLOURS, LABELS, METRIC_LABELS, legend

LEFT_OVER = "1 - CE-loss score (log scale)"


@figure("report_averages", "Averages over layers, over new tokens as a share of the source's, paper and this run")
def paper_averages(evaluations: Mapping[str, pd.DataFrame]) -> Figure:
    """CE loss left over, and L0, over new tokens as a share of the source's; dashed: finished scratch, same layers.

    Args:
        evaluations: by title.
    """
    figure, panels = new_figure(9.6, 6, nrows=2, ncols=len(evaluations), sharex=True, sharey="row")
    for column, (title, evaluation) in enumerate(evaluations.items()):
        for axis, metric in zip(panels[:, column], ("ce_score", "l0"), strict=True):
            for direction in DIRECTIONS:
                _draw_average(axis, evaluation, direction, metric)
        panels[0, column].set_title(title)
        panels[-1, column].set_xlabel("new tokens / tokens of the source")
    panels[0, 0].set(ylabel=LEFT_OVER, yscale="log")
    panels[1, 0].set(ylabel=METRIC_LABELS["l0"], yscale="log")
    for axis in panels[:, 0]:
        log_ticks(axis.yaxis)
    legend(figure, panels)
    return figure


def _draw_average(axis: Axes, evaluation: pd.DataFrame, direction: str, metric: str) -> None:
    """A direction's mean curve from its untrained source on, and the level of scratch."""

    def shown(value: "float | pd.Series") -> "float | pd.Series":
        return 1 - value if metric == "ce_score" else value

    curve = average_curves(evaluation, [metric]).query("arm == @direction and tokens > 0").sort_values("tokens")
    source_tokens = evaluation.loc[evaluation["arm"] == direction, "source_tokens"].iloc[0]
    tokens = np.concatenate([[0], curve["tokens"] / source_tokens])
    means = [mean_of(evaluation, direction, "zero_shot", metric), *curve["mean"]]
    colour = COLOURS[direction]
    heights = [shown(mean) for mean in means]
    axis.plot(tokens, heights, marker="o", markersize=3.5, color=colour, label=LABELS[direction])
    axis.fill_between(tokens[1:], shown(curve["low"]), shown(curve["high"]), color=colour, alpha=0.2, linewidth=0)
    level = shown(mean_of(evaluation, direction, "scratch", metric))
    axis.axhline(level, color=colour, linestyle="--", linewidth=1.2, label=f"scratch at the layers of {direction}")


@figure("report_normalised", "Normalised CE-loss score at the end of transfer by layer, paper and this run")
def paper_normalised(evaluations: Mapping[str, pd.DataFrame], lowest: float = 0.0) -> Figure:
    """Normalised CE-loss score of finished transfers, layer by layer: 1 is the layer's own scratch SAE.

    Args:
        evaluations: by title.
        lowest: where the axis begins; smaller values are shown at its edge.
    """
    figure, panels = new_figure(9.6, 3.6, ncols=len(evaluations), sharey=True)
    for axis, (title, evaluation) in zip(panels[0], evaluations.items(), strict=True):
        scores = normalised_scores(evaluation)
        scores = scores[scores["tokens"] == scores["tokens"].max()]
        for direction in DIRECTIONS:
            means = scores[scores["arm"] == direction].groupby("act_layer")[["normalised"]].mean()
            axis.plot(means.index, means["normalised"].clip(lower=lowest), marker="o", markersize=5,
                      color=COLOURS[direction], label=LABELS[direction])  # fmt: skip
        axis.axhline(1, color=COLOURS["scratch"], linestyle="--", linewidth=1.2, label=LABELS["scratch"])
        axis.set(title=title, xlabel="layer")
        axis.set_xticks(sorted(evaluation["act_layer"].unique()))
    panels[0, 0].set_ylabel("normalised CE-loss score\n(0 = untrained source)")
    legend(figure, panels)
    return figure
