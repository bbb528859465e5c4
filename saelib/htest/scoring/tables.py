"""Result tables as people read them: one cell for each condition, "0.52 (0.45 to 0.59)", and comparisons in words.

In: readings, an `accuracy_table`, or a `comparison.compare`. Out: tables of texts, with tasks in the paper's order and
their mean beneath, and sentences written from the numbers themselves.
"""

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from saelib.htest.scoring.accuracy import BOUNDS, in_order, mean_over_tasks
from saelib.htest.scoring.comparison import overall
from saelib.htest.scoring.main_table import HEADINGS
from saelib.htest.scoring.names import (
    COLUMNS,
    GEOMETRY_CONTROLS,
    READERS,
    counted_tasks,
    shown_items,
    shown_model,
    shown_task,
)
from saelib.htest.scoring.readings import reader_of
from saelib.htest.tasks import TASKS
from saelib.results.text import with_interval

MEAN = "mean of tasks"
SHOWN: dict[str, Callable[[Any], str]] = {  # values as readers see them, by column
    "task": shown_task,
    "model": shown_model,
    "item_set": shown_items,
    "form": shown_task,
    "k": lambda k: f"{k} shots",
    "reader": lambda reader: READERS.get(reader, reader),
}


def wide_table(
    table: pd.DataFrame,
    rows: str = "task",
    columns: str = "model",
    value: str = "accuracy",
    reader: str | None = None,
    digits: int = 2,
) -> pd.DataFrame:
    """One row for each value of one column, one column for each value of another; cells are "0.52 (0.45 to 0.59)".

    Tasks stand in the paper's order, all else in that of `table`. Where `rows` is "task", the mean over tasks
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
    wide.index, wide.columns = (
        axis.map(SHOWN.get(name, str)) for axis, name in ((wide.index, rows), (wide.columns, columns))
    )
    return wide.rename_axis(None, axis="columns").reset_index(names=COLUMNS.get(rows, rows))


def task_table(rows: pd.DataFrame, digits: int = 2) -> pd.DataFrame:
    """Task by task, accuracy by every reader, and what it may hide: all that is known of one condition on one set.

    Columns: task, accuracy by each reader ("calibrated" where content-free questions were asked), the share that is
    said to be A, AUROC of the margin and accuracy at its median, each with its 95% interval. A reader that reads only
    some of the tasks has "-" in the others and no mean.

    Args:
        rows: of an `accuracy_table`, of one model, form, number of shots and set of items.
    """
    form = rows["form"].iloc[0]
    suited = rows[rows["reader"] == reader_of(form)]
    columns = {f"{READERS[name]} (95%)": (part, "accuracy") for name, part in rows.groupby("reader", sort=False)}
    columns |= {heading: (suited, value) for value, heading in HEADINGS.items() if value != "accuracy"}
    by_task = {heading: wide_table(part, columns="k", value=value, digits=digits).set_index("task").iloc[:, 0]
               for heading, (part, value) in columns.items() if len(part)}  # fmt: skip
    order = [*map(shown_task, in_order(rows["task"])), MEAN]
    return pd.DataFrame(by_task).reindex(order).fillna("-").rename_axis("task").reset_index()


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """Values and headings as readers see them; a number of shots has its heading and stays a number.

    Args:
        table: of any kind; columns that are not known keep their values and names.
    """
    values = {name: table[name].map(shown) for name, shown in SHOWN.items() if name in table and name != "k"}
    return table.assign(**values).rename(columns=COLUMNS)


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


def comparison_table(comparison: pd.DataFrame, conditions: Sequence[str] = ("first", "second")) -> pd.DataFrame:
    """A `comparison.compare` with the difference and its interval in one column.

    Args:
        conditions: what the two conditions are called.
    """
    middle = comparison.assign(mean=comparison["difference"])
    texts = [with_interval(line, 3) for line in middle.to_dict("records")]
    kept = readable(comparison[["task", "items", "first", "second"]]).assign(**{"difference (95%)": texts})
    kept = kept.rename(columns=dict(zip(("first", "second"), conditions, strict=True)))
    corrected = f"p, {counted_tasks(len(comparison))} (Holm)"
    chances = {"p": comparison["p"], corrected: comparison["p_holm"]}
    return kept.assign(**{name: values.map("{:.2g}".format) for name, values in chances.items()})


def comparison_sentence(comparison: pd.DataFrame, what: str) -> str:
    """What a comparison says in all, and in which tasks it is sure."""
    whole = overall(comparison)
    difference = with_interval({"mean": whole["difference"], "low": whole["low"], "high": whole["high"]}, 3)
    certain = list(comparison.loc[comparison["p_holm"] < 0.05, "task"].map(shown_task))
    tasks = ", ".join(certain) if certain else "no task"
    return (
        f"**{what}**: the mean accuracy goes from {whole['first']:.3f} to {whole['second']:.3f}, a difference of "
        f"{difference} (exact McNemar over all items: p = {whole['p']:.2g}). Corrected for "
        f"{counted_tasks(len(comparison))}, p < 0.05 in {tasks}."
    )


def replies_table(readings: pd.DataFrame) -> pd.DataFrame:
    """How many replies there are of each model, form, number of shots and set of items, and what they hold."""
    groups = readings.groupby(["model", "form", "k", "item_set"], sort=False)
    counts = groups[["replied", "scored"]].sum().assign(replies=groups.size())
    counts = counts.rename(columns={"replied": "with a text", "scored": "with log-probabilities"})
    columns = ["model", "form", "k", "item_set", "replies", "with a text", "with log-probabilities"]
    return readable(counts.reset_index()[columns])


def readers_table(table: pd.DataFrame) -> pd.DataFrame:
    """How the ways to read a reply differ: means over tasks, by model, shots and reader.

    Args:
        table: rows of an `accuracy_table` of one set of items.
    """
    by = ["model", "form", "k"]
    means = mean_over_tasks(table, by).to_dict("records")
    shares = table[table["task"].isin(TASKS)].groupby([*by, "reader"], sort=False, dropna=False)
    other = shares[["accuracy_answered", "share_none", "share_a"]].mean()
    rows = []
    for line in means:
        answered, none, says_a = other.loc[tuple(line[name] for name in (*by, "reader"))]
        rows.append({**{name: line[name] for name in (*by, "reader")}, "accuracy (95%)": with_interval(line, 3),
                     "of the answered": answered, "no answer": none, "says A": says_a})  # fmt: skip
    return readable(pd.DataFrame(rows))


def geometry_table(lines: pd.DataFrame) -> pd.DataFrame:
    """Accuracies on letter geometry: one row for each set of items, who answers, and reading.

    Args:
        lines: item_set, model, reader, items, and the accuracy as mean, low and high.
    """
    shown = readable(lines.assign(model=lines["model"].replace(GEOMETRY_CONTROLS)))
    texts = [with_interval(line, 3) for line in lines.to_dict("records")]
    return shown.drop(columns=["mean", "low", "high"]).assign(**{"accuracy (95%)": texts})


def item_sets_table(chosen: pd.DataFrame) -> pd.DataFrame:
    """Mean accuracy over tasks: one row for each model and number of shots, one column for each set of items.

    Args:
        chosen: what `as_chosen` gave.
    """
    means = mean_over_tasks(chosen, ["model", "k", "item_set"])
    texts = means.assign(text=[with_interval(line, 3) for line in means.to_dict("records")])
    wide = texts.pivot(index=["model", "k"], columns="item_set", values="text")
    sets = list(dict.fromkeys(means["item_set"]))
    wide = wide.loc[list(dict.fromkeys(zip(means["model"], means["k"], strict=True))), sets]
    return readable(wide.rename_axis(None, axis="columns").reset_index().rename(columns=SHOWN["item_set"]))
