"""Figures that put the paper's Pythia-160M beside a run (90_report).

In: tables of the published scores and of a run, made by the same functions. Out: figures with one column for each.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saelib.results.figures import PALETTE, figure, figure_label, log_ticks, new_figure
from saelib.transfer.directions import transfer_arms
from saelib.transfer.figures.style import (
    TARGET_LABEL,
    band_note,
    directions_of,
    last_level,
    legend,
    look,
    nearest,
    nearest_arms,
)
from saelib.transfer.wording import SHORT_NAMES

LEFT_OVER = "1 - CE-loss score\n(log scale)"


@figure("report_averages", "CE loss left over and L0 over new tokens as a share of the source's, paper and this run")
def paper_averages(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Means over layers of CE loss left over and of L0, over new tokens; dashed: finished scratch, same layers.

    Args:
        curves: `average_curves` of "ce_score" and "l0", by title.
    """
    curves = {title: nearest(table) for title, table in curves.items()}
    figure, panels = new_figure(9.6, 6, nrows=2, ncols=len(curves), sharex=True, sharey="row")
    for column, (title, table) in enumerate(curves.items()):
        for axis, metric in zip(panels[:, column], ("ce_score", "l0"), strict=True):
            for direction in directions_of(table):
                chosen = (table["direction"] == direction) & (table["metric"] == metric)
                _draw_direction(axis, table[chosen], metric == "ce_score")
        panels[0, column].set_title(
            f"{figure_label(title)}\n{band_note(table).replace(' (', chr(10) + '(')}", fontsize=9.5
        )
        panels[-1, column].set_xlabel("new tokens / tokens of the source")
    panels[0, 0].set(ylabel=LEFT_OVER, yscale="log")
    panels[1, 0].set(ylabel=SHORT_NAMES["l0"], yscale="log")
    for axis in panels[:, 0]:
        log_ticks(axis.yaxis)
    legend(figure, panels)
    return figure


def _draw_direction(axis: Axes, curves: pd.DataFrame, left_over: bool) -> None:
    """A direction's arms from their untrained start on, and the level of finished scratch in the copy's colour."""
    scratch_tokens = curves.loc[curves["arm"] == "scratch", "tokens"].max()
    arms = transfer_arms(curves)
    for arm in arms:
        curve = curves[curves["arm"] == arm].sort_values("tokens")
        mean, low, high = (1 - curve[name] if left_over else curve[name] for name in ("mean", "low", "high"))
        share = curve["tokens"] / scratch_tokens
        axis.plot(share, mean, markersize=3.5, **look(arm))
        axis.fill_between(
            share, low.astype(float), high.astype(float), color=look(arm)["color"], alpha=0.18, linewidth=0
        )
    level = last_level(curves)
    axis.axhline(1 - level if left_over else level, color=look(arms[0])["color"], linestyle="--", linewidth=1.2,
                 label=f"finished scratch, layers of {curves['direction'].iloc[0]}")  # fmt: skip


@figure("report_normalised", "Normalised CE-loss score at the end of transfer by layer, paper and this run")
def paper_normalised(scores: Mapping[str, pd.DataFrame], lowest: float = 0.0) -> Figure:
    """Normalised CE-loss score of finished transfers, layer by layer: 1 is the layer's own scratch SAE.

    Args:
        scores: `convergence.normalised_scores`, by title. A line at a point reaches from the lowest to the highest
            replicate: a ratio whose denominator may be near 0 has no useful standard error.
        lowest: where the axis begins; smaller values are shown at its edge.
    """
    figure, panels = new_figure(9.6, 3.9, ncols=len(scores), sharey=True)
    for axis, (title, table) in zip(panels[0], scores.items(), strict=True):
        final = table[table["tokens"] == table.groupby("arm")["tokens"].transform("max")]
        for arm in nearest_arms(final):
            _draw_normalised(axis, final[final["arm"] == arm], arm, lowest)
        axis.axhline(1, color=PALETTE["black"], linestyle="--", linewidth=1.2, label=TARGET_LABEL)
        replicates = int(final.groupby(["arm", "act_layer"]).size().max())
        ranges = "; lines: lowest to highest" if replicates > 1 else ", no intervals"
        axis.set_title(f"{figure_label(title)}\n{replicates} replicate{'s' * (replicates > 1)}{ranges}", fontsize=9.5)
        axis.set(xlabel="layer")
        axis.set_xticks(sorted(final["act_layer"].unique()))
    panels[0, 0].set_ylim(bottom=lowest)
    panels[0, 0].set_ylabel("normalised CE-loss score\n(0: untrained source)")
    legend(figure, panels)
    return figure


def _draw_normalised(axis: Axes, final: pd.DataFrame, arm: str, lowest: float) -> None:
    """Means by layer, with lines from the lowest to the highest replicate."""
    by_layer = final.groupby("act_layer")["normalised"].agg(["mean", "min", "max"]).clip(lower=lowest)
    half = np.stack([by_layer["mean"] - by_layer["min"], by_layer["max"] - by_layer["mean"]])
    axis.errorbar(by_layer.index, by_layer["mean"], half, elinewidth=1.2, markersize=5, **look(arm))
