"""Figures of H-Test accuracies: task by model, over shots, over a family's sizes, and over fine-tuning.

In: an `accuracy_table`, or the learning curves of fine-tuning. Out: figures. Every figure shows the line of guessing.
"""

import math

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
    shown_model,
)
from saelib.htest.scoring.accuracy import in_order, mean_over_tasks
from saelib.htest.scoring.names import shown_task
from saelib.htest.scoring.tables import MEAN
from saelib.results.figures import figure, figure_legend, ink_by_luminance, new_figure


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


@figure("htest_shots", "H-Test accuracy over the number of shots, each task and their mean with its 95% interval")
def shots(table: pd.DataFrame, reader: str = "strict") -> Figure:
    """Accuracy over the number of shots: a thin line for each task, a thick one for their mean; one panel per model."""
    rows = chosen_rows(table, reader, ["model", "k", "task"])
    means = mean_over_tasks(rows, ["model", "k"]).sort_values("k")
    models = list(dict.fromkeys(rows["model"]))
    wide = min(4, len(models))
    size = (max(5.4, 3.2 * wide), 3.3 * math.ceil(len(models) / wide) + 0.3)
    figure, panels = new_figure(*size, nrows=math.ceil(len(models) / wide), ncols=wide, sharex=True, sharey=True)
    for axis, model in zip(panels.ravel(), models, strict=False):
        for _, task in rows[rows["model"] == model].sort_values("k").groupby("task"):
            axis.plot(task["k"], task["accuracy"], color=TASK_COLOUR, linewidth=0.9, marker=".", label="one task")
        _draw_mean(axis, means[means["model"] == model].set_index("k"))
        chance_line(axis)
        axis.set(title=shown_model(model), xticks=sorted(rows["k"].unique()))
    for axis in panels[-1]:
        axis.set_xlabel("shots")
    for axis in panels.ravel()[len(models) :]:
        axis.set_visible(False)
    _share_axis(panels, rows["accuracy"])
    figure_legend(figure, panels)
    return figure


def _draw_mean(axis: Axes, means: pd.DataFrame) -> None:
    axis.fill_between(means.index, means["low"], means["high"], color=MEAN_COLOUR, alpha=0.25, linewidth=0)
    axis.plot(means.index, means["mean"], color=MEAN_COLOUR, linewidth=2.4, marker="o", label=f"{MEAN} (band: 95%)")


def _share_axis(panels: np.ndarray, values: pd.Series) -> None:
    """An axis of accuracies that holds all values and some room around guessing."""
    panels[0, 0].set_ylim(min(0.35, values.min() - 0.04), max(0.65, values.max() + 0.04))
    for axis in panels[:, 0]:
        axis.set_ylabel("accuracy")
        axis.yaxis.set_major_formatter(as_percent)


@figure("htest_family", "Mean H-Test accuracy of each model of a family with its 95% interval")
def family(table: pd.DataFrame, reader: str = "strict") -> Figure:
    """Mean accuracy of each model with its 95% interval, in the order of the table; small dots beside it are tasks."""
    rows = chosen_rows(table, reader, ["model", "task"])
    means = mean_over_tasks(rows, ["model"])
    figure, panels = new_figure(max(5.4, 1.0 + 1.05 * len(means)), 3.6)
    axis = panels[0, 0]
    for place, mean in enumerate(means.itertuples()):
        tasks = rows.loc[rows["model"] == mean.model, "accuracy"]
        beside = np.linspace(-0.42, -0.2, len(tasks))  # none beneath the mean's value, which stands above its interval
        axis.plot(place + beside, tasks, ".", color=TASK_COLOUR, label="one task")
        reach = [[mean.mean - mean.low], [mean.high - mean.mean]]
        axis.errorbar(place, mean.mean, reach, color=MEAN_COLOUR, marker="o", markersize=7, linewidth=2, capsize=4,
                      label=f"{MEAN} (95%)")  # fmt: skip
        axis.annotate(f"{mean.mean:.2f}", (place, mean.high), xytext=(0, 5), textcoords="offset points", va="bottom",
                      ha="center", bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})  # fmt: skip
    chance_line(axis)
    axis.set_xlim(-0.5, len(means) - 0.4)
    axis.set_xticks(range(len(means)), [shown_model(model).replace("-", "-\n", 1) for model in means["model"]])
    axis.grid(axis="x", visible=False)
    _share_axis(panels, rows["accuracy"])
    figure_legend(figure, panels)
    return figure


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
    _share_axis(panels, rows["accuracy"])
    for axis in shown[-wide:]:  # the lowest of each column, which need not be in the last row
        axis.tick_params(labelbottom=True)
    for axis in panels[-1]:
        axis.set_xlabel("training items seen")
    figure_legend(figure, panels)
    return figure
