"""Audits as people read them: tables of texts, and sentences written from the numbers themselves.

In: what `audit.audit` and `shortcuts.shortcut_table` counted. Out: tables and sentences for notebooks.
"""

from collections.abc import Iterable

import pandas as pd

from saelib.htest.tasks import LETTER_GEOMETRY
from saelib.results.text import escape_markdown


def audit_table(audited: pd.DataFrame) -> pd.DataFrame:
    """An audit with one column for each kind of fault, dev and test together as "dev + test"."""
    table = audited[["item_set", "task"]].copy()
    for name in ("items", "disagreements", "repeats"):
        pair = [audited[f"{split}_{name}"].astype(object).fillna("-").astype(str) for split in ("dev", "test")]
        table[f"{name} (dev + test)"] = (pair[0] + " + " + pair[1]).replace("- + -", "-")
    table["unknown to the rule"] = audited["unknown"]
    table["test items also in dev"] = audited["overlaps"]
    table["texts with both labels"] = audited["conflicts"]
    table["repeated options"] = audited["repeated_options"]
    return _readable(table)


def disputed_table(disputed: pd.DataFrame, most: int) -> pd.DataFrame:
    """The first `most` disputed items of each set, task and split, as `audit.disagreements` gave them."""
    rows = disputed.groupby(["item_set", "task", "split"], sort=False).head(most).drop(columns="seed")
    return _readable(rows.rename(columns={"rule": "label by the rule"}))


def _readable(table: pd.DataFrame) -> pd.DataFrame:
    """Names of tasks with blanks, and a heading for the sets of items."""
    return table.assign(task=table["task"].str.replace("_", " ")).rename(columns={"item_set": "set of items"})


def audit_sentences(audited: pd.DataFrame) -> Iterable[str]:
    """One sentence for each set of items: what the audit found."""
    for item_set, rows in audited.groupby("item_set", sort=False):
        wrong = int(rows[["dev_disagreements", "test_disagreements"]].sum().sum())
        disputed = rows.loc[rows[["dev_disagreements", "test_disagreements"]].sum(axis=1) > 0, "task"]
        repeats = int(rows[["dev_repeats", "test_repeats"]].sum().sum())
        labels = int(rows.loc[rows["task"] != LETTER_GEOMETRY, ["dev_items", "test_items"]].sum().sum())
        where = f" (in {', '.join(disputed.str.replace('_', ' '))})" if len(disputed) else ""
        yield (
            f"**{escape_markdown(str(item_set))}**: the rules dispute **{wrong:,} of {labels:,}** labels{where}; "
            f"{repeats:,} rows repeat an earlier one of their split, and {int(rows['overlaps'].sum()):,} test items "
            "are also among the dev items."
        )


def best_shortcuts(shortcuts: pd.DataFrame) -> pd.DataFrame:
    """The cut of each task that is best on dev, and its accuracy on test; one column for each set of items.

    Args:
        shortcuts: a `shortcut_table`.
    """
    rows = shortcuts.sort_values("dev_accuracy", ascending=False, kind="stable").drop_duplicates(["item_set", "task"])
    cut = (
        " > " + rows["cut"].map("{:g}".format, na_action="ignore").astype(object) + ": " + rows["above"].astype(object)
    )
    texts = rows["test_accuracy"].map("{:.0%}".format) + " (" + rows["feature"] + cut.fillna("") + ")"
    wide = rows.assign(text=texts).pivot(index="task", columns="item_set", values="text")
    order = list(dict.fromkeys(shortcuts["task"]))
    columns = list(dict.fromkeys(shortcuts["item_set"]))
    return _readable(wide.loc[order, columns].rename_axis(None, axis="columns").reset_index())
