"""Engines without a model, whose accuracy is known beforehand: they reply through the same path as a model.

In: items and prompts. Out: answers with a text and no log-probabilities. They look at the item, not at its prompt, so
each answers alike whatever the form and the shots.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from saelib.htest.asking.prompts import Prompt
from saelib.htest.asking.replies import Answer, Condition, Engine
from saelib.htest.audit.rules import RULES
from saelib.htest.audit.shortcuts import best_threshold, rarest_option
from saelib.htest.items.item import Item
from saelib.htest.tasks import LETTER_GEOMETRY, TASKS

SHORTCUT = "shortcut"
CONTROLS = ("oracle", "constant_a", "constant_b", "coin", SHORTCUT)
GEOMETRY_CONTROLS = ("constant_a", "constant_b", "coin", "rarest_option")  # no rule knows the right symbol
UNKNOWN = "none"  # what the oracle replies where its rule cannot tell
Replier = Callable[[Item, int], str]  # the item and the condition's seed


def control_engine(name: str, items: Sequence[Item]) -> Engine:
    """An engine that replies without reading the prompt.

    Args:
        name: "oracle" replies what the task's rule says, "constant_a" the first option and "constant_b" the second,
            "coin" one drawn by the condition's seed and the item, whatever else is asked, "shortcut" what the best cut
            fitted on the task's dev split says, "rarest_option" the symbol that letter geometry offers least often.
        items: all there are. The shortcut takes their dev splits and the rarest option their letter geometry, each
            set of items and seed by itself; the other controls need none.

    Raises:
        ValueError: an unknown name. The engine raises it where the control cannot answer an item's task.
    """
    makers: dict[str, Callable[[Sequence[Item]], Replier]] = {
        "oracle": lambda items: _oracle,
        "constant_a": lambda items: lambda item, seed: item.options[0],
        "constant_b": lambda items: lambda item, seed: item.options[1],
        "coin": lambda items: _coin,
        SHORTCUT: _shortcut,
        "rarest_option": _rarest_option,
    }
    if name not in makers:
        raise ValueError(f"control {name!r} is unknown; choose one of {', '.join(makers)}")
    reply = makers[name](items)

    def engine(items: Sequence[Item], prompts: Sequence[Prompt], condition: Condition) -> list[Answer]:
        return [Answer(reply(item, condition.seed)) for item in items]

    return engine


def _oracle(item: Item, seed: int) -> str:
    if item.task not in RULES:
        raise ValueError(f"{item.key}: no rule knows the answer; use the control 'rarest_option'")
    return RULES[item.task](item.text) or UNKNOWN


def _coin(item: Item, seed: int) -> str:
    """Drawn from the item's own key, so that neither order nor batches matter."""
    digest = hashlib.sha256(f"{seed}/{item.key}".encode()).digest()
    return item.options[int.from_bytes(digest[:8]) % len(item.options)]


def _shortcut(items: Sequence[Item]) -> Replier:
    dev = _together(item for item in items if item.split == "dev" and item.task in TASKS)
    fitted = {source: best_threshold(part) for source, part in dev.items()}

    def reply(item: Item, seed: int) -> str:
        if _source(item) not in fitted:
            raise ValueError(f"{item.key}: the shortcut was given no dev items to be fitted on; give it those")
        return fitted[_source(item)].predict(item.text)

    return reply


def _rarest_option(items: Sequence[Item]) -> Replier:
    offered = _together(item for item in items if item.task == LETTER_GEOMETRY)
    pick = {source: rarest_option(part) for source, part in offered.items()}

    def reply(item: Item, seed: int) -> str:
        if _source(item) not in pick:
            raise ValueError(
                f"{item.key}: the rarest option was given no letter-geometry items to count; give it those"
            )
        return pick[_source(item)](item)

    return reply


def _source(item: Item) -> tuple[str, int, str]:
    return item.item_set, item.seed, item.task


def _together(items: Iterable[Item]) -> dict[tuple[str, int, str], list[Item]]:
    """Items by their set, seed and task: a cut of the official ones says nothing of fresh ones."""
    groups: dict[tuple[str, int, str], list[Item]] = defaultdict(list)
    for item in items:
        groups[_source(item)].append(item)
    return dict(groups)
