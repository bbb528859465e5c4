"""Is an accuracy near guessing ignorance, a preferred letter, or a shortcut of the items?

In: the readings of one condition (one model, form and number of shots; any sets of items), and for each item the number
that a shortcut goes by (`audit.shortcuts.shortcut_numbers`). Out: one row for each set and task (`beneath`), released
items beside fresh ones (`against_fresh`), and all tasks in one, for notebooks to record (`in_all`).

What is missing to an accuracy of 1 falls into two parts. *Preference* is what the accuracy would gain if as many A as B
were said: the accuracy at the median margin less the accuracy at a margin of 0. The rest is *not known*: at the median
margin too a wrong item is wrong. Whether what is known is of the task or of a shortcut is asked twice: does the margin
tell A from B better than the shortcut's number does, and does it still where that number is the same?
"""

from typing import Any

import numpy as np
import pandas as pd

from saelib.htest.scoring import accuracy
from saelib.htest.scoring.readings import ITEM_COLUMNS, TASK_ORDER
from saelib.htest.tasks import TASKS
from saelib.results.intervals import exact_sign_flip, holm, mean_with_bounds, paired_interval
from saelib.results.ranking import auroc, called_positive
from saelib.results.ranking_compared import Kinds, auroc_difference, auroc_held_fixed, auroc_held_near

FIXED = ("held_fixed", "learnt_fixed", "both_fixed")
SHORTCUTS = ("shortcut_auroc", "over_shortcut", "learnt_auroc", "over_learnt", *FIXED)
VALUES = ("accuracy", "share_a", "auroc", "bias_free_accuracy", "preference", *SHORTCUTS)
CHANCES = tuple(f"{value}_p" for value in (*FIXED, "over_shortcut", "over_learnt"))
LEVELS = 10  # of a score that is held fixed: as many items in each
GUESSING = 0.5
BOUNDS = accuracy.BOUNDS | {
    "preference": ("preference_low", "preference_high"),
    "shortcut_auroc": ("shortcut_low", "shortcut_high"),
    "over_shortcut": ("over_shortcut_low", "over_shortcut_high"),
    "held_fixed": ("held_fixed_low", "held_fixed_high"),
    "learnt_auroc": ("learnt_low", "learnt_high"),
    "over_learnt": ("over_learnt_low", "over_learnt_high"),
    "learnt_fixed": ("learnt_fixed_low", "learnt_fixed_high"),
    "both_fixed": ("both_fixed_low", "both_fixed_high"),
    "difference": ("difference_low", "difference_high"),
}


def beneath(readings: pd.DataFrame, numbers: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row for each set of items and task that has all its margins; letter geometry is left out.

    Columns: `item_set`, `task`, `items`, `reader` ("likelier": accuracies are those of the likelier letter), the values
    of `VALUES` with their 95% bounds (`BOUNDS`), and

    - `not_known`: 1 less `bias_free_accuracy`; with `preference` it is what the accuracy lacks;
    - `feature`: the shortcut's number, and `shortcut_auroc`, how well it tells A from B by itself;
    - `over_shortcut`: the margin's AUROC less the number's, with `over_shortcut_p` on the same items;
    - `held_fixed`: the margin's AUROC among pairs of an A and a B item with the same number (`pairs`, their share of
      all), and `held_fixed_p` of a margin that says nothing there. NaN where no such pair is;
    - `learnt_auroc`, `over_learnt`, `learnt_fixed` and their `_p`: the same of a learner of character n-grams; alike
      are items whose scores are in the same tenth (`ranking_compared.auroc_held_near`);
    - `both_fixed` (and `_p`): among pairs with the same number and scores in the same tenth.

    A `_p` is corrected by Holm for the tasks of its set.

    Args:
        numbers: what `shortcut_numbers` gave; items without one have no shortcut.

    Raises:
        ValueError: an item stands more than once: narrow the readings down to one condition.
    """
    rows = with_margins(readings)
    if rows.empty:
        return pd.DataFrame(columns=["item_set", "task", "items", "reader", *VALUES])
    table = of_likelier(rows)
    numbered = rows.merge(numbers, how="left", on=ITEM_COLUMNS) if numbers is not None else rows.assign(
        number=np.nan, learnt=np.nan, feature=None)  # fmt: skip
    extra = [
        _preference(group) | _against_shortcuts(group)
        for _, group in numbered.groupby(["item_set", "task"], sort=False)
    ]
    table = pd.concat([table, pd.DataFrame(extra, index=table.index)], axis="columns")
    table = table.sort_values("task", key=lambda tasks: tasks.map(TASK_ORDER.index), kind="stable")
    table = table.sort_values("item_set", key=lambda sets: sets.map(list(dict.fromkeys(rows["item_set"])).index),
                              kind="stable", ignore_index=True)  # fmt: skip
    for name in CHANCES:
        table[name] = table.groupby("item_set")[name].transform(_holm)
    return table.assign(not_known=1 - table["bias_free_accuracy"])


def with_margins(readings: pd.DataFrame) -> pd.DataFrame:
    """Rows of the ten tasks, without a set's task of which some margin is unknown: the others are no fair part."""
    rows = readings[readings["task"].isin(TASKS) & (readings["sample"] == 0)]  # the others of an item have its margin
    return rows[rows["margin"].notna().groupby([rows["item_set"], rows["task"]]).transform("all")]


def of_likelier(rows: pd.DataFrame) -> pd.DataFrame:
    """Accuracies of the likelier letter by set of items and task, from rows with margins."""
    table = accuracy.accuracy_table(rows.assign(replied=False), ["item_set", "task"])  # no text is read
    return table[table["reader"] == "likelier"].reset_index(drop=True)


def _preference(rows: pd.DataFrame) -> dict[str, float]:
    """What saying as many A as B would gain, item by item."""
    is_a = (rows["label"] == "A").to_numpy()
    half_a = called_positive(rows["margin"].to_numpy())
    gain = np.where(is_a, half_a, 1 - half_a) - (rows["likelier"] == rows["label"]).to_numpy()
    low, high = paired_interval(float(-gain.clip(max=0).sum()), float(gain.clip(min=0).sum()), len(rows))
    return {"preference": float(gain.mean()), "preference_low": low, "preference_high": high}


def _against_shortcuts(rows: pd.DataFrame) -> dict[str, Any]:
    """Of the number, of the learner, and of both together: pairs with the same number, in one level of the learner."""
    levels = np.ceil(rows["learnt"].rank() * LEVELS / len(rows))  # equal scores are in one level
    both = rows["number"].rank(method="dense") * (LEVELS + 1) + levels
    rows = rows.assign(learnt_level=levels, both_level=both)
    margins, numbers, learnt = (kinds_of(rows, name) for name in ("margin", "number", "learnt"))
    feature = {"feature": rows["feature"].iloc[0]}
    if rows[["number", "learnt"]].isna().any(axis=None) or not all(map(len, margins)):
        columns = [*(name for value in SHORTCUTS for name in (value, *BOUNDS[value])), *CHANCES, "pairs"]
        return feature | dict.fromkeys(columns, np.nan)
    found: dict[str, Any] = {
        "shortcut_auroc": auroc(*numbers),
        "over_shortcut": auroc_difference(numbers, margins, same_items=True),
        "held_fixed": auroc_held_fixed(*margins, *numbers),
        "learnt_auroc": auroc(*learnt),
        "over_learnt": auroc_difference(learnt, margins, same_items=True),
        "learnt_fixed": auroc_held_near(margins, learnt, kinds_of(rows, "learnt_level")),
        "both_fixed": auroc_held_near(margins, learnt, kinds_of(rows, "both_level")),
    }
    values = {name: value for key, estimate in found.items() for name, value in _bounded(key, estimate).items()}
    chances = {name: found[name.removesuffix("_p")].p for name in CHANCES}
    return feature | values | chances | {"pairs": found["held_fixed"].pairs}


def kinds_of(rows: pd.DataFrame, value: str) -> Kinds:
    """A value of the A items and of the B items."""
    values, is_a = rows[value].to_numpy(float), (rows["label"] == "A").to_numpy()
    return values[is_a], values[~is_a]


def _bounded(value: str, estimate: Any) -> dict[str, float]:
    return dict(zip((value, *BOUNDS[value]), (estimate.mean, estimate.low, estimate.high), strict=True))


def _holm(p: pd.Series) -> pd.Series:
    """Corrected for as many tests as there are."""
    known = p.dropna()
    return pd.Series(holm(known), known.index).reindex(p.index) if len(known) else p


def against_fresh(readings: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """AUROC on one set of items and on another, task by task.

    Columns: `task`, `first` and `second` with `difference` (second - first), its 95% bounds and `p`, and `p_holm`,
    corrected for the number of tasks. The items are others, so the two are independent.

    Args:
        readings: of one condition.
        first: a set of items; so `second`. Tasks that only one of them has are left out.
    """
    rows = with_margins(readings)
    kinds = {key: kinds_of(group, "margin") for key, group in rows.groupby(["item_set", "task"], sort=False)}
    lines = []
    for task in TASKS:
        one, two = (kinds.get((item_set, task)) for item_set in (first, second))
        if one and two and all(map(len, (*one, *two))):
            found = auroc_difference(one, two)
            lines.append({"task": task, "first": auroc(*one).mean, "second": auroc(*two).mean,
                          **_bounded("difference", found), "p": found.p})  # fmt: skip
    table = pd.DataFrame(lines, columns=["task", "first", "second", "difference", *BOUNDS["difference"], "p"])
    return table.assign(p_holm=holm(table["p"]) if len(table) else [])


def in_all(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """For each set of items of a `beneath` the mean over its tasks, as notebooks record it.

    By set: `tasks`, how many; `not_known`; the mean of each of `VALUES` as `mean`, `low`, `high` and `count` (of tasks
    that have it), None where none has; `all_pairs`, for each of `FIXED` the AUROC of all pairs in the tasks that it is
    a mean of; `auroc_above` and `auroc_below`, tasks whose interval of the AUROC lies above or below chance; `prefers`,
    in how many tasks each letter is said to more than half of the items (by its interval); and `one_letter`, the share
    of the letter that is said more, whichever it is in a task.
    """
    return {
        str(item_set): {
            "tasks": len(rows),
            "not_known": float(rows["not_known"].mean()),
            **{value: mean_over(rows[rows[value].notna()], value) for value in VALUES},
            "all_pairs": {value: mean_over(rows[rows[value].notna()], "auroc") for value in FIXED},
            "auroc_above": int((rows["auroc_low"] > GUESSING).sum()),
            "auroc_below": int((rows["auroc_high"] < GUESSING).sum()),
            "prefers": {"A": int((rows["share_a_low"] > GUESSING).sum()),
                        "B": int((rows["share_a_high"] < GUESSING).sum())},
            "one_letter": float(np.maximum(rows["share_a"], 1 - rows["share_a"]).mean()),
        }
        for item_set, rows in table.groupby("item_set", sort=False)
    }  # fmt: skip


def difference_in_all(comparison: pd.DataFrame) -> dict[str, Any] | None:
    """All tasks of `against_fresh` in one: None where there is none.

    Keys: `tasks`; means `first` and `second`; `difference` with `low` and `high`, which say how it would vary with
    other items of these tasks; `p` of the exact sign-flip test over the tasks, which asks more: whether tasks such as
    these differ on the whole, each counting as one; `lower` and `higher`, tasks with p < .05 after Holm's correction;
    and `most`, the line of the task that falls most.
    """
    if (mean := mean_over(comparison, "difference")) is None:
        return None
    certain = comparison[comparison["p_holm"] < 0.05]
    return {
        "tasks": len(comparison),
        "first": float(comparison["first"].mean()),
        "second": float(comparison["second"].mean()),
        "difference": mean["mean"],
        "low": mean["low"],
        "high": mean["high"],
        "p": exact_sign_flip(comparison["difference"].tolist()),
        "lower": certain.loc[certain["difference"] < 0, "task"].tolist(),
        "higher": certain.loc[certain["difference"] > 0, "task"].tolist(),
        "most": comparison.loc[comparison["difference"].idxmin()].to_dict(),
    }


def mean_over(rows: pd.DataFrame, value: str) -> dict[str, float] | None:
    """Mean of a value over rows, one for each task, with its interval; None where there are none."""
    if rows.empty:
        return None
    columns = [rows[name].to_numpy(float) for name in (value, *BOUNDS[value])]
    return mean_with_bounds(*columns)._asdict()
