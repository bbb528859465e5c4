"""Replies made up for the tests of scoring, tables and figures: what is said is given, nothing is asked."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from saelib.htest.asking.replies import Condition, Reply
from saelib.htest.items.item import Item
from saelib.htest.tasks import LETTER_GEOMETRY, LETTERS, TASKS


def make_item(row: int, task: str = "uppercase", label: str | None = None, text: str = "") -> Item:
    """Odd rows are A, even ones B."""
    options = ("p", "q", "d", "b") if task == LETTER_GEOMETRY else LETTERS
    label = label or options[(row + 1) % len(options)]
    text = text or f"text {row}"
    return Item(task=task, split="test", row=row, text=text, label=label, options=options, seed=0, item_set="fresh-2")


def make_reply(
    item: Item, said: str | None = None, margin: float | None = None, judge: str | None = None,
    verdict: str | None = None, **condition: Any,
) -> Reply:  # fmt: skip
    """A reply with raw text, or with log-probabilities of A and B that differ by `margin`, or with both."""
    chances = None if margin is None else {"A": -3 + margin / 2, "B": -3 - margin / 2}
    values: dict[str, Any] = {"model": "embedded", "form": "chat", "k": 4}
    asked = Condition(**(values | condition))
    return Reply(item=item, condition=asked, prompt="?", reply=said, log_probabilities=chances, usage={},
                 judge=judge, verdict=verdict)  # fmt: skip


def replies_of(
    say: Callable[[Item], str], items: int = 20, tasks: Iterable[str] = ("uppercase",), **condition: Any
) -> list[Reply]:
    """What a replier says to every item."""
    return [make_reply(item, say(item), **condition) for task in tasks for item in
            (make_item(row, task) for row in range(1, items + 1))]  # fmt: skip


def noisy_replies(
    knowledge: float, preference: float, items: int = 60, seed: int = 0, tasks: Iterable[str] = TASKS, **condition: Any
) -> list[Reply]:
    """Replies with margins: `knowledge` moves those of A up and those of B down, `preference` all of them."""
    random = np.random.default_rng(seed)
    replies = []
    for place, task in enumerate(tasks):
        for row in range(1, items + 1):
            item = make_item(row, task)
            side = 1 if item.label == "A" else -1
            margin = float(random.normal(knowledge * (1 + place % 4) / 2 * side + preference, 1))
            replies.append(make_reply(item, "A" if margin > 0 else "B", margin, **condition))
    return replies
