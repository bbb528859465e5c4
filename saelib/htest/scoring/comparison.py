"""Whether a condition is better than another on the same items: shots, chain of thought, size of a model.

In: the rows of `readings.readings_of`. Out: one row for each task, with an exact McNemar test, a paired interval of the
difference, and Holm's correction over the tasks. Both conditions answer the same items, so only those on which they
differ say anything; a test that takes the two accuracies for independent would waste that.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from saelib.htest.scoring.accuracy import check_distinct
from saelib.htest.scoring.readings import CHOICE, ITEM_COLUMNS, READERS, reader_of
from saelib.results.intervals import exact_mcnemar, holm, mean_with_bounds, paired_interval


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


def _choose(readings: pd.DataFrame, values: Mapping[str, Any], reader: str) -> pd.DataFrame:
    """Rows of one condition."""
    rows = readings
    for column, value in values.items():
        if column not in readings:
            raise ValueError(f"column {column!r} is unknown; choose among {', '.join(readings.columns)}")
        rows = rows[rows[column].isna() if value is None else (rows[column] == value).fillna(False)]
    readers = rows["form"].map(reader_of) if reader == CHOICE else pd.Series(reader, rows.index)
    if rows.empty or not (readable := rows["scored"].where(readers == "likelier", rows["replied"])).any():
        missing = "rows" if rows.empty else f"something for {reader!r} to read"
        raise ValueError(f"the condition {dict(values)} has no {missing}: ask the model under it first")
    if not readable.all():
        raise ValueError(
            f"the condition {dict(values)} lacks what {reader!r} reads on {(~readable).sum()} of {len(rows)} replies "
            "(an API may leave an option out of its log-probabilities): compare by another reader, such as 'strict'"
        )
    check_distinct(rows, f"the condition {dict(values)}")
    right = rows.assign(right=(rows[reader] == rows["label"]).astype(float))
    return right.groupby([*ITEM_COLUMNS, "label"], sort=False, dropna=False, as_index=False)["right"].mean()


def _matched(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """One row for each item, with what both conditions have right."""
    keys = [*ITEM_COLUMNS, "label"]
    pairs = first[[*keys, "right"]].merge(second[[*keys, "right"]], on=keys, suffixes=("_first", "_second"))
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
