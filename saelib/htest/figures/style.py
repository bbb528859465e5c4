"""What all H-Test figures share: names as readers see them, the rows of one reader, the line of guessing, colours.

In: names and an `accuracy_table`. Out: texts, rows, and lines on an axis.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from saelib.htest.scoring.names import LONGEST, short_model, shown_task
from saelib.htest.tasks import LETTERS, TASKS
from saelib.results.figures import PALETTE, figure_label

CHANCE = 1 / len(LETTERS)
CHANCE_COLOUR, EDGE_COLOUR = PALETTE["grey"], PALETTE["black"]
MEAN_COLOUR, TASK_COLOUR = PALETTE["blue"], "#b5b5b5"
LETTER_COLOURS = dict(zip(LETTERS, (PALETTE["blue"], PALETTE["orange"]), strict=True))
SET_COLOURS = (PALETTE["blue"], PALETTE["orange"], PALETTE["purple"], PALETTE["grey"])  # of sets of items


def shown_model(model: str, names: Mapping[str, str] | None = None) -> str:
    """A model's short name.

    Args:
        names: that stand for some models, in place of their short ones.
    """
    return (names or {}).get(model) or figure_label(short_model(model), LONGEST)


def chosen_rows(table: pd.DataFrame, reader: str, keys: Sequence[str]) -> pd.DataFrame:
    """Rows of the tasks as one reader sees them.

    Raises:
        ValueError: there are none, or several for one value of `keys`.
    """
    rows = table[(table["reader"] == reader) & table["task"].isin(TASKS)]
    if rows.empty or rows.duplicated(list(keys)).any():
        what = "several rows" if len(rows) else "no rows"
        readers = ", ".join(dict.fromkeys(table["reader"]))
        raise ValueError(
            f"reader {reader!r} has {what} for one {' and '.join(keys)}: take another of {readers}, or narrow the table"
        )
    return rows


def chance_line(axis: Axes, across: bool = True, level: float = CHANCE) -> None:
    """Where guessing ends up; across the figure, or upright."""
    draw = axis.axhline if across else axis.axvline
    draw(level, color=CHANCE_COLOUR, linestyle="--", linewidth=1.2, zorder=1, label="guessing")


def share_axis(panels: np.ndarray, values: pd.Series, label: str = "accuracy") -> None:
    """Upright axes of rows of panels that hold all values and some room around guessing; an accuracy is in per cent."""
    for axis in panels[:, 0]:
        axis.set_ylim(min(0.35, values.min() - 0.04), max(0.65, values.max() + 0.04))
        axis.set_ylabel(label)
        if label == "accuracy":
            axis.yaxis.set_major_formatter(as_percent)


def task_axis(axis: Axes, tasks: Sequence[str]) -> None:
    """Tasks from top to bottom."""
    axis.set_yticks(range(len(tasks)), [shown_task(task) for task in tasks])
    axis.set_ylim(len(tasks) - 0.5, -0.5)
    axis.grid(axis="y", visible=False)


def as_percent(value: float, _: object = None) -> str:
    """A share for an axis."""
    return f"{value:.0%}"
