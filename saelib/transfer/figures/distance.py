"""Figures of how far a map carries an SAE: scores against the layer, and against scratch at equal L0.

In: tables of `transfer.depth`. Out: figures. The colour and the marker say how the SAE came to its layer, the line how
long its source was trained.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from saelib.results.figures import PALETTE, figure, figure_legend, log_ticks, new_figure
from saelib.results.text import thousands
from saelib.transfer.depth.groups import SHARE
from saelib.transfer.depth.wording import ARM_NAMES
from saelib.transfer.figures.style import band_note, half_widths

COLOURS = {"scratch": PALETTE["black"], "copy": PALETTE["blue"], "affine": PALETTE["green"],
           "tuned": PALETTE["vermilion"], "group": PALETTE["purple"]}  # fmt: skip
MARKERS = {"scratch": "D", "copy": "o", "affine": "s", "tuned": "^", "group": "P"}
LINES = ("-", "--", ":", "-.")  # the longest training first
PANELS = {
    "ce_score": "CE-loss score (1: nothing lost)",
    SHARE: "objective\n(predicting the mean: 1)",
    "explained_variance": "explained variance",
    "l0": "L0 (active features per token)",
    "dead_latents": "share of features that fire\non none of {tokens} scored tokens",
}
COMPARED = {"loss_ratio": ("held-out objective / scratch's", 1.0),
            "ce_score": ("CE-loss score minus scratch's at equal L0", 0.0)}  # fmt: skip
ROOM = 0.25  # of what mapped and scratch SAEs span, beyond which an axis shows no copy
COLUMNS = 3
POINTS = ("tuned", "group")  # arms at a few layers: a line between them would say more than was measured
A_DECADE = 10


@figure("map_distance", "One trained layer, read at every other layer: as it is, by an affine map, and beside scratch")
def map_distance(curves: pd.DataFrame, maps: pd.DataFrame, eval_tokens: int) -> Figure:
    """Scores of each arm at each layer, and the fit of the maps.

    Args:
        curves: `compare.distance_curves` of all of `PANELS`.
        maps: `depth_maps.parquet`.
        eval_tokens: that were scored.
    """
    drawn, panels = new_figure(11, 6.2, nrows=2, ncols=COLUMNS, sharex=True)
    for axis, (metric, title) in zip(panels.ravel(), PANELS.items(), strict=False):
        table = curves[curves["metric"] == metric]
        _lines(axis, table, "act_layer")
        _focus(axis, table, log=metric in ("l0", SHARE))
        axis.set_title(title.format(tokens=f"{eval_tokens:,}"))
    _fits(panels[-1, -1], maps)
    source = int(curves.loc[curves["distance"] == 0, "act_layer"].iloc[0])
    for axis in panels.ravel():
        axis.axvline(source, color=PALETTE["grey"], linewidth=1, zorder=0)
    for axis in panels[-1]:
        axis.set_xlabel(f"layer that is read (source: {source})")
        axis.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    figure_legend(drawn, panels, ARM_NAMES.values(), columns=4)
    drawn.suptitle(f"Means over {band_note(curves)}, layer by layer; of features that fire on none, over replicates "
                   "alone.\nCopies may lie off the axes.", fontsize=9.5, wrap=True)  # fmt: skip
    return drawn


@figure("map_against_scratch", "A carried SAE beside scratch SAEs of its layer: the objective, and at equal L0")
def map_against_scratch(ratios: pd.DataFrame, gaps: pd.DataFrame) -> Figure:
    """Objective over scratch's, and the difference of CE-loss scores at equal L0, against distance.

    Args:
        ratios: `compare.objective_ratios`.
        gaps: `compare.equal_l0`; may be empty.
    """
    told = pd.concat([ratios, gaps]) if len(gaps) else ratios
    there = {metric: words for metric, words in COMPARED.items() if metric in set(told["metric"])}
    drawn, panels = new_figure(5 * len(there) + 1, 4, ncols=len(there))
    for axis, (metric, (title, level)) in zip(panels[0], there.items(), strict=True):
        table = told[(told["metric"] == metric) & (told["distance"] != 0)]
        _lines(axis, table, "distance", bars=True)
        axis.axhline(level, color=PALETTE["black"], linewidth=1.1, linestyle=":", zorder=0)
        _focus(axis, table, log=metric == "loss_ratio")
        axis.set_title(title)
        axis.set_xlabel("layers from the source (below 0: towards the input)")
        axis.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    figure_legend(drawn, panels, ARM_NAMES.values(), columns=4)
    drawn.suptitle(f"Means over {band_note(ratios, 'bars')}. Dotted: scratch. Copies may lie off the axes.",
                   fontsize=9.5, wrap=True)  # fmt: skip
    return drawn


@figure(
    "depth_frontier", "CE-loss score against L0, layer by layer: scratch SAEs at several λ, and what was carried there"
)
def depth_frontier(evaluation: pd.DataFrame) -> Figure:
    """Means over replicates at the longest training, a panel for each layer with scratch SAEs.

    Args:
        evaluation: `depth.parquet`.
    """
    ends = evaluation[evaluation["budget"] == evaluation["budget"].max()]
    keys = ["arm", "act_layer", "distance", "l1_multiple"]
    means = ends.groupby(keys, as_index=False)[["l0", "ce_score"]].mean()
    layers = sorted(means.loc[means["arm"] == "scratch", "act_layer"].unique())
    rows = -(-len(layers) // COLUMNS)
    drawn, panels = new_figure(11, 2.9 * rows + 0.8, nrows=rows, ncols=COLUMNS)
    for axis in panels.ravel()[len(layers) :]:
        axis.set_visible(False)
    for axis, layer in zip(panels.ravel(), layers, strict=False):
        table = means[means["act_layer"] == layer].sort_values("l0")
        for arm in [arm for arm in ARM_NAMES if arm in set(table["arm"])]:
            mine = table[table["arm"] == arm]
            line = "-" if arm == "scratch" else ""
            axis.plot(mine["l0"], mine["ce_score"], markersize=6, **_look(arm) | {"linestyle": line})
        axis.set_xscale("log")
        _plain_ticks(axis.xaxis, *axis.get_xlim())
        axis.set_title(f"layer {layer} ({table['distance'].iloc[0]:+d})")
        axis.set_xlabel("L0 (active features per token)")
    for axis in panels[:, 0]:
        axis.set_ylabel("CE-loss score")
    figure_legend(drawn, panels, ARM_NAMES.values(), columns=4)
    drawn.suptitle(f"Means over {len(ends[['seed', 'data_seed']].drop_duplicates())} replicates; source and scratch "
                   f"trained on {thousands(ends['budget'].max())} tokens.", fontsize=9.5, wrap=True)  # fmt: skip
    return drawn


def _look(arm: str) -> dict[str, Any]:
    return {"color": COLOURS[arm], "marker": MARKERS[arm], "label": ARM_NAMES[arm]}


def _lines(axis: Axes, table: pd.DataFrame, across: str, bars: bool = False) -> None:
    """A line for each arm and budget, with bands for the longest training, or with bars; shorter ones are hollow."""
    budgets = sorted(table["budget"].unique(), reverse=True)
    for budget, line in [*zip(budgets, LINES, strict=False)][::-1]:  # a legend shows what is drawn last
        fill = _fill(budget == budgets[0])
        for arm in [arm for arm in ARM_NAMES if arm in set(table["arm"])]:
            rows = table[(table["arm"] == arm) & (table["budget"] == budget)].sort_values(across)
            style = _look(arm) | {"linestyle": "" if arm in POINTS else line, "markersize": 4.5} | fill
            if bars:
                axis.errorbar(rows[across], rows["mean"], half_widths(rows), elinewidth=1, **style)
                continue
            axis.plot(rows[across], rows["mean"], **style)
            if budget == budgets[0] and arm not in POINTS:
                axis.fill_between(rows[across].astype(float), rows["low"].astype(float), rows["high"].astype(float),
                                  color=COLOURS[arm], alpha=0.15, linewidth=0)  # fmt: skip
    for budget, line in zip(budgets, LINES, strict=False):
        style = {"color": PALETTE["grey"], "marker": "o", "label": f"source trained on {thousands(budget)} tokens"}
        axis.plot([], [], linestyle=line, markersize=4.5, **style | _fill(budget == budgets[0]))


def _fill(whole: bool) -> dict[str, Any]:
    return {} if whole else {"markerfacecolor": "white"}


def _focus(axis: Axes, table: pd.DataFrame, log: bool) -> None:
    """Limit an axis to what mapped and scratch SAEs span, and a little more: copies may lie far away."""
    if log:
        axis.set_yscale("log")
    values = table.loc[table["arm"] != "copy", ["mean", "low", "high"]].to_numpy(float)
    if not np.isnan(values).all():
        forward, back = axis.yaxis.get_transform(), axis.yaxis.get_transform().inverted()
        low, high = (float(forward.transform(end)) for end in (np.nanmin(values), np.nanmax(values)))
        room = ROOM * (high - low) or 0.1
        bottom, top = axis.get_ylim()
        axis.set_ylim(max(bottom, float(back.transform(low - room))), min(top, float(back.transform(high + room))))
    if log:
        _plain_ticks(axis.yaxis, *axis.get_ylim())


def _plain_ticks(axis: Axis, low: float, high: float) -> None:
    """Plain numbers on a logarithmic axis, however little of it is seen."""
    log_ticks(axis)
    if high < A_DECADE * low:
        axis.set_major_locator(MaxNLocator(5, steps=(1, 2, 2.5, 5, 10)))
        axis.set_minor_locator(NullLocator())


def _fits(axis: Axes, maps: pd.DataFrame) -> None:
    means = maps.groupby("act_layer")[["r2", "r2_back"]].mean()
    style = {"color": COLOURS["affine"], "markersize": 4}
    axis.plot(means.index, means["r2"], marker="s", label="R² from source to layer", **style)
    axis.plot(means.index, means["r2_back"], marker="v", linestyle="--", label="R² from layer to source", **style)
    axis.set_title("fit of the map (R² on held-out tokens)")
