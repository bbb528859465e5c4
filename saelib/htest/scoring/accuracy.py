"""From replies to accuracies: what each reply says, and how often that is right, with intervals.

In: replies. Out: one row a reply (`judgements`), then one row a group and reader (`accuracy_table`). A reader is a way
to find the choice: `paper` and `strict` parse the text, `likelier` takes the option with the larger log-probability.
The paper reports accuracy with none counted wrong, accuracy over the answered, and the share of none. The AUROC of
the margin and the accuracy at its median are added here: a model that knows and always prefers B shows in them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from saelib.htest.asking.parsers import PARSERS
from saelib.htest.asking.replies import Reply
from saelib.htest.items.item import Item, hash_items
from saelib.htest.tasks import LETTER_GEOMETRY, LETTERS, TASKS
from saelib.results.intervals import auroc_with_interval, bias_free_correct, mean_with_bounds, wilson

READERS = (*PARSERS, "likelier")
CHOICE = "choice"  # the reader that suits the form of the prompt
ITEM_COLUMNS = ["version", "item_seed", "task", "split", "row"]
CONDITION_COLUMNS = ["model", "revision", "form", "k", "shuffle_seed", "temperature", "seed", "judge"]
TASK_ORDER = [*TASKS, LETTER_GEOMETRY]
BOUNDS = {  # columns of the interval of each value
    "accuracy": ("low", "high"),
    "auroc": ("auroc_low", "auroc_high"),
    "bias_free_accuracy": ("bias_free_low", "bias_free_high"),
}


def judgements(replies: Iterable[Reply]) -> pd.DataFrame:
    """One row a reply: item, condition, and what each reader takes it to say.

    Columns beside those of item and condition: `label`; `paper` and `strict`, read from the judge's verdict where
    there is one; `likelier`, None where two options are equally likely; `choice`, by the reader that suits the form;
    `margin`, log p(A) - log p(B) in nats, NaN without log-probabilities and for letter geometry; `replied` and
    `scored`, whether there are a raw reply and log-probabilities.

    Raises:
        ValueError: there are no replies.
    """
    rows = [_judgement(reply) for reply in replies]
    if not rows:
        raise ValueError("there are no replies to judge: run an engine first")
    choices = {name: pd.Series([row[name] for row in rows], dtype=object) for name in READERS}  # else None becomes NaN
    return pd.DataFrame(rows).assign(**choices).astype({"shuffle_seed": "Int64", "margin": float})


def reader_of(form: str) -> str:
    """The reader that suits a form of prompt.

    Whoever was asked in chat was told to reply with a letter, and the strict parser reads the reply. A base model was
    told nothing: of the two letters it chooses the likelier.
    """
    return "likelier" if form in ("completion", "bare") else "strict"


def _judgement(reply: Reply) -> dict[str, Any]:
    item, condition, chances = reply.item, reply.condition, reply.log_probabilities
    text = reply.reply if reply.judge is None else reply.verdict
    said = {name: None if text is None else parse(text, item.options) for name, parse in PARSERS.items()}
    said["likelier"] = _likelier(chances) if chances else None
    return {
        **dict(zip(ITEM_COLUMNS, (item.version, item.seed, item.task, item.split, item.row), strict=True)),
        **{name: getattr(condition, name) for name in CONDITION_COLUMNS if name != "judge"},
        "judge": reply.judge or "",
        "label": item.label,
        **said,
        CHOICE: said[reader_of(condition.form)],
        "margin": chances["A"] - chances["B"] if chances and item.options == LETTERS else np.nan,
        "replied": text is not None,
        "scored": bool(chances),
    }


def _likelier(chances: Mapping[str, float]) -> str | None:
    largest = [option for option, chance in chances.items() if chance == max(chances.values())]
    return largest[0] if len(largest) == 1 else None


def accuracy_table(judged: pd.DataFrame, by: Sequence[str] = ("version", "model", "form", "k", "task")) -> pd.DataFrame:
    """One row a group and reader; a reader for which nothing was recorded is left out.

    Columns: those of `by`, `reader`, `items`, `answered`, `correct`; `accuracy` (none counted wrong) with its Wilson
    95% interval `low` and `high`; `accuracy_answered`; `share_none`; `share_a`, how many of all items are said to be
    A; `auroc` of the margin for label A with `auroc_low` and `auroc_high`; `bias_free_accuracy`, at the group's median
    margin, with `bias_free_low` and `bias_free_high`. The last six, the same for every reader, are NaN without
    margins; for letter geometry `share_a` is NaN too.

    Args:
        by: columns that make the groups; together with the item they must tell any two rows apart.

    Raises:
        ValueError: an item is in a group more than once, or only some items of a group were replied to or scored.
    """
    lines = []
    for key, group in judged.groupby(list(by), sort=False, dropna=False, observed=True):
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
    if rows.duplicated(ITEM_COLUMNS).any():
        varying = [column for column in CONDITION_COLUMNS if rows[column].nunique(dropna=False) > 1]
        reason = f"they differ in {', '.join(varying)}: tell them apart by it" if varying else "drop the copies"
        raise ValueError(f"{name} holds an item more than once; {reason}")


def _readers(group: pd.DataFrame) -> list[str]:
    """Those for which the group has what they read."""
    for column in ("replied", "scored"):
        if 0 < group[column].sum() < len(group):
            mixed = f"only {group[column].sum()} of {len(group)} items of a group are marked `{column}`"
            raise ValueError(f"{mixed}; group by the conditions that differ, or ask the missing items again")
    recorded = {"likelier": "scored"}
    return [reader for reader in READERS if group[recorded.get(reader, "replied")].all()]


def _counts(group: pd.DataFrame, reader: str) -> dict[str, float]:
    items, choice = len(group), group[reader]
    answered, correct = int(choice.notna().sum()), int((choice == group["label"]).sum())
    low, high = wilson(correct, items)
    letters = not (group["task"] == LETTER_GEOMETRY).any()
    return {
        "items": items,
        "answered": answered,
        "correct": correct,
        "accuracy": correct / items,
        "low": low,
        "high": high,
        "accuracy_answered": correct / answered if answered else np.nan,
        "share_none": 1 - answered / items,
        "share_a": float((choice == "A").mean()) if letters else np.nan,
    }


def _ranking(group: pd.DataFrame) -> dict[str, float]:
    margins, is_a = group["margin"].to_numpy(), (group["label"] == "A").to_numpy()
    columns = [name for value in ("auroc", "bias_free_accuracy") for name in (value, *BOUNDS[value])]
    if np.isnan(margins).any() or is_a.all() or not is_a.any():
        return dict.fromkeys(columns, np.nan)
    correct = bias_free_correct(margins, is_a)
    values = (*auroc_with_interval(margins[is_a], margins[~is_a]), correct / len(group), *wilson(correct, len(group)))
    return dict(zip(columns, values, strict=True))


def mean_over_tasks(table: pd.DataFrame, by: Sequence[str], value: str = "accuracy") -> pd.DataFrame:
    """Mean over the ten tasks, each with the same weight, and its 95% interval: by, reader, mean, low, high, count.

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


def evaluation_hash(replies: Iterable[Reply]) -> str:
    """`hash_items` of the items that were asked, each once, in the order of tasks, splits and rows.

    Raises:
        ValueError: two different items have one key.
    """
    found: dict[str, Item] = {}
    for reply in replies:
        if found.setdefault(reply.item.key, reply.item) != reply.item:
            raise ValueError(f"two different items are called {reply.item.key}: the replies are of two item files")
    return hash_items(sorted(found.values(), key=_place))


def _place(item: Item) -> tuple[str, int, int, str, int]:
    return item.version, item.seed, TASK_ORDER.index(item.task), item.split, item.row
