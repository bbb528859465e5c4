"""Figures of curves over new tokens, and of where they end (13_convergence).

In: the tables of `transfer.convergence`. Out: figures. Every mean is over the layers that the arms
of a panel share.
"""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saelib.results.figures import figure, new_figure
from saelib.transfer.directions import transfer_arms
from saelib.transfer.figures.style import (
    BASELINE_COLOURS,
    arms_of,
    band,
    band_note,
    directions_of,
    focus,
    half_widths,
    last_level,
    legend,
    level_line,
    look,
    nearest,
    nearest_arms,
    start_ring,
    tokens_axis,
)
from saelib.transfer.wording import SHORT_NAMES, direction_label

AVERAGES = ("loss_ratio", "ce_score", "mse", "l0")
EDGE = "Hollow: before any training; at the upper or lower edge where that lies outside."


@figure("average_curves", "Objective, CE-loss score, squared error and L0 over new training tokens, means over layers")
def averages(curves: pd.DataFrame, metrics: tuple[str, ...] = AVERAGES) -> Figure:
    """Means over layers of several metrics over tokens: one row for each direction, one column for each metric.

    Args:
        curves: `average_curves` of these metrics.
    """
    curves = nearest(curves)
    directions = directions_of(curves)
    figure, panels = new_figure(2.6 * len(metrics), 2.7 * len(directions) + 1, nrows=len(directions),
                                ncols=len(metrics), sharex=True, sharey="col")  # fmt: skip
    for row, direction in zip(panels, directions, strict=True):
        for axis, metric in zip(row, metrics, strict=True):
            focus(axis, curves[curves["metric"] == metric])
            _draw(axis, curves[(curves["direction"] == direction) & (curves["metric"] == metric)])
            tokens_axis(axis, curves["tokens"].max(), label=direction == directions[-1])
            axis.set_title(SHORT_NAMES[metric] if direction == directions[0] else "")
        row[0].set_ylabel(direction_label(direction))
    legend(figure, panels)
    figure.suptitle(f"Means over layers and {band_note(curves)}.\n{EDGE}", fontsize=9.5, wrap=True)
    return figure


@figure("layer_curves", "Held-out objective over new training tokens, layer by layer")
def layers(layer_curves: pd.DataFrame, metric: str = "loss") -> Figure:
    """One panel for each layer: all arms from the nearest sources, and the level of that layer's finished scratch SAE.

    Args:
        layer_curves: `convergence.layer_curves` of the metric.
    """
    curves = layer_curves[layer_curves["metric"] == metric]
    drawn = curves[curves["arm"].isin([*BASELINE_COLOURS, *nearest_arms(curves)])]
    there = sorted(drawn["act_layer"].unique())
    columns = min(len(there), 4 if len(there) > 6 else 3)
    rows = math.ceil(len(there) / columns)
    figure, panels = new_figure(3.2 * columns, 2.4 * rows + 1, nrows=rows, ncols=columns, sharex=True)
    for axis, layer in zip(panels.ravel(), there, strict=False):
        of_layer = drawn[drawn["act_layer"] == layer]
        focus(axis, of_layer)
        _draw(axis, of_layer)
        axis.set_title(f"layer {layer}")
        tokens_axis(axis, drawn["tokens"].max(), label=layer in there[-columns:])
    for axis in panels.ravel()[len(there) :]:
        axis.set_visible(False)
    for axis in panels[:, 0]:
        axis.set_ylabel(SHORT_NAMES[metric])
    legend(figure, panels)
    figure.suptitle(f"Means over {band_note(drawn)}.\n{EDGE}", fontsize=9.5, wrap=True)
    return figure


def _draw(axis: Axes, curves: pd.DataFrame) -> None:
    """All arms of one panel, rings where transfers start, and the level of finished scratch."""
    level_line(axis, last_level(curves))
    for arm in arms_of(curves):
        band(axis, curves[curves["arm"] == arm], arm)
    for arm in transfer_arms(curves):
        start_ring(axis, curves[curves["arm"] == arm], arm, told=False)


@figure("final_by_layer", "CE loss left over and L0 at the last budget, layer by layer")
def finals(layer_curves: pd.DataFrame) -> Figure:
    """Means with intervals by layer at each arm's last budget: the share of CE loss not recovered, and L0 beneath.

    Args:
        layer_curves: `convergence.layer_curves` of "ce_score" and "l0".
    """
    baselines = [arm for arm in BASELINE_COLOURS if arm in set(layer_curves["arm"])]
    arms = baselines + nearest_arms(layer_curves)
    last = layer_curves["tokens"] == layer_curves.groupby("arm")["tokens"].transform("max")
    final = layer_curves[last & layer_curves["arm"].isin(arms)]
    there = sorted(final["act_layer"].unique())
    figure, panels = new_figure(max(9.0, 0.85 * len(there)), 5.6, nrows=2, sharex=True)
    for position, arm in enumerate(arms):
        shift = 0.7 / len(arms) * (position - (len(arms) - 1) / 2)
        rows = final[final["arm"] == arm]
        _draw_ends(panels[0, 0], rows[rows["metric"] == "ce_score"], there, shift, arm, left_over=True)
        _draw_ends(panels[1, 0], rows[rows["metric"] == "l0"], there, shift, arm)
    for axis, name in zip(panels[:, 0], ("1 - CE-loss score\n(lower is better)", SHORT_NAMES["l0"]), strict=True):
        axis.set_ylabel(name)
        axis.set_ylim(0, 1.08 * max(axis.get_ylim()[1], 1e-9))
        axis.grid(axis="x", visible=False)
        for edge in range(len(there) - 1):
            axis.axvline(edge + 0.5, color="#e4e4e4", linewidth=1)
    panels[1, 0].set_xticks(range(len(there)), [str(layer) for layer in there])
    panels[1, 0].set_xlabel("layer")
    legend(figure, panels)
    figure.suptitle(f"Means over {band_note(final, 'lines')}.", fontsize=9.5, wrap=True)
    return figure


def _draw_ends(
    axis: Axes, rows: pd.DataFrame, layers: list[int], shift: float, arm: str, left_over: bool = False
) -> None:
    """An arm's means as points beside those of the other arms, intervals as lines."""
    half = half_widths(rows)
    mean, half = (1 - rows["mean"], half[::-1]) if left_over else (rows["mean"], half)
    axis.errorbar(rows["act_layer"].map(layers.index) + shift, mean, half, elinewidth=1.4, markersize=5,
                  **look(arm) | {"linestyle": ""})  # fmt: skip
