"""Figures of what transfers save: a point for each SAE, and their mean with its interval.

In: tables of `transfer.savings`. Out: figures. A hollow point never arrives within its budget; it stands where
the whole budget would put it.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from saelib.results.figures import PALETTE, figure, new_figure
from saelib.transfer.directions import DIRECTIONS, transfer_arms
from saelib.transfer.figures.style import band_note, directions_of, look, nearest
from saelib.transfer.targets import TARGET_NAMES, TARGETS
from saelib.transfer.wording import arm_label, interval_text

MEAN = {"marker": "D", "markersize": 6, "linestyle": "", "markeredgecolor": PALETTE["black"], "markeredgewidth": 1.2}
HOLLOW = {"marker": "o", "markersize": 5, "linestyle": "", "color": PALETTE["grey"], "markerfacecolor": "white"}
LEAST_SHOWN = -1.0  # savings below are drawn at the edge of the axis


@figure("savings", "Share of scratch's tokens that each transfer saves until it reaches three targets, point by point")
def savings(needed: pd.DataFrame, saved: pd.DataFrame) -> Figure:
    """Savings of every SAE under each target, one row for each arm, with the mean and its interval above the points.

    Args:
        needed: `tokens_to_target`.
        saved: `savings`.
    """
    needed, saved = nearest(needed), nearest(saved)
    targets, arms = [target for target in TARGETS if target in set(saved["target"])], transfer_arms(saved)
    figure, panels = new_figure(9.6, 0.75 * len(arms) + 1.5, ncols=len(targets), sharex=True, sharey=True)
    for axis, target in zip(panels[0], targets, strict=True):
        for place, arm in enumerate(arms):
            row = saved[(saved["target"] == target) & (saved["arm"] == arm)].iloc[0]
            points = needed[(needed["target"] == target) & (needed["arm"] == arm)].sort_values(["act_layer", "seed"])
            _draw_points(axis, points["saving"], points["arrived"], place + np.linspace(0.1, 0.4, len(points)), arm)
            _draw_mean(axis, row, place - 0.03, arm)
            words = f"{interval_text(row, percent=True)}; {row['arrived']:.0f} of {len(points)} arrive"
            axis.text(0.5, place - 0.25, words, transform=axis.get_yaxis_transform(), fontsize=8.5, ha="center",
                      va="center")  # fmt: skip
        axis.set(title=f"target: {TARGET_NAMES[target]}", xlabel="share of tokens saved")
    _saving_axis(panels, needed, saved)
    panels[0, 0].set_yticks([place + 0.1 for place in range(len(arms))], [arm_label(arm) for arm in arms])
    panels[0, 0].set_ylim(len(arms) - 0.4, -0.45)
    _explain(figure, saved, "; an arm's points lie from the first layer (top) to the last")
    return figure


@figure("savings_by_layer", "Share of scratch's tokens that transfers save, layer by layer, under three targets")
def savings_by_layer(needed: pd.DataFrame, by_layer: pd.DataFrame) -> Figure:
    """Savings over layers: one row for each direction, one column for each target; a point for each replicate.

    Args:
        needed: `tokens_to_target`.
        by_layer: `savings_by_layer`.
    """
    needed, by_layer = nearest(needed), nearest(by_layer)
    targets, directions = [target for target in TARGETS if target in set(by_layer["target"])], directions_of(by_layer)
    layers = sorted(by_layer["act_layer"].unique())
    figure, panels = new_figure(9.6, (0.33 * len(layers) + 0.75) * len(directions) + 0.8, nrows=len(directions),
                                ncols=len(targets), sharex=True, sharey=True)  # fmt: skip
    for row, direction in zip(panels, directions, strict=True):
        for axis, target in zip(row, targets, strict=True):
            for place, means, points in _layers_of(needed, by_layer, direction, target):
                arm = str(means["arm"])
                height = layers.index(means["act_layer"]) + place
                _draw_points(axis, points["saving"], points["arrived"], np.full(len(points), height), arm)
                _draw_mean(axis, means, height, arm)
            _say_who_lacks_a_source(axis, by_layer[by_layer["direction"] == direction], layers, direction)
            axis.set_title(f"target: {TARGET_NAMES[target]}" if direction == directions[0] else "")
        row[0].set_ylabel(f"{direction}\nlayer")
    for axis in panels[-1]:
        axis.set_xlabel("share of tokens saved")
    _saving_axis(panels, needed, by_layer)
    panels[0, 0].set_yticks(range(len(layers)), [str(layer) for layer in layers])
    panels[0, 0].set_ylim(len(layers) - 0.4, -0.6)
    _explain(figure, by_layer)
    return figure


def _say_who_lacks_a_source(axis: Axes, of_direction: pd.DataFrame, layers: list[int], direction: str) -> None:
    """In the empty line of a layer that has no neighbour on that side, why it is empty."""
    word = "before" if DIRECTIONS[direction] < 0 else "after"
    for layer in sorted({*layers} - {*of_direction["act_layer"]}):
        axis.text(0.5, layers.index(layer), f"no layer {word} it", transform=axis.get_yaxis_transform(), ha="center",
                  va="center", fontsize=8.5, color="#606060")  # fmt: skip


def _layers_of(needed: pd.DataFrame, by_layer: pd.DataFrame, direction: str, target: str) -> Iterator[
    tuple[float, pd.Series, pd.DataFrame]
]:  # fmt: skip
    """For each arm of a direction and each layer: its place beside the other arms, the means, and the points."""
    chosen = by_layer[(by_layer["direction"] == direction) & (by_layer["target"] == target)]
    arms = transfer_arms(chosen)
    for place, arm in zip(0.3 * (np.arange(len(arms)) - (len(arms) - 1) / 2), arms, strict=True):
        for _, means in chosen[chosen["arm"] == arm].iterrows():
            same = (needed["arm"] == arm) & (needed["target"] == target) & (needed["act_layer"] == means["act_layer"])
            yield float(place), means, needed[same]


def _draw_points(axis: Axes, saving: pd.Series, arrived: pd.Series, heights: np.ndarray, arm: str) -> None:
    """SAEs as points: full where they arrive, hollow where they do not."""
    style = look(arm)
    for reached in arrived.unique():
        chosen = arrived.to_numpy(bool) == reached
        axis.plot(saving.to_numpy(float)[chosen].clip(min=LEAST_SHOWN), heights[chosen], linestyle="", markersize=4.5,
                  marker=style["marker"], color=style["color"], markerfacecolor=style["color"] if reached else "white",
                  alpha=0.55 if reached else 0.8, clip_on=False)  # fmt: skip


def _draw_mean(axis: Axes, row: pd.Series, height: float, arm: str) -> None:
    """A mean as an upright stroke, its interval as a line."""
    if np.isfinite(row["low"]):
        axis.hlines(height, row["low"], row["high"], color=PALETTE["black"], linewidth=1.4, zorder=4)
    axis.plot(row["mean"], height, color=look(arm)["color"], zorder=5, clip_on=False, **MEAN)


def _saving_axis(panels: np.ndarray, needed: pd.DataFrame, means: pd.DataFrame) -> None:
    """Shares from 0, or from the lowest point or bound where some are negative, to 1; no saving can be more."""
    low = max(LEAST_SHOWN, float(np.nanmin([needed["saving"].min(), means["low"].min()])))
    for axis in panels.ravel():
        axis.set_xlim(min(0.0, low), 1.0)
        axis.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axis.axvline(0, color=PALETTE["grey"], linewidth=1)
        axis.grid(axis="y", visible=False)


def _explain(figure: Figure, table: pd.DataFrame, more: str = "") -> None:
    """What the marks are, beneath the panels; how many replicates and which intervals, above them."""
    full = [Line2D([], [], color=look(arm)["color"], marker=look(arm)["marker"], linestyle="")
            for arm in transfer_arms(table)]  # fmt: skip
    marks = [*full, Line2D([], [], **HOLLOW), Line2D([], [], color="white", **MEAN)]
    labels = [*map(arm_label, transfer_arms(table)), "never arrives within its budget", "mean, 95% interval"]
    figure.legend(marks, labels, loc="outside lower center", ncols=4, fontsize=9, columnspacing=1.2, handlelength=1.6)
    figure.suptitle(
        f"A point: one SAE (layer and replicate){more}.\n{band_note(table, 'lines')}.", fontsize=9.5, wrap=True
    )
