"""Whether a condition is better than another on the same items: shots, chain of thought, size of a model.

In: the rows of `readings.readings_of`. Out: one row for each task, with an exact McNemar test, a paired interval of the
difference, and Holm's correction over the tasks. Both conditions answer the same items, so only those on which they
differ say anything; a test that takes the two accuracies for independent would waste that. Where one letter is said to
nearly all items two accuracies are alike whatever is known: `compare_auroc` asks the same of the margins.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from saelib.htest.scoring.accuracy import check_distinct
from saelib.htest.scoring.beneath import kinds_of, with_margins
from saelib.htest.scoring.readings import CHOICE, ITEM_COLUMNS, READERS, can_read, reader_of
from saelib.results.intervals import exact_mcnemar, holm, mean_with_bounds, paired_interval
from saelib.results.ranking import auroc
from saelib.results.ranking_compared import auroc_difference


def compare(readings: pd.DataFrame, first: Mapping[str, Any], second: Mapping[str, Any], reader: str) -> pd.DataFrame:
    """Two conditions task by task: `compare(readings, {"k": 4}, {"k": 50}, "strict")`.

    Columns: `task`, `items`, `first` and `second` (accuracies, none counted wrong), `difference` (second - first) with
    its 95% interval `low` and `high`, `first_only` and `second_only` (items that only this one has right, or with
    several samples more often right), `p` of the two-sided exact McNemar test, and `p_holm`, corrected for the number
    of tasks.

    Args:
        readings: may hold other conditions too.
        first: values of columns that choose one condition's rows; so does `second`.
        reader: one of `readings.READERS`, or "choice", which is the one that suits each form of prompt.

    Raises:
        ValueError: an unknown reader or column, a choice that leaves no rows or several conditions, or items that are
            not the same in both.
    """
    if reader not in (*READERS, CHOICE):
        raise ValueError(f"reader {reader!r} is unknown; choose one of {', '.join((*READERS, CHOICE))}")
    chosen = [_choose(readings, values, reader) for values in (first, second)]
    pairs = _matched(*chosen)
    table = pd.DataFrame([{"task": task} | _test(rows) for task, rows in pairs.groupby("task", sort=False)])
    return table.assign(p_holm=holm(table["p"]))


def overall(comparison: pd.DataFrame) -> dict[str, float]:
    """All tasks of a comparison in one: mean difference over tasks with its interval, and one exact test.

    The keys are items, first, second, difference, low, high, first_only, second_only and p. The test adds up the
    items on which the conditions differ: where neither is better, each of them falls to either side like a coin.
    """
    values = [comparison[name].to_numpy() for name in ("difference", "low", "high")]
    mean = mean_with_bounds(*values)
    sums = {name: int(comparison[name].sum()) for name in ("items", "first_only", "second_only")}
    means = {name: float(comparison[name].mean()) for name in ("first", "second")}
    difference = {"difference": mean.mean, "low": mean.low, "high": mean.high}
    return {**sums, **means, **difference, "p": exact_mcnemar(sums["first_only"], sums["second_only"])}


def compare_auroc(readings: pd.DataFrame, first: Mapping[str, Any], second: Mapping[str, Any]) -> pd.DataFrame:
    """What two conditions know of the same items, whichever letter they prefer, task by task.

    Columns: `task`, `first` and `second` (AUROCs of the margin), `difference` (second - first) with its 95% interval
    `low` and `high` and `p`, of the same items (DeLong's correlation), and `p_holm`. Tasks of which one condition
    lacks a margin are left out; without any the table is empty.

    Args:
        readings: as for `compare`; so are `first` and `second`.

    Raises:
        ValueError: an unknown column, several conditions in one, or items that are not the same in both.
    """
    chosen = [with_margins(_rows_of(readings, values)) for values in (first, second)]
    for rows, values in zip(chosen, (first, second), strict=True):
        check_distinct(rows, f"the condition {dict(values)}")
    shared = set(chosen[0]["task"]) & set(chosen[1]["task"])
    one, two = (rows[rows["task"].isin(shared)] for rows in chosen)
    pairs = _matched(one, two, "margin")
    lines = [{"task": task} | _ranked(rows) for task, rows in pairs.groupby("task", sort=False)
             if rows["label"].nunique() == 2]  # fmt: skip
    table = pd.DataFrame(lines, columns=["task", "first", "second", "difference", "low", "high", "p"])
    return table.assign(p_holm=holm(table["p"]) if len(table) else [])


def overall_auroc(comparison: pd.DataFrame) -> dict[str, float] | None:
    """All tasks of `compare_auroc` in one: first, second, difference, low, high and tasks; None without any."""
    if comparison.empty:
        return None
    mean = mean_with_bounds(*(comparison[name].to_numpy() for name in ("difference", "low", "high")))
    means = {name: float(comparison[name].mean()) for name in ("first", "second")}
    return {**means, "difference": mean.mean, "low": mean.low, "high": mean.high, "tasks": len(comparison)}


def _ranked(rows: pd.DataFrame) -> dict[str, float]:
    first, second = (kinds_of(rows, f"margin_{which}") for which in ("first", "second"))
    found = auroc_difference(first, second, same_items=True)
    values = {"difference": found.mean, "low": found.low, "high": found.high, "p": found.p}
    return {"first": auroc(*first).mean, "second": auroc(*second).mean} | values


def _rows_of(readings: pd.DataFrame, values: Mapping[str, Any]) -> pd.DataFrame:
    """Rows with the values of a condition."""
    rows = readings
    for column, value in values.items():
        if column not in readings:
            raise ValueError(f"column {column!r} is unknown; choose among {', '.join(readings.columns)}")
        rows = rows[rows[column].isna() if value is None else (rows[column] == value).fillna(False)]
    return rows


def _choose(readings: pd.DataFrame, values: Mapping[str, Any], reader: str) -> pd.DataFrame:
    """Rows of one condition, with what a reader has right of each item."""
    rows = _rows_of(readings, values)
    readers = rows["form"].map(reader_of) if reader == CHOICE else pd.Series(reader, rows.index)
    if rows.empty or not (there := can_read(rows, readers)).any():
        missing = "rows" if rows.empty else f"something for {reader!r} to read"
        raise ValueError(f"the condition {dict(values)} has no {missing}: ask the model under it first")
    if not there.all():
        raise ValueError(
            f"the condition {dict(values)} lacks what {reader!r} reads on {(~there).sum()} of {len(rows)} replies "
            "(an API may leave an option out of its log-probabilities): compare by another reader, such as 'strict'"
        )
    check_distinct(rows, f"the condition {dict(values)}")
    right = rows.assign(right=(rows[reader] == rows["label"]).astype(float))
    return right.groupby([*ITEM_COLUMNS, "label"], sort=False, dropna=False, as_index=False)["right"].mean()


def _matched(first: pd.DataFrame, second: pd.DataFrame, value: str = "right") -> pd.DataFrame:
    """One row for each item, with a value of both conditions."""
    keys = [*ITEM_COLUMNS, "label"]
    pairs = first[[*keys, value]].merge(second[[*keys, value]], on=keys, suffixes=("_first", "_second"))
    if len(pairs) < max(len(first), len(second)):
        counts = f"{len(first)} and {len(second)} items, of which {len(pairs)} are shared"
        raise ValueError(
            f"the conditions have {counts}; compare them on the same ones: choose the same tasks and items"
        )
    return pairs


def _test(rows: pd.DataFrame) -> dict[str, float]:
    items = len(rows)
    gain = rows["right_second"] - rows["right_first"]
    first_only, second_only = int((gain < 0).sum()), int((gain > 0).sum())
    low, high = paired_interval(float(-gain.clip(upper=0).sum()), float(gain.clip(lower=0).sum()), items)
    return {
        "items": items,
        "first": rows["right_first"].mean(),
        "second": rows["right_second"].mean(),
        "difference": gain.sum() / items,
        "low": low,
        "high": high,
        "first_only": first_only,
        "second_only": second_only,
        "p": exact_mcnemar(first_only, second_only),
    }
