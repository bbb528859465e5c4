"""What is wrong with a set of items: labels against the rules, repeats, overlaps, shortcuts.

In: items. Out: tables, one row for each task. A text is repeated where it is the same to the letter; in
letter geometry its options must be the same too.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from saelib.htest.audit.rules import RULES
from saelib.htest.audit.shortcuts import RAREST_OPTION, best_threshold, rarest_option_accuracy
from saelib.htest.items.item import SPLITS, Item

if TYPE_CHECKING:
    import pandas as pd

SHARES = ("shortcut_dev", "shortcut_test")
WORDS = ("item_set", "task", "shortcut")


def audit(items: Sequence[Item]) -> "pd.DataFrame":
    """Counts of what is wrong, one row for each set of items, seed and task.

    Returns:
        For each split that occurs: `<split>_items`, of them `<split>_a` with label A, `<split>_disagreements` with the
        rule, and `<split>_repeats`, extra copies within the split. `unknown`: items whose label the rule cannot tell.
        `overlaps`: test items that dev or train holds too. `conflicts`: texts that stand with several labels.
        `repeated_options`: letter-geometry items that offer a symbol twice. `shortcut`: the best cut by its accuracy on
        dev, or for letter geometry the rarest option, with its accuracy. What does not apply to a task is NA.
    """
    import pandas as pd

    groups: dict[tuple[str, int, str], list[Item]] = defaultdict(list)
    for item in items:
        groups[item.item_set, item.seed, item.task].append(item)
    splits = [split for split in SPLITS if any(item.split == split for item in items)]
    rows = [
        dict(zip(("item_set", "seed", "task"), key, strict=True)) | _count(group, splits)
        for key, group in groups.items()
    ]
    table = pd.DataFrame(rows)
    return table.astype({name: "Float64" if name in SHARES else "Int64" for name in table if name not in WORDS})


def disagreements(items: Sequence[Item]) -> "pd.DataFrame":
    """Every item whose label is not what the rule of its task says."""
    import pandas as pd

    columns = ["item_set", "seed", "task", "split", "row", "text", "label", "rule"]
    rows = [[getattr(item, name) for name in columns[:-1]] + [label_by_rule(item)] for item in filter(_disputed, items)]
    return pd.DataFrame(rows, columns=columns)


def label_by_rule(item: Item) -> str | None:
    """What the rule of the item's task says; None where it cannot tell, or the task has none."""
    return RULES[item.task](item.text) if item.task in RULES else None


def _disputed(item: Item) -> bool:
    return label_by_rule(item) not in (None, item.label)


def _count(items: list[Item], splits: list[str]) -> dict[str, Any]:
    """The row of one set of items, seed and task."""
    has_rule = items[0].task in RULES
    by_split = {split: [item for item in items if item.split == split] for split in splits}
    row: dict[str, Any] = {}
    for split, part in by_split.items():
        row[f"{split}_items"] = len(part)
        row[f"{split}_a"] = sum(item.label == "A" for item in part) if has_rule else None
        row[f"{split}_disagreements"] = sum(map(_disputed, part)) if has_rule else None
        row[f"{split}_repeats"] = len(part) - len(set(map(_asked, part)))
    elsewhere = {_asked(item) for item in items if item.split != "test"}
    labels = Counter(asked for asked, _ in {(_asked(item), item.label) for item in items})
    return row | {
        "unknown": sum(label_by_rule(item) is None for item in items) if has_rule else None,
        "overlaps": sum(_asked(item) in elsewhere for item in by_split.get("test", [])),
        "conflicts": sum(count > 1 for count in labels.values()),
        "repeated_options": None if has_rule else sum(len(set(item.options)) < len(item.options) for item in items),
        **_best_shortcut(by_split.get("dev", []), by_split.get("test", []), has_rule),
    }


def _asked(item: Item) -> tuple[str, ...]:
    """What makes two items the same question; the order of the options does not matter."""
    return item.text, *sorted(item.options)


def _best_shortcut(dev: list[Item], test: list[Item], has_rule: bool) -> dict[str, Any]:
    if not has_rule:
        return {"shortcut": RAREST_OPTION, "shortcut_dev": None,
                "shortcut_test": rarest_option_accuracy(test) if test else None}  # fmt: skip
    best = best_threshold(dev) if dev else None
    return {
        "shortcut": best and f"{best.feature.name} > {best.cut:g}: {best.above}",
        "shortcut_dev": best and best.accuracy(dev),
        "shortcut_test": best.accuracy(test) if best and test else None,
    }
