"""Figures that compare at equal tokens and at equal sparsity (13_convergence).

In: the tables of `transfer.gains` and `transfer.convergence`. Out: figures. What a transfer is worth shows only where
the other side has as many tokens, and as many active features.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saelib.results.figures import PALETTE, figure, new_figure
from saelib.results.text import thousands
from saelib.transfer.directions import parse_arm, transfer_arms
from saelib.transfer.figures.style import (
    arms_of,
    band,
    band_note,
    directions_of,
    legend,
    look,
    nearest,
    tokens_axis,
)
from saelib.transfer.wording import METRIC_NAMES, SHORT_NAMES, direction_label

HIGHER_IS_BETTER = {"ce_score", "ce_score_mean", "explained_variance"}


@figure("equal_token_gains", "Transfer minus from-scratch SAE at the same number of new tokens")
def gains(gains: pd.DataFrame, metrics: tuple[str, ...] = ("loss", "ce_score", "l0")) -> Figure:
    """Transfer minus its equal-token reference: all budgets above, the second half of them, enlarged, beneath.

    Args:
        gains: `equal_token_gains` of these metrics.
    """
    gains = nearest(gains)
    trained = gains[gains["tokens"] > 0]
    last = trained["tokens"].max()
    figure, panels = new_figure(3.2 * len(metrics), 6.2, nrows=2, ncols=len(metrics))
    for column, metric in enumerate(metrics):
        chosen = trained[trained["metric"] == metric]
        for axis, first in zip(panels[:, column], (0, last / 2), strict=True):
            shown = chosen[chosen["tokens"] >= first]
            for arm in transfer_arms(shown):
                band(axis, shown[shown["arm"] == arm], arm)
            tokens_axis(axis, last, label=bool(first))
            axis.set_xlim(first, last)
            axis.yaxis.set_major_formatter(lambda value, _: f"{value:,.6g}")
            _mark_sign(axis, metric)
        panels[0, column].set_title(SHORT_NAMES[metric])
    for axis, part in zip(panels[:, 0], ("all budgets", "from half of the tokens on"), strict=True):
        axis.set_ylabel(f"transfer minus scratch\n{part}")
    legend(figure, panels)
    figure.suptitle(f"Means over layers and {band_note(gains)}.\nReference: an SAE from scratch after "
                    "as many new tokens.", fontsize=9.5, wrap=True)  # fmt: skip
    return figure


def _mark_sign(axis: Axes, metric: str) -> None:
    """A line at no difference, and the side of it on which the transfer is ahead."""
    low, high = axis.get_ylim()
    size = max(abs(low), abs(high))
    low, high = min(low, -0.15 * size), max(high, 0.15 * size)
    axis.set_ylim(low, high)
    axis.axhline(0, color=PALETTE["black"], linewidth=1.2)
    above = metric in HIGHER_IS_BETTER
    side = (0, high) if above else (low, 0)
    axis.axhspan(*side, color=PALETTE["green"], alpha=0.06, linewidth=0)
    word = "transfer is sparser" if metric == "l0" else "transfer is better"
    axis.text(0.97, 0.95 if above else 0.05, word, transform=axis.transAxes, ha="right",
              va="top" if above else "bottom", fontsize=8.5, color="#404040")  # fmt: skip


@figure("frontier", "CE-loss score against L0 at every budget: which arm is better at equal sparsity")
def frontier(curves: pd.DataFrame, score: str = "ce_score") -> Figure:
    """The path of each arm through L0 and CE-loss score as tokens grow; at equal L0 the higher arm is better.

    Args:
        curves: `average_curves` of the score and of "l0".
    """
    curves = nearest(curves)
    directions = directions_of(curves)
    figure, panels = new_figure(9.6, 4.6, ncols=len(directions), sharex=True, sharey=True)
    wide = curves.pivot_table("mean", ["direction", "arm", "tokens"], "metric").reset_index()
    limits = {metric: _limits(curves[curves["metric"] == metric]) for metric in (score, "l0")}
    for axis, direction in zip(panels[0], directions, strict=True):
        here = wide[wide["direction"] == direction]
        for arm in arms_of(here):
            _draw_path(axis, here[here["arm"] == arm].sort_values("tokens"), arm, score)
        axis.set(title=direction_label(direction), xlabel=METRIC_NAMES["l0"], xlim=limits["l0"], ylim=limits[score])
    panels[0, 0].set_ylabel(SHORT_NAMES[score])
    legend(figure, panels)
    last = thousands(wide["tokens"].max())
    figure.suptitle(f"A point: one budget, larger with more tokens, the last ({last}) with a black edge. Means over "
                    "layers and\nreplicates, no intervals. Better is up and to the left; at equal L0 the higher path is"
                    " the better arm.", fontsize=9.5, wrap=True)  # fmt: skip
    return figure


def _draw_path(axis: Axes, path: pd.DataFrame, arm: str, score: str) -> None:
    """An arm's budgets as points on a line, in the order of tokens, larger as they grow."""
    axis.plot(path["l0"], path[score], **look(arm) | {"marker": "", "linewidth": 1.3, "label": "_path"})
    axis.plot([], [], **look(arm))  # for the legend
    sizes = 8 + 60 * path["tokens"] / path["tokens"].max()
    colour = look(arm)["color"]
    edges = np.where(path["tokens"] == path["tokens"].max(), PALETTE["black"], colour)
    axis.scatter(path["l0"], path[score], sizes, color=colour, edgecolors=edges, marker=look(arm)["marker"],
                 zorder=3)  # fmt: skip


def _limits(curves: pd.DataFrame) -> tuple[float, float]:
    """Limits that hold all trained transfers and the second half of the baselines."""
    trained = (curves["tokens"] > 0) & curves["arm"].map(lambda arm: parse_arm(arm) is not None)
    values = curves.loc[trained | (curves["tokens"] >= curves["tokens"].max() / 2), "mean"]
    margin = 0.06 * (values.max() - values.min() or 1.0)
    return float(values.min() - margin), float(values.max() + margin)
