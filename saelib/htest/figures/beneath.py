"""Figures of what lies beneath an accuracy: a preferred letter, shortcuts in the items, and letter geometry.

In: rows of `readings_of`, an `accuracy_table`, or a `shortcut_table`. Out: figures.
"""

import itertools

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from saelib.htest.figures.style import (
    CHANCE_COLOUR,
    EDGE_COLOUR,
    LETTER_COLOURS,
    SET_COLOURS,
    as_percent,
    chance_line,
    chosen_rows,
    shown_model,
    task_axis,
)
from saelib.htest.scoring.accuracy import BOUNDS, check_distinct, in_order, mean_over_tasks
from saelib.htest.scoring.beneath import of_likelier, with_margins
from saelib.htest.scoring.names import GEOMETRY_CONTROLS, LONGEST, shown_items, shown_task
from saelib.htest.scoring.tables import MEAN
from saelib.htest.tasks import LETTER_GEOMETRY, LETTERS
from saelib.results.figures import PALETTE, figure, figure_label, figure_legend, new_figure

VALUES = {  # of the figure that puts ranking beside accuracy: label, colour, marker
    "accuracy": ("accuracy of the likelier letter", EDGE_COLOUR, "o"),
    "bias_free_accuracy": ("accuracy at the median margin", PALETTE["blue"], "s"),
    "auroc": ("AUROC of the margin", PALETTE["orange"], "D"),
}
BINS = 24
WIDE = 5  # panels side by side
CUTS = (
    "accuracy on test of the cut that is best on dev, the count of the model's tokens included\n"
    "(the control of the accuracy table has no tokens, which differ by model)"
)


@figure("htest_letter_bias", "Log-probability of A minus that of B for items with label A and with label B, by task")
def letter_bias(readings: pd.DataFrame) -> Figure:
    """How margins are spread over items with label A and with label B, task by task, for one condition.

    Hills that lie apart: the model knows. Both on one side of zero: it prefers that letter. Both may be true. Where
    there are several sets of items, each task has a panel for each, one above the other.

    Raises:
        ValueError: an item stands more than once, or no task has all its margins.
    """
    rows = with_margins(readings)
    if rows.empty:
        raise ValueError("no margins: the model gave no log-probabilities of A and B")
    check_distinct(rows, "the figure's table")
    numbers = of_likelier(rows).set_index(["item_set", "task"])
    tasks, sets = in_order(rows["task"]), list(dict.fromkeys(rows["item_set"]))
    wide = min(WIDE, len(tasks))
    tall = -(-len(tasks) // wide) * len(sets)
    figure, panels = new_figure(max(4.4, 1.95 * wide), 1.9 * tall + 0.6, nrows=tall, ncols=wide, sharex=True,
                                sharey=True)  # fmt: skip
    edges = np.linspace(*_reach(rows["margin"]), BINS + 1).tolist()
    for axis, (part, item_set, task) in zip(panels.ravel(), _places(tasks, sets, wide), strict=True):
        axis.set_visible((item_set, task) in numbers.index)
        if axis.get_visible():
            _draw_margins(axis, rows[(rows["task"] == task) & (rows["item_set"] == item_set)], edges)
            axis.set_title(f"{shown_task(task)}\n" if part == 0 else " ", fontsize=10)
            accuracy, auroc = numbers.loc[(item_set, task), ["accuracy", "auroc"]]
            axis.annotate(f"right {accuracy:.2f}, AUROC {auroc:.2f}", (0.5, 1), xytext=(0, 4), ha="center",
                          xycoords="axes fraction", textcoords="offset points", fontsize=8.5)  # fmt: skip
    for axis, item_set in zip(panels[:, 0], sets * (tall // len(sets)), strict=True):
        axis.set_ylabel("items" if len(sets) == 1 else figure_label(shown_items(item_set), LONGEST))
    for axis in panels[-1]:
        axis.set_xlabel("log p(A) - log p(B), nats", fontsize=9)
    figure.suptitle("Margin log p(A) - log p(B): left of the line the model says B, right of it A", fontsize=10.5)
    figure_legend(figure, panels)
    return figure


def _places(tasks: list[str], sets: list[str], wide: int) -> list[tuple[int, str, str]]:
    """What each panel shows, row by row: of so many tasks the first set, beneath them the next one; "" is none."""
    padded = [*tasks, *[""] * (-len(tasks) % wide)]
    bands = [padded[start : start + wide] for start in range(0, len(padded), wide)]
    return [(part, item_set, task) for band in bands for part, item_set in enumerate(sets) for task in band]


def _reach(margins: pd.Series) -> tuple[float, float]:
    """Ends of the axis: all margins, and zero with room on both sides."""
    low, high = min(margins.min(), 0.0), max(margins.max(), 0.0)
    room = 0.06 * max(high - low, 1e-3)
    return low - room, high + room


def _draw_margins(axis: Axes, rows: pd.DataFrame, edges: list[float]) -> None:
    """A filled hill for A and an outline for B, which can be told apart in grey."""
    for letter, colour in LETTER_COLOURS.items():
        margins = rows.loc[rows["label"] == letter, "margin"]
        filled = {"histtype": "stepfilled", "facecolor": colour, "alpha": 0.4} if letter == LETTERS[0] else {
            "histtype": "step", "edgecolor": colour, "linewidth": 1.8}  # fmt: skip
        axis.hist(margins, edges, label=f"items with label {letter}", **filled)
    axis.axvline(0, color=EDGE_COLOUR, linewidth=1.2)
    axis.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    axis.set_xlim(edges[0], edges[-1])


@figure(
    "htest_ranking", "H-Test accuracy beside the accuracy at the median margin and the AUROC of the margin, by task"
)
def accuracy_and_ranking(table: pd.DataFrame) -> Figure:
    """Accuracy, accuracy at the median margin and AUROC of each task, with 95% intervals, for one condition.

    Where the last two lie above the first, the model knows more than its letters say.
    """
    rows = chosen_rows(table, "likelier", ["task"]).set_index("task")
    rows = rows.loc[in_order(rows.index)]
    for value in VALUES:
        low, high = BOUNDS[value]
        mean = mean_over_tasks(rows.reset_index(), [], value).iloc[0]
        rows.loc[MEAN, [value, low, high]] = mean[["mean", "low", "high"]].to_numpy(float)
    figure, panels = new_figure(8.2, 0.42 * len(rows) + 1.2)
    axis = panels[0, 0]
    for shift, (value, (label, colour, marker)) in zip((-0.24, 0, 0.24), VALUES.items(), strict=True):
        low, high = BOUNDS[value]
        reach = [rows[value] - rows[low], rows[high] - rows[value]]
        axis.errorbar(rows[value], np.arange(len(rows)) + shift, xerr=reach, color=colour, marker=marker, markersize=5,
                      linestyle="", elinewidth=1.4, label=label)  # fmt: skip
    chance_line(axis, across=False)
    axis.set_xlabel("accuracy, or AUROC (bars: 95% intervals)")
    axis.axhline(len(rows) - 1.5, color=EDGE_COLOUR, linewidth=1)
    task_axis(axis, list(rows.index))
    figure_legend(figure, panels)
    return figure


@figure("htest_shortcuts", "Accuracy of the best one-threshold shortcut by task and set of items, against guessing")
def shortcuts(shortcuts: pd.DataFrame) -> Figure:
    """How far the best single cut gets on test, by set of items; the feature is named where it beats guessing.

    Args:
        shortcuts: a `shortcut_table`; of each task's features the best on dev is shown.
    """
    fitted = shortcuts.assign(order=shortcuts["dev_accuracy"].astype(float).fillna(0))
    best = fitted.sort_values("order", ascending=False, kind="stable").drop_duplicates(["item_set", "task"])
    tasks, item_sets = in_order(best["task"]), list(dict.fromkeys(shortcuts["item_set"]))
    figure, panels = new_figure(8.2, 0.44 * len(tasks) + 1.2)
    axis = panels[0, 0]
    shifts = np.linspace(-0.17, 0.17, len(item_sets)) if len(item_sets) > 1 else [0]
    for item_set, shift, colour in zip(item_sets, shifts, SET_COLOURS, strict=False):
        rows = best[best["item_set"] == item_set]
        _draw_cuts(axis, rows, rows["task"].map(tasks.index) + shift, colour, figure_label(shown_items(item_set)))
    chances = best.groupby("task")["chance"].first().astype(float)
    for task in tasks:
        place = tasks.index(task)
        axis.vlines(chances[task], place - 0.5, place + 0.5, color=CHANCE_COLOUR, linestyle="--", linewidth=1.2,
                    label="guessing")  # fmt: skip
    task_axis(axis, tasks)
    axis.set(xlim=(0, 1.13), xticks=np.linspace(0, 1, 5), xlabel=CUTS)
    axis.xaxis.set_major_formatter(as_percent)
    figure_legend(figure, panels)
    return figure


def _draw_cuts(axis: Axes, rows: pd.DataFrame, places: pd.Series, colour: str, label: str) -> None:
    """From guessing to the accuracy of each task's cut."""
    accuracy, chance = rows["test_accuracy"].astype(float), rows["chance"].astype(float)
    axis.hlines(places, chance, accuracy, color=colour, linewidth=2)
    axis.plot(accuracy, places, "o", color=colour, markersize=6, label=label)
    for name, place, end, guess in zip(rows["feature"], places, accuracy, chance, strict=True):
        if end > guess + 0.1:
            axis.annotate(name, (end, place), xytext=(7, 0), textcoords="offset points", va="center", fontsize=8.5)


@figure("htest_letter_geometry", "Accuracy on letter geometry by model, against guessing one of four options")
def letter_geometry(table: pd.DataFrame, options: int = 4) -> Figure:
    """Accuracy on letter geometry by model, with 95% intervals: filled by the reply, hollow by the likelier option.

    Args:
        table: an `accuracy_table`; rows of other tasks are left out. With a column `item_set`, sets of items are told
            apart by colour.
        options: of a question, one of which is right.
    """
    rows = table[(table["task"] == LETTER_GEOMETRY) & (table["reader"] != "paper")]
    rows = rows if "item_set" in rows else rows.assign(item_set="all")
    models, item_sets = list(dict.fromkeys(rows["model"])), list(dict.fromkeys(rows["item_set"]))
    there = set(zip(rows["item_set"], rows["reader"], strict=True))
    drawn = [pair for pair in itertools.product(item_sets, ("strict", "likelier")) if pair in there]
    figure, panels = new_figure(7.6, 0.5 * len(models) + 1.5)
    axis = panels[0, 0]
    for shift, (item_set, reader) in zip(np.linspace(-0.3, 0.3, len(drawn) + 2)[1:-1], drawn, strict=True):
        part = rows[(rows["item_set"] == item_set) & (rows["reader"] == reader)]
        colour = SET_COLOURS[item_sets.index(item_set)]
        reach = [part["accuracy"] - part["low"], part["high"] - part["accuracy"]]
        reading = "reply" if reader == "strict" else "likelier option"
        axis.errorbar(part["accuracy"], part["model"].map(models.index) + shift, xerr=reach, color=colour, marker="o",
                      markersize=5.5, markerfacecolor=colour if reader == "strict" else "white", linestyle="",
                      label=f"{figure_label(shown_items(item_set))}, {reading}")  # fmt: skip
    chance_line(axis, across=False, level=1 / options)
    task_axis(axis, models)
    axis.set_yticks(range(len(models)), [shown_model(model, GEOMETRY_CONTROLS) for model in models])
    axis.set(xlim=(-0.02, 1.02), xlabel="accuracy (bars: 95% intervals)")
    axis.xaxis.set_major_formatter(as_percent)
    figure_legend(figure, panels)
    return figure
