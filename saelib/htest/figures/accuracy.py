"""Figures of H-Test accuracies: task by model, over a family's sizes, and over fine-tuning.

In: an `accuracy_table`, or the learning curves of fine-tuning. Out: figures. Every figure shows the line of guessing.
"""

import math
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saelib.htest.config import CONTROL
from saelib.htest.figures.style import (
    EDGE_COLOUR,
    MEAN_COLOUR,
    TASK_COLOUR,
    as_percent,
    chance_line,
    chosen_rows,
    share_axis,
    shown_model,
)
from saelib.htest.scoring.accuracy import in_order, mean_over_tasks
from saelib.htest.scoring.names import shown_task
from saelib.htest.scoring.tables import MEAN
from saelib.results.figures import PALETTE, figure, figure_legend, ink_by_luminance, new_figure

MEANS = {"accuracy": f"accuracy, {MEAN} (95%)", "auroc": f"AUROC, {MEAN} (95%)"}


@figure("htest_accuracy_heat_map", "H-Test accuracy by task and model, with controls and the mean of the tasks")
def accuracy_heat_map(table: pd.DataFrame, reader: str = "strict", columns: str = "model") -> Figure:
    """Accuracy by task and model, with the mean of the tasks beneath; white is guessing, blue better, red worse.

    Args:
        columns: what stands side by side; controls are set apart.
    """
    rows = chosen_rows(table, reader, ["task", columns])
    names = sorted(dict.fromkeys(rows[columns]), key=lambda name: str(name).startswith(CONTROL))
    matrix = rows.pivot(index="task", columns=columns, values="accuracy").loc[in_order(rows["task"]), names]
    matrix.loc[MEAN] = matrix.mean(skipna=False)
    shown = [shown_model(str(name)) for name in names]
    slanted = max(map(len, shown)) > 11
    size = (2.6 + 0.92 * len(names), 0.36 * len(matrix) + 1.3)
    figure, panels = new_figure(*((max(size[0], 6.0), size[1] + 1) if slanted else size))
    axis = panels[0, 0]
    sns.heatmap(matrix, ax=axis, vmin=0, vmax=1, cmap="RdBu", annot=True, fmt=".2f", annot_kws={"size": 9.5},
                xticklabels=False, yticklabels=False, linewidths=0.6, linecolor="white",
                cbar_kws={"label": "accuracy", "shrink": 0.8, "format": as_percent})  # fmt: skip
    ink_by_luminance(axis)
    axis.axhline(len(matrix) - 1, color=EDGE_COLOUR, linewidth=1.5)
    if 0 < (models := sum(not str(name).startswith(CONTROL) for name in names)) < len(names):
        axis.axvline(models, color=EDGE_COLOUR, linewidth=1.5)
    axis.set_yticks(np.arange(len(matrix)) + 0.5, [*map(shown_task, matrix.index)])
    axis.set_xticks(np.arange(len(names)) + 0.5, shown, rotation=25 if slanted else 0,
                    ha="right" if slanted else "center", rotation_mode="anchor" if slanted else "default")  # fmt: skip
    axis.set(
        xlabel="" if columns == "model" else {"k": "shots", "item_set": "set of items"}.get(columns, columns), ylabel=""
    )
    axis.tick_params(length=0)
    axis.grid(False)
    return figure


@figure("htest_family", "Mean H-Test accuracy and AUROC of the margin of each model of a family with 95% intervals")
def family(table: pd.DataFrame, reader: str = "strict") -> Figure:
    """Mean accuracy of each model with its 95% interval, in the order of the table; small dots beside it are tasks.

    Beside each stands the AUROC of its margin, where it has one: what it knows, whichever letter it prefers.
    """
    rows = chosen_rows(table, reader, ["model", "task"])
    names = list(dict.fromkeys(rows["model"]))
    figure, panels = new_figure(max(5.4, 1.0 + 1.05 * len(names)), 3.6)
    axis, means = panels[0, 0], []
    for place, name in enumerate(names):
        of_model = rows[rows["model"] == name]
        beside = np.linspace(-0.42, -0.24, len(of_model))  # none beneath the mean's value, which stands above it
        axis.plot(place + beside, of_model["accuracy"], ".", color=TASK_COLOUR, label="accuracy in one task")
        means.append(_mean_point(axis, place - 0.06, of_model, "accuracy", {"color": MEAN_COLOUR, "marker": "o"}))
        if of_model["auroc"].notna().all():
            style = {"color": PALETTE["orange"], "marker": "D", "markerfacecolor": "white"}
            means.append(_mean_point(axis, place + 0.26, of_model, "auroc", style))
    chance_line(axis)
    axis.set_xlim(-0.5, len(names) - 0.4)
    axis.set_xticks(range(len(names)), [shown_model(name).replace("-", "-\n", 1) for name in names])
    axis.grid(axis="x", visible=False)
    label = "accuracy, or AUROC of the margin" if len(means) > len(names) else "accuracy"
    share_axis(panels, pd.concat([rows["accuracy"], *means]), label)
    figure_legend(figure, panels, columns=2)
    return figure


def _mean_point(axis: Axes, place: float, rows: pd.DataFrame, value: str, style: dict[str, Any]) -> pd.Series:
    """The mean over tasks with its interval and its number above; returns what is drawn."""
    mean = mean_over_tasks(rows, [], value).iloc[0][["mean", "low", "high"]].astype(float)
    reach = [[mean["mean"] - mean["low"]], [mean["high"] - mean["mean"]]]
    axis.errorbar(place, mean["mean"], reach, markersize=6.5, linewidth=2, capsize=4, label=MEANS[value], **style)
    axis.annotate(f"{mean['mean']:.2f}", (place, mean["high"]), xytext=(0, 5), textcoords="offset points", va="bottom",
                  ha="center", bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})  # fmt: skip
    return mean


@figure("htest_fine_tuning", "H-Test accuracy over training items seen in fine-tuning, by task and probe")
def learning_curves(curve: pd.DataFrame) -> Figure:
    """Accuracy over training items seen, task by task and for their mean, one line for each set of probes.

    Args:
        curve: learning curves of all tasks with the columns task, probe, items_seen and accuracy.
    """
    mean = curve.groupby(["probe", "items_seen"], sort=False)["accuracy"].mean().reset_index().assign(task=MEAN)
    tasks = in_order(curve["task"])
    rows = pd.concat([curve, mean], ignore_index=True)
    wide = min(4, len(tasks) + 1)
    tall = math.ceil((len(tasks) + 1) / wide)
    figure, panels = new_figure(2.4 * wide, 1.85 * tall + 0.4, nrows=tall, ncols=wide, sharex=True, sharey=True)
    colours = dict(zip(dict.fromkeys(curve["probe"]), sns.color_palette("colorblind"), strict=False))
    for axis, task in zip(panels.ravel(), [*tasks, MEAN], strict=False):
        for probe, colour in colours.items():
            line = rows[(rows["task"] == task) & (rows["probe"] == probe)].sort_values("items_seen")
            axis.plot(line["items_seen"], line["accuracy"], color=colour, marker=".", label=probe,
                      linewidth=2.4 if task == MEAN else 1.6)  # fmt: skip
        chance_line(axis)
        axis.set_title(shown_task(task))
        axis.set_xlim(left=0)
    shown, hidden = panels.ravel()[: len(tasks) + 1], panels.ravel()[len(tasks) + 1 :]
    for axis in hidden:
        axis.set_visible(False)
    share_axis(panels, rows["accuracy"])
    for axis in shown[-wide:]:  # the lowest of each column, which need not be in the last row
        axis.tick_params(labelbottom=True)
    for axis in panels[-1]:
        axis.set_xlabel("training items seen")
    figure_legend(figure, panels)
    return figure
