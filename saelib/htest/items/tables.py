"""Tables about sets of items: what a run has, and examples of each task.

In: items. Out: tables of texts for notebooks.
"""

from collections.abc import Sequence

import pandas as pd

from saelib.htest.items.item import Item, hash_items, select
from saelib.htest.tasks import LETTER_GEOMETRY, TASKS


def items_table(items: Sequence[Item]) -> pd.DataFrame:
    """One row for each set of items: its name, seed, number of tasks, items of each split, and the hash of them all."""
    rows = []
    for item_set in dict.fromkeys(item.item_set for item in items):
        mine = [item for item in items if item.item_set == item_set]
        counts = {split: sum(item.split == split for item in mine) for split in ("dev", "test")}
        rows.append({"items": item_set, "seed": str(mine[0].seed), "tasks": len({item.task for item in mine}),
                     "dev (shots)": counts["dev"], "test": counts["test"],
                     "SHA-256": hash_items(mine)[:12]})  # fmt: skip
    return pd.DataFrame(rows)


def examples_table(items: Sequence[Item], item_set: str) -> pd.DataFrame:
    """The first test item with label A, and the first with B, of each task it has; of letter geometry the first two."""
    rows = []
    for task, meaning in TASKS.items():
        texts = {item.label: item.text for item in reversed(select(items, task, "test", item_set))}
        if texts:  # a set of one's own may lack tasks
            rows.append({"task": task, f"A ({item_set})": texts.get("A"), f"B ({item_set})": texts.get("B"),
                         "A against B": f"{meaning.a} / {meaning.b}"})  # fmt: skip
    for item in select(items, LETTER_GEOMETRY, "test", item_set)[:2]:
        options = ", ".join(f"[{option}]" if option == item.label else option for option in item.options)
        rows.append({"task": item.task, f"A ({item_set})": item.text, f"B ({item_set})": options,
                     "A against B": "the right one in brackets"})  # fmt: skip
    return pd.DataFrame(rows)
