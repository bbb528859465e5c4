"""Figures of how transfers start: the maps between layers, how far away a source may be, and two schedules.

In: `maps.parquet`, and tables of `transfer.convergence` and `transfer.savings`. Out: figures.
"""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, PercentFormatter

from saelib.results.figures import PALETTE, figure, figure_label, new_figure
from saelib.transfer.directions import DIRECTIONS, parse_arm, transfer_arms
from saelib.transfer.figures.style import (
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
    tokens_axis,
)
from saelib.transfer.targets import TARGET_NAMES, TARGETS
from saelib.transfer.wording import SHORT_NAMES, direction_label


@figure("map_fit", "How well one layer predicts the next, and how good a mapped SAE is before any training")
def map_fit(maps: pd.DataFrame, layer_curves: pd.DataFrame) -> Figure:
    """R2 of each map on held-out tokens, and the objective at 0 tokens by the start: one row for each direction.

    Args:
        maps: rows of `maps.parquet`.
        layer_curves: `convergence.layer_curves` of "loss_ratio".
    """
    starts = layer_curves[(layer_curves["metric"] == "loss_ratio") & (layer_curves["tokens"] == 0)]
    figure, panels = new_figure(9.6, 5.8, nrows=len(DIRECTIONS), ncols=2, sharex=True, sharey="col")
    for (fits, objectives), direction in zip(panels, DIRECTIONS, strict=True):
        arms = [arm for arm in transfer_arms(starts) if arm.startswith(direction)]
        for arm in arms:
            _draw_fits(fits, maps, arm)
            rows = starts[starts["arm"] == arm].sort_values("act_layer")
            objectives.errorbar(rows["act_layer"], rows["mean"], half_widths(rows), markersize=5, **look(arm))
        objectives.axhline(1, color=PALETTE["black"], linestyle="--", linewidth=1.1, label="finished scratch")
        fits.set_ylabel(direction_label(direction))
    panels[0, 0].set_title("R² of the map, source to target\n(held-out tokens of the fit)")
    panels[0, 1].set_title("held-out objective before any training\n(finished scratch: 1)")
    panels[0, 1].set_yscale("log")
    panels[0, 1].yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5)))
    panels[0, 1].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    panels[0, 1].yaxis.set_minor_formatter("")
    for axis in panels[-1]:
        axis.set_xlabel("target layer")
        axis.set_xticks(sorted(layer_curves["act_layer"].unique()))
    legend(figure, panels)
    figure.suptitle(f"Means over {band_note(starts, 'lines')}.", fontsize=9.5, wrap=True)
    return figure


def _draw_fits(axis: Axes, maps: pd.DataFrame, arm: str) -> None:
    """R2 by target layer of the maps that an arm starts from; a copy has none."""
    parsed = parse_arm(arm)
    if parsed is None or parsed.start == "copy":
        return
    layers = sorted({*maps["source_layer"], *maps["act_layer"]})
    apart = maps["source_layer"].map(layers.index) - maps["act_layer"].map(layers.index)
    means = maps[(maps["start"] == parsed.start) & (apart == parsed.offset)].groupby("act_layer")["r2"].mean()
    axis.plot(means.index, means, markersize=5, **look(arm))


@figure("distances", "Tokens saved by transfers from one, two and three layers away, by start")
def distances(saved: pd.DataFrame) -> Figure:
    """Mean savings over the distance of the source, for each direction (row) and target (column).

    Args:
        saved: `savings` of a run with several distances.
    """
    targets, directions = [target for target in TARGETS if target in set(saved["target"])], directions_of(saved)
    figure, panels = new_figure(9.6, 2.3 * len(directions) + 1, nrows=len(directions), ncols=len(targets), sharex=True,
                                sharey=True)  # fmt: skip
    for row, direction in zip(panels, directions, strict=True):
        for axis, target in zip(row, targets, strict=True):
            chosen = saved[(saved["direction"] == direction) & (saved["target"] == target)].sort_values("distance")
            for _, rows in chosen.groupby("start", sort=False):
                style = look(nearest(rows)["arm"].iloc[0]) | {"linestyle": "-"}
                axis.errorbar(rows["distance"], rows["mean"], half_widths(rows), markersize=5, **style)
            axis.axhline(0, color=PALETTE["grey"], linewidth=1)
            axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
            axis.set_title(f"target: {TARGET_NAMES[target]}" if direction == directions[0] else "")
        row[0].set_ylabel(f"{direction}\nshare of tokens saved")
    for axis in panels[-1]:
        axis.set_xlabel("distance of the source (1: a neighbour)")
        axis.set_xticks(sorted(saved["distance"].unique()))
    legend(figure, panels)
    figure.suptitle(f"Means over layers and {band_note(saved, 'lines')}.", fontsize=9.5, wrap=True)
    return figure


@figure("schedules", "The same transfers under two schedules: every budget decayed, and one decay at the end")
def schedules(curves: Mapping[str, pd.DataFrame], metric: str = "loss_ratio") -> Figure:
    """Objective over new tokens under each schedule (column) and direction (row).

    Args:
        curves: `average_curves` of the metric, by what the schedule is called.
    """
    curves = {title: nearest(table[table["metric"] == metric]) for title, table in curves.items()}
    directions = directions_of(next(iter(curves.values())))
    figure, panels = new_figure(4.8 * len(curves), 2.7 * len(directions) + 1, nrows=len(directions), ncols=len(curves),
                                sharex="col", sharey="row")  # fmt: skip
    for row, direction in zip(panels, directions, strict=True):
        of_direction = {title: table[table["direction"] == direction] for title, table in curves.items()}
        focus(row[0], pd.concat(of_direction.values()))
        for axis, (title, table) in zip(row, of_direction.items(), strict=True):
            level_line(axis, last_level(table))
            for arm in arms_of(table):
                band(axis, table[table["arm"] == arm], arm)
            tokens_axis(axis, table["tokens"].max(), label=direction == directions[-1])
            if direction == directions[0]:
                axis.set_title(f"{figure_label(title)}\n{band_note(table).partition(' (')[0]}", fontsize=9.5, wrap=True)
        row[0].set_ylabel(f"{direction}\n{SHORT_NAMES[metric]}")
    legend(figure, panels)
    return figure
