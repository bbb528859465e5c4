"""Small tables and sentences about items and replies, for notebooks 06 to 09.

In: items, audits and accuracy tables. Out: tables of texts, and sentences written from the numbers themselves.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from saelib.htest.config import CONTROL
from saelib.htest.items.item import Item, hash_items, select
from saelib.htest.scoring.accuracy import CHOICE, mean_over_tasks, reader_of
from saelib.htest.scoring.comparison import overall
from saelib.htest.tasks import LETTER_GEOMETRY, TASKS
from saelib.results.notebook import with_interval


def items_table(items: Sequence[Item]) -> pd.DataFrame:
    """What sets of items a run has: version, seed, tasks, items of each split, and the hash of them all."""
    rows = []
    for version in dict.fromkeys(item.version for item in items):
        mine = [item for item in items if item.version == version]
        counts = {split: sum(item.split == split for item in mine) for split in ("dev", "test")}
        rows.append({"items": version, "seed": str(mine[0].seed), "tasks": len({item.task for item in mine}),
                     "dev (shots)": counts["dev"], "test": counts["test"],
                     "SHA-256": hash_items(mine)[:12]})  # fmt: skip
    return pd.DataFrame(rows)


def examples_table(items: Sequence[Item], version: str) -> pd.DataFrame:
    """The first test item with label A, and the first with B, of each task; of letter geometry the first two."""
    rows = []
    for task, meaning in TASKS.items():
        texts = {item.label: item.text for item in reversed(select(items, task, "test", version))}
        rows.append({"task": task, f"A ({version})": texts["A"], f"B ({version})": texts["B"],
                     "A against B": f"{meaning.a} / {meaning.b}"})  # fmt: skip
    for item in select(items, LETTER_GEOMETRY, "test", version)[:2]:
        options = ", ".join(f"[{option}]" if option == item.label else option for option in item.options)
        rows.append({"task": item.task, f"A ({version})": item.text, f"B ({version})": options,
                     "A against B": "the right one in brackets"})  # fmt: skip
    return pd.DataFrame(rows)


def audit_table(audited: pd.DataFrame) -> pd.DataFrame:
    """An audit with a column for each finding, dev and test together as "dev + test"."""
    table = audited[["version", "task"]].copy()
    for name in ("items", "disagreements", "repeats"):
        pair = [audited[f"{split}_{name}"].astype(object).fillna("-").astype(str) for split in ("dev", "test")]
        table[f"{name} (dev + test)"] = pair[0] + " + " + pair[1]
    table["unknown to the rule"] = audited["unknown"]
    table["test items also in dev"] = audited["overlaps"]
    table["texts with both labels"] = audited["conflicts"]
    table["repeated options"] = audited["repeated_options"]
    return table


def audit_sentences(audited: pd.DataFrame) -> Iterable[str]:
    """One sentence for each set of items: what the audit found."""
    for version, rows in audited.groupby("version", sort=False):
        wrong = int(rows[["dev_disagreements", "test_disagreements"]].sum().sum())
        disputed = rows.loc[rows[["dev_disagreements", "test_disagreements"]].sum(axis=1) > 0, "task"]
        repeats = int(rows[["dev_repeats", "test_repeats"]].sum().sum())
        judged = int(rows.loc[rows["task"] != LETTER_GEOMETRY, ["dev_items", "test_items"]].sum().sum())
        where = f" (in {', '.join(disputed)})" if len(disputed) else ""
        yield (
            f"**{version}**: the rules dispute **{wrong:,} of {judged:,}** labels{where}; {repeats:,} rows repeat an "
            f"earlier one of their split, and {int(rows['overlaps'].sum()):,} test items are also among the dev items."
        )


def best_shortcuts(shortcuts: pd.DataFrame) -> pd.DataFrame:
    """The cut of each task that is best on dev, and its accuracy on test; a column for each set of items.

    Args:
        shortcuts: a `shortcut_table`.
    """
    rows = shortcuts.sort_values("dev_accuracy", ascending=False, kind="stable").drop_duplicates(["version", "task"])
    cut = (
        " > " + rows["cut"].map("{:g}".format, na_action="ignore").astype(object) + ": " + rows["above"].astype(object)
    )
    texts = rows["test_accuracy"].map("{:.0%}".format) + " (" + rows["feature"] + cut.fillna("") + ")"
    wide = rows.assign(text=texts).pivot(index="task", columns="version", values="text")
    order = list(dict.fromkeys(shortcuts["task"]))
    columns = list(dict.fromkeys(shortcuts["version"]))
    return wide.loc[order, columns].rename_axis(None, axis="columns").reset_index()


def pick(table: pd.DataFrame, **wanted: Any) -> pd.DataFrame:
    """Rows whose columns have the wanted values: one, several in a list, or None for a missing one."""
    chosen = table
    for name, value in wanted.items():
        values = value if isinstance(value, list | tuple) else [value]
        chosen = chosen[chosen[name].isin(values) | (chosen[name].isna() & (None in values))]
    return chosen


def as_chosen(table: pd.DataFrame) -> pd.DataFrame:
    """One row for each condition and task, by the reader that suits its form (`scoring.reader_of`), called "choice"."""
    return table[table["reader"] == table["form"].map(reader_of)].assign(reader=CHOICE)


def main_rows(table: pd.DataFrame, version: str, k: int) -> pd.DataFrame:
    """The main table's rows: one set of items, controls, and models with k shots."""
    control = table["model"].str.startswith(CONTROL)
    return table[(table["version"] == version) & (control | (table["k"] == k))]


def comparison_table(comparison: pd.DataFrame) -> pd.DataFrame:
    """A `comparison.compare` with the difference and its interval in one column."""
    middle = comparison.assign(mean=comparison["difference"])
    texts = [with_interval(line, 3) for line in middle.to_dict("records")]
    kept = comparison[["task", "items", "first", "second"]].assign(**{"second - first (95%)": texts})
    chances = {"p": comparison["p"], "p, ten tasks (Holm)": comparison["p_holm"]}
    return kept.assign(**{name: values.map("{:.2g}".format) for name, values in chances.items()})


def comparison_sentence(comparison: pd.DataFrame, what: str) -> str:
    """What a comparison says in all, and in which tasks it is sure."""
    whole = overall(comparison)
    difference = with_interval({"mean": whole["difference"], "low": whole["low"], "high": whole["high"]}, 3)
    certain = list(comparison.loc[comparison["p_holm"] < 0.05, "task"])
    tasks = ", ".join(certain) if certain else "no task"
    return (
        f"**{what}**: the mean accuracy goes from {whole['first']:.3f} to {whole['second']:.3f}, a difference of "
        f"{difference} (exact McNemar over all items: p = {whole['p']:.2g}). Corrected for ten tasks, p < 0.05 in "
        f"{tasks}."
    )


def replies_table(judged: pd.DataFrame) -> pd.DataFrame:
    """How many replies of whom are stored, how many with a text and how many with log-probabilities."""
    groups = judged.groupby(["model", "form", "k", "version"], sort=False)
    counts = groups[["replied", "scored"]].sum().assign(replies=groups.size())
    counts = counts.rename(columns={"replied": "with a text", "scored": "with log-probabilities"})
    return counts.reset_index()[["model", "form", "k", "version", "replies", "with a text", "with log-probabilities"]]


def readers_table(table: pd.DataFrame) -> pd.DataFrame:
    """How the ways to read a reply differ: means over the ten tasks, by model, shots and reader.

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
    return pd.DataFrame(rows)


def versions_table(chosen: pd.DataFrame) -> pd.DataFrame:
    """Mean accuracy over the ten tasks, a row for each model and number of shots, a column for each set of items.

    Args:
        chosen: what `as_chosen` gave.
    """
    means = mean_over_tasks(chosen, ["model", "k", "version"])
    texts = means.assign(text=[with_interval(line, 3) for line in means.to_dict("records")])
    wide = texts.pivot(index=["model", "k"], columns="version", values="text")
    return wide[list(dict.fromkeys(means["version"]))].rename_axis(None, axis="columns").reset_index()
