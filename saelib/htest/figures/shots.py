"""Figures of the shots before a question: how many there are, and in which order.

In: an `accuracy_table`. Out: figures of accuracy and, where there are margins, of AUROC.
"""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saelib.htest.figures.style import (
    CHANCE_COLOUR,
    EDGE_COLOUR,
    MEAN_COLOUR,
    TASK_COLOUR,
    as_percent,
    chance_line,
    chosen_rows,
    share_axis,
    shown_model,
    task_axis,
)
from saelib.htest.scoring.accuracy import in_order, mean_over_tasks
from saelib.htest.scoring.tables import MEAN
from saelib.results.figures import PALETTE, figure, figure_legend, new_figure

VALUES = {"accuracy": "accuracy", "auroc": "AUROC of the margin"}
MOST = 4  # panels side by side


@figure("htest_shots", "H-Test accuracy and AUROC of the margin over the number of shots, by task and their mean (95%)")
def shots(table: pd.DataFrame, reader: str = "strict") -> Figure:
    """Accuracy, and beneath it AUROC, over the number of shots: thin for a task, thick for their mean.

    One panel for each model; where no model has margins, accuracy alone.
    """
    rows = chosen_rows(table, reader, ["model", "k", "task"])
    models, values = list(dict.fromkeys(rows["model"])), _there(rows)
    wide = min(MOST, len(models))
    bands = math.ceil(len(models) / wide)  # of panels, for each value
    size = (max(5.4, 3.2 * wide), 2.7 * bands * len(values) + 0.9)
    figure, panels = new_figure(*size, nrows=bands * len(values), ncols=wide, sharex=True, sharey="row")
    for row, value in enumerate(values):
        band = panels[row * bands : (row + 1) * bands]
        for axis, model in zip(band.ravel(), models, strict=False):
            _draw_shots(axis, rows[rows["model"] == model].sort_values("k"), value)
            axis.set(title=shown_model(model), xticks=sorted(rows["k"].unique()))
        for axis in band.ravel()[len(models) :]:
            axis.set_visible(False)
        share_axis(band, pd.concat([rows[name] for name in values]), VALUES[value])
    for axis in panels[-1]:
        axis.set_xlabel("shots")
    figure_legend(figure, panels)
    return figure


def _there(rows: pd.DataFrame) -> list[str]:
    """Accuracy, and AUROC where it is known of anyone."""
    return [value for value in VALUES if rows[value].notna().any()]


def _draw_shots(axis: Axes, rows: pd.DataFrame, value: str) -> None:
    chance_line(axis)
    for _, task in rows.groupby("task"):
        axis.plot(task["k"], task[value], color=TASK_COLOUR, linewidth=0.9, marker=".", label="one task")
    if rows[value].notna().all():  # a mean over some tasks is another number
        means = mean_over_tasks(rows, ["k"], value).set_index("k")
        axis.fill_between(means.index, means["low"], means["high"], color=MEAN_COLOUR, alpha=0.25, linewidth=0)
        axis.plot(means.index, means["mean"], color=MEAN_COLOUR, linewidth=2.4, marker="o", label=f"{MEAN} (band: 95%)")


@figure("htest_shot_orders", "H-Test accuracy and AUROC of the margin with other draws and orders of shots, by task")
def shot_orders(table: pd.DataFrame, reader: str = "strict") -> Figure:
    """How far accuracy and AUROC move with the order of the shots: a tick for each draw, a ring for the released order.

    Args:
        table: with the column `shuffle_seed`, empty for the released order; of one model and number of shots.
    """
    rows = chosen_rows(table, reader, ["shuffle_seed", "task"])
    values, tasks = _there(rows), [*in_order(rows["task"]), MEAN]
    figure, panels = new_figure(4.4 + 3 * (len(values) - 1), 0.4 * len(tasks) + 1.4, ncols=len(values), sharey=True)
    for axis, value in zip(panels[0], values, strict=True):
        by_order = rows.pivot(index="task", columns="shuffle_seed", values=value)
        by_order.loc[MEAN] = by_order.mean(skipna=False)
        _draw_orders(axis, by_order.loc[tasks])
        chance_line(axis, across=False)
        axis.axhline(len(tasks) - 1.5, color=EDGE_COLOUR, linewidth=1)
        axis.set(xlabel=VALUES[value], xlim=(min(0.35, rows[value].min() - 0.04), max(0.65, rows[value].max() + 0.04)))
        task_axis(axis, tasks)
    for axis in panels[0][:1]:
        axis.xaxis.set_major_formatter(as_percent)
    figure_legend(figure, panels)
    return figure


def _draw_orders(axis: Axes, by_order: pd.DataFrame) -> None:
    """One row for each task, from the lowest to the highest of the draws."""
    places = np.arange(len(by_order))
    shuffled = by_order.loc[:, by_order.columns.notna()]
    released = by_order.loc[:, by_order.columns.isna()]
    if shuffled.shape[1]:
        axis.hlines(places, shuffled.min(axis=1), shuffled.max(axis=1), color=CHANCE_COLOUR, linewidth=1)
    for seed in shuffled:
        axis.plot(shuffled[seed], places, "|", color=PALETTE["blue"], markersize=11, markeredgewidth=1.5,
                  label="shuffled shots, one draw each")  # fmt: skip
    for seed in released:
        axis.plot(released[seed], places, "o", color=PALETTE["orange"], markerfacecolor="white", markersize=7,
                  markeredgewidth=1.6, label="released order")  # fmt: skip
