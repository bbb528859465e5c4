"""Result tables as people read them: one cell a condition, "0.52 (0.45 to 0.59)", in Markdown, LaTeX and CSV.

In: an `accuracy_table`. Out: a table of texts with tasks in the paper's order and their mean beneath, and files.
"""

from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from saelib.htest.scoring.accuracy import BOUNDS, in_order, mean_over_tasks
from saelib.htest.tasks import TASKS
from saelib.results.notebook import with_interval
from saelib.run.files import write_atomically

MEAN = "mean of tasks"


def wide_table(
    table: pd.DataFrame,
    rows: str = "task",
    columns: str = "model",
    value: str = "accuracy",
    reader: str | None = None,
    digits: int = 2,
) -> pd.DataFrame:
    """A row for each value of one column, a column for each value of another, cells "0.52 (0.45 to 0.59)".

    Tasks stand in the paper's order, all else in that of `table`. Where `rows` is "task", the mean over the ten tasks
    stands beneath, but for columns that lack some of the tasks that others have. Empty cells are "-".

    Args:
        value: a column of `table`; one of `BOUNDS` is shown with its interval.
        reader: whose rows are taken; may be left out where there is one reader only.

    Raises:
        ValueError: a column is unknown, or a cell would have to hold several rows.
    """
    for name in (rows, columns, value):
        if name not in table:
            raise ValueError(f"column {name!r} is unknown; the table has {', '.join(table.columns)}")
    chosen = table if reader is None else table[table["reader"] == reader]
    if chosen.duplicated([rows, columns]).any() or chosen.empty:
        what = "no rows" if chosen.empty else f"several rows for one {rows} and {columns}"
        readers = ", ".join(dict.fromkeys(table["reader"]))
        raise ValueError(f"there are {what}: choose a reader ({readers}) or narrow the table down before")
    texts = chosen.assign(text=[_text(line, value, digits) for line in chosen.to_dict("records")])
    wide = texts.pivot(index=rows, columns=columns, values="text")
    wide = wide.loc[in_order(chosen[rows]), in_order(chosen[columns])].fillna("-")
    if rows == "task" and value in BOUNDS:
        wide.loc[MEAN] = _means(chosen, columns, value, digits)
    wide.columns = wide.columns.map(str)
    return wide.rename_axis(None, axis="columns").reset_index(names=rows)


def _text(line: dict[str, Any], value: str, digits: int) -> str:
    if pd.isna(line[value]):
        return "-"
    if value not in BOUNDS:
        return str(line[value]) if isinstance(line[value], int) else f"{line[value]:.{digits}f}"
    low, high = BOUNDS[value]
    return with_interval({"mean": line[value], "low": line[low], "high": line[high]}, digits)


def _means(chosen: pd.DataFrame, columns: str, value: str, digits: int) -> dict[Any, str]:
    """By column; one that lacks a task would be a mean over easier or harder ones."""
    means = mean_over_tasks(chosen, [columns], value)
    most = len(set(chosen["task"]) & set(TASKS))
    return {
        column: with_interval(line, digits) if line["count"] == most and pd.notna(line["mean"]) else "-"
        for column, line in zip(means[columns], means.to_dict("records"), strict=True)
    }


def as_markdown(table: pd.DataFrame) -> str:
    """A Markdown table; bars inside cells are escaped."""
    shown = table.map(lambda cell: str(cell).replace("|", r"\|"))
    return str(shown.to_markdown(index=False, disable_numparse=True)) + "\n"


def as_latex(table: pd.DataFrame) -> str:
    """A LaTeX tabular with the rules of booktabs; signs with a meaning in LaTeX are escaped."""
    layout = "l" + "c" * (len(table.columns) - 1)
    return str(table.to_latex(index=False, escape=True, column_format=layout))


def write_tables(folder: Path, name: str, table: pd.DataFrame) -> list[Path]:
    """Write `<name>.md`, `<name>.tex` and `<name>.csv`, each atomically; returns their paths."""
    contents = {"md": as_markdown(table), "tex": as_latex(table), "csv": table.to_csv(index=False)}
    paths = []
    for suffix, content in contents.items():
        path = folder / f"{name}.{suffix}"
        write_atomically(path, partial(Path.write_text, data=content, encoding="utf-8"))
        paths.append(path)
    return paths
