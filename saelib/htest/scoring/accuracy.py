"""How often replies are right, with intervals.

In: the rows of `readings.readings_of`. Out: one row for each group and reader (`accuracy_table`), and means over tasks.
The paper reports accuracy with none counted wrong, accuracy over the answered, and the share of none. The AUROC of
the margin and the accuracy at its median are added here: a model that knows and always prefers B shows in them.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from saelib.htest.scoring.readings import CONDITION_COLUMNS, ITEM_COLUMNS, KEYS, READERS, TASK_ORDER, can_read
from saelib.htest.tasks import LETTER_GEOMETRY, TASKS
from saelib.results.intervals import mean_with_bounds, wilson
from saelib.results.ranking import accuracy_at_median, auroc

BOUNDS = {  # columns of the interval of each value
    "accuracy": ("low", "high"),
    "share_a": ("share_a_low", "share_a_high"),
    "auroc": ("auroc_low", "auroc_high"),
    "bias_free_accuracy": ("bias_free_low", "bias_free_high"),
}


def accuracies_of(readings: pd.DataFrame) -> pd.DataFrame:
    """Accuracies by `readings.KEYS`, with the revision of the model and the hash of the items that were asked."""
    table = accuracy_table(readings, by=[*KEYS, "revision", "items_sha256"])
    return table.astype({"shuffle_seed": "Int64"})  # grouping makes objects of it


def accuracy_table(
    readings: pd.DataFrame, by: Sequence[str] = ("item_set", "model", "form", "k", "task")
) -> pd.DataFrame:
    """One row for each group and reader; a reader that does not find on every item what it reads is left out.

    Columns: those of `by`, `reader`, `items`, `samples` (replies to each item), `scored` (replies with the
    log-probabilities of all options: where an API leaves an option out, its group has no `likelier` reader and no
    margin), `answered` and `correct` (replies); `accuracy` (none counted wrong) with its Wilson 95% interval `low` and
    `high`; `accuracy_answered`; `share_none`; `share_a`, how many of all items are said to be
    A, with `share_a_low` and `share_a_high` (Wilson); `auroc` of the margin for label A with `auroc_low` and
    `auroc_high`; `bias_free_accuracy`, at the group's median margin, with `bias_free_low` and `bias_free_high`. The
    last six, the same for every reader, are NaN without margins; for letter geometry `share_a` is NaN too.

    Half of a task's items are A by design, which Wilson's intervals do not count on: where a replier leans to a letter
    they are wider than they need be (for a constant reply, which is right on exactly half, by all of their width).
    With several samples the items are still what is drawn: see `by_item`.

    Args:
        by: columns that make the groups; together with the item they must tell any two rows apart.

    Raises:
        ValueError: an item is in a group more than once, or only some items of a group were replied to.
    """
    lines = []
    for key, group in readings.groupby(list(by), sort=False, dropna=False, observed=True):
        check_distinct(group, f"the group {dict(zip(by, key, strict=True))}")
        ranking = _ranking(group)
        for reader in _readers(group):
            lines.append(dict(zip(by, key, strict=True)) | {"reader": reader} | _counts(group, reader) | ranking)
    return pd.DataFrame(lines)


def check_distinct(rows: pd.DataFrame, name: str) -> None:
    """Refuse rows in which an item stands twice: intervals and tests count items.

    Raises:
        ValueError: one does; the message names the columns that differ.
    """
    if rows.duplicated([*ITEM_COLUMNS, "sample"]).any():
        varying = [column for column in CONDITION_COLUMNS if rows[column].nunique(dropna=False) > 1]
        reason = f"they differ in {', '.join(varying)}: tell them apart by it" if varying else "drop the copies"
        raise ValueError(f"{name} holds an item more than once; {reason}")


def _readers(group: pd.DataFrame) -> list[str]:
    """Those for which the group has what they read."""
    if 0 < group["replied"].sum() < len(group) or not (group["replied"] | group["scored"]).all():
        mixed = f"only {group['replied'].sum()} of {len(group)} items of a group are marked `replied`"
        raise ValueError(f"{mixed}; group by the conditions that differ, or ask the missing items again")
    return [reader for reader in READERS if can_read(group, reader).all()]


def _counts(group: pd.DataFrame, reader: str) -> dict[str, float]:
    replies, choice = len(group), group[reader]
    right, says_a = choice == group["label"], choice == "A"
    answered, correct = int(choice.notna().sum()), int(right.sum())
    low, high = by_item(right, group)
    letters = not (group["task"] == LETTER_GEOMETRY).any()
    a_low, a_high = by_item(says_a, group)
    return {
        "items": (items := count_items(group)),
        "samples": replies // items,
        "scored": int(group["scored"].sum()),
        "answered": answered,
        "correct": correct,
        "accuracy": correct / replies,
        "low": low,
        "high": high,
        "accuracy_answered": correct / answered if answered else np.nan,
        "share_none": 1 - answered / replies,
        "share_a": int(says_a.sum()) / replies if letters else np.nan,
        "share_a_low": a_low if letters else np.nan,
        "share_a_high": a_high if letters else np.nan,
    }


def count_items(rows: pd.DataFrame) -> int:
    """Different items among the rows."""
    return int((~rows.duplicated(ITEM_COLUMNS)).sum())


def by_item(true: pd.Series, rows: pd.DataFrame) -> tuple[float, float]:
    """Wilson's interval of the share of replies of which something is true, where the items are what is drawn.

    Several replies to an item are no several items: the share of each item is one observation, and the interval is that
    of as many independent replies as their variance is worth, from the number of items (all replies to an item alike)
    to that of replies (an item says nothing of its replies).
    """
    items, replies = count_items(rows), len(rows)
    if items == replies:
        return wilson(int(true.sum()), items)
    shares = true.groupby([rows[name] for name in ITEM_COLUMNS], dropna=False).mean()
    share, variance = float(true.mean()), float(shares.var(ddof=1)) if items > 1 else np.nan
    worth = items * share * (1 - share) / variance if variance > 0 else (replies if 0 < share < 1 else items)
    worth = min(max(worth, items), replies)
    return wilson(share * worth, worth)


def _ranking(group: pd.DataFrame) -> dict[str, float]:
    group = group if count_items(group) == len(group) else _mean_margins(group)
    margins, is_a = group["margin"].to_numpy(), (group["label"] == "A").to_numpy()
    columns = [name for value in ("auroc", "bias_free_accuracy") for name in (value, *BOUNDS[value])]
    if np.isnan(margins).any() or is_a.all() or not is_a.any():
        return dict.fromkeys(columns, np.nan)
    kinds = margins[is_a], margins[~is_a]
    return dict(zip(columns, (*auroc(*kinds)[:3], *accuracy_at_median(*kinds)[:3]), strict=True))


def _mean_margins(group: pd.DataFrame) -> pd.DataFrame:
    """One row for each item, with the mean of its replies' margins; NaN where one is unknown."""
    items = group.groupby([*ITEM_COLUMNS, "label"], sort=False, dropna=False, as_index=False)
    return items["margin"].agg(lambda margins: margins.mean(skipna=False))


def mean_over_tasks(table: pd.DataFrame, by: Sequence[str], value: str = "accuracy") -> pd.DataFrame:
    """Mean over tasks, each with the same weight, and its 95% interval: by, reader, mean, low, high, count (of tasks).

    Args:
        table: an `accuracy_table` with the column `task`; letter geometry is left out.
        value: a key of `BOUNDS`.

    Raises:
        ValueError: a task is in a group more than once.
    """
    lines = []
    keys = [*by, "reader"]
    for key, group in table[table["task"].isin(TASKS)].groupby(keys, sort=False, dropna=False, observed=True):
        if group["task"].duplicated().any():
            raise ValueError(f"a task is more than once in {dict(zip(keys, key, strict=True))}: add columns to `by`")
        mean = mean_with_bounds(*(group[name].to_numpy() for name in (value, *BOUNDS[value])))
        lines.append(dict(zip(keys, key, strict=True)) | mean._asdict())
    return pd.DataFrame(lines)


def in_order(values: Iterable[Any]) -> list[Any]:
    """Different values: tasks in the paper's order, all else as it comes."""
    different = list(dict.fromkeys(values))
    return sorted(different, key=TASK_ORDER.index) if set(different) <= set(TASK_ORDER) else different
