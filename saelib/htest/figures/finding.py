"""Figures of what a margin knows: on released items and on fresh ones, and where a shortcut is held fixed.

In: a `beneath` of one condition. Out: figures. Shapes differ as well as colours, so that they are read in grey too.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saelib.htest.figures.style import CHANCE_COLOUR, EDGE_COLOUR, chance_line, task_axis
from saelib.htest.scoring.accuracy import in_order
from saelib.htest.scoring.beneath import BOUNDS, mean_over
from saelib.htest.scoring.names import shown_items
from saelib.htest.scoring.tables import MEAN
from saelib.results.figures import PALETTE, figure, figure_label, figure_legend, new_figure

SETS = ({"color": PALETTE["blue"], "marker": "o"},
        {"color": PALETTE["orange"], "marker": "s", "markerfacecolor": "white"})  # fmt: skip
FIXED: Mapping[str, tuple[str, dict[str, Any]]] = {
    "auroc": ("margin, all pairs of items", {"color": PALETTE["blue"], "marker": "o"}),
    "held_fixed": ("margin, pairs with the same number",
                   {"color": PALETTE["purple"], "marker": "D", "markerfacecolor": "white"}),
    "shortcut_auroc": ("the number alone", {"color": PALETTE["grey"], "marker": "x"}),
    "learnt_auroc": ("letters learnt from dev items", {"color": PALETTE["orange"], "marker": "^"}),
}  # fmt: skip
CERTAIN = 0.05


@figure("htest_fresh", "AUROC of the margin on released and on fresh items, by task, with 95% intervals")
def released_and_fresh(table: pd.DataFrame, comparison: pd.DataFrame) -> Figure:
    """AUROC of each task on two sets of items, a line between them; the difference stands at the right.

    Args:
        table: a `beneath` with both sets, the one that is compared with first.
        comparison: their `against_fresh`.
    """
    tasks = [*in_order(comparison["task"]), MEAN]
    figure, panels = new_figure(8.2, 0.44 * len(tasks) + 1.3)
    axis = panels[0, 0]
    sets = list(dict.fromkeys(table["item_set"]))[: len(SETS)]
    values = [_by_task(table[table["item_set"] == item_set], "auroc", tasks) for item_set in sets]
    places = np.arange(len(tasks))
    axis.hlines(places, values[0]["auroc"], values[-1]["auroc"], color=CHANCE_COLOUR, linewidth=1)
    for item_set, rows, shift, style in zip(sets, values, (-0.1, 0.1), SETS, strict=False):
        _points(axis, rows, "auroc", places + shift, figure_label(shown_items(item_set)), style)
    differences = comparison.set_index("task")
    for place, task in zip(places[:-1], tasks[:-1], strict=True):
        line = differences.loc[task]
        sign = " *" if line["p_holm"] < CERTAIN else ""
        axis.annotate(f"{line['difference']:+.2f}{sign}", (1.01, place), xycoords=("axes fraction", "data"),
                      va="center", fontsize=9, annotation_clip=False)  # fmt: skip
    axis.annotate(f"{differences['difference'].mean():+.2f}", (1.01, places[-1]), va="center", fontsize=9,
                  xycoords=("axes fraction", "data"), annotation_clip=False)  # fmt: skip
    axis.annotate(f"difference (*: p < {CERTAIN:g}, Holm)", (1.08, 1.01), xycoords="axes fraction", ha="right",
                  fontsize=9, annotation_clip=False)  # fmt: skip
    _finish(figure, panels, axis, tasks, " of the margin log p(A) - log p(B)")
    return figure


@figure("htest_held_fixed", "AUROC of the margin beside that of two shortcuts, and where one is held fixed, by task")
def held_fixed(table: pd.DataFrame) -> Figure:
    """AUROC of all pairs of items, of pairs with the same number, of the number alone, and of a learner of letters.

    A panel for each set; the name of the number stands at its right. Where the number gives the label away no pair has
    the same, and the second one is missing.

    Args:
        table: a `beneath`.
    """
    sets, tasks = list(dict.fromkeys(table["item_set"])), [*in_order(table["task"]), MEAN]
    size = 2.2 + 3.6 * len(sets), 0.5 * len(tasks) + 1.4
    figure, panels = new_figure(*size, ncols=len(sets), sharex=True, sharey=True)
    for axis, item_set in zip(panels[0], sets, strict=True):
        rows = table[table["item_set"] == item_set]
        for shift, (value, (label, style)) in zip((-0.27, -0.09, 0.09, 0.27), FIXED.items(), strict=True):
            _points(axis, _by_task(rows, value, tasks), value, np.arange(len(tasks)) + shift, label, style)
        names = rows.set_index("task")["feature"].dropna()
        for task, name in names.items():
            axis.annotate(name, (1.01, tasks.index(task)), xycoords=("axes fraction", "data"), va="center",
                          fontsize=8.5, annotation_clip=False)  # fmt: skip
        axis.set_title(figure_label(shown_items(item_set)))
        _finish(figure, panels, axis, tasks)
    return figure


def _by_task(rows: pd.DataFrame, value: str, tasks: list[str]) -> pd.DataFrame:
    """A value with its bounds by task, NaN where there is none, and beneath it the mean of what is there."""
    columns = [value, *BOUNDS[value]]
    by_task = rows.set_index("task")[columns].astype(float).reindex(tasks)
    if mean := mean_over(rows[rows[value].notna()], value):
        by_task.loc[MEAN] = [mean[name] for name in ("mean", "low", "high")]
    return by_task


def _points(axis: Axes, rows: pd.DataFrame, value: str, places: np.ndarray, label: str, style: dict[str, Any]) -> None:
    low, high = BOUNDS[value]
    axis.errorbar(rows[value], places, xerr=[rows[value] - rows[low], rows[high] - rows[value]], linestyle="",
                  markersize=5.5, elinewidth=1.4, label=label, **style)  # fmt: skip


def _finish(figure: Figure, panels: np.ndarray, axis: Axes, tasks: list[str], of: str = "") -> None:
    chance_line(axis, across=False)
    axis.axhline(len(tasks) - 1.5, color=EDGE_COLOUR, linewidth=1)
    axis.set_xlabel(f"AUROC{of} (bars: 95% intervals)")
    task_axis(axis, tasks)
    if axis is panels[0, -1]:
        figure_legend(figure, panels)
