"""What each reply says, by every way to read it: the table that all scoring starts from.

In: replies. Out: one row for each reply (`readings_of`). A reader is a way to find the choice: `paper` and `strict`
parse the text, `likelier` takes the option with the larger log-probability.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from saelib.htest.asking.parsers import PARSERS
from saelib.htest.asking.replies import Condition, Reply
from saelib.htest.asking.thinking import without_thoughts
from saelib.htest.config import TUNED
from saelib.htest.items.item import Item, hash_items
from saelib.htest.tasks import LETTER_GEOMETRY, LETTERS, TASKS

READERS = (*PARSERS, "likelier")
CHOICE = "choice"  # the reader that suits the form of the prompt
ITEM_COLUMNS = ["item_set", "item_seed", "task", "split", "row"]
CONDITION_COLUMNS = ["model", "revision", "form", "k", "shuffle_seed", "temperature", "seed", "judge"]
KEYS = ("item_set", "model", "form", "k", "shuffle_seed", "temperature", "judge", "condition", "task")  # of what is
# scored together; the condition's name tells apart what differs in a setting without a column of its own
TASK_ORDER = [*TASKS, LETTER_GEOMETRY]


def readings_of(replies: Iterable[Reply]) -> pd.DataFrame:
    """One row for each reply: item, condition, and what each reader takes it to say.

    Columns beside those of item and condition: `label`; `paper` and `strict`, read from the judge's verdict where
    there is one; `likelier`, None where two options are equally likely; `choice`, by the reader that suits the form;
    `margin`, log p(A) - log p(B) in nats, NaN without log-probabilities and for letter geometry; `replied`, whether a
    text was asked for, also where a problem came back, which counts as none; `scored`, whether the log-probabilities of
    all options are known; `sample`, which of an item's replies it is; `items_sha256`, the hash of the items that the
    reply's condition and task were asked. Where an API changed its model under way, `revision` holds all that it named.

    Raises:
        ValueError: there are no replies, or two different items have one key.
    """
    asked = list(replies)
    rows = [_reading(reply) for reply in asked]
    if not rows:
        raise ValueError("there are no replies to read: run an engine first")
    choices = {name: pd.Series([row[name] for row in rows], dtype=object) for name in READERS}  # else None becomes NaN
    readings = pd.DataFrame(rows).assign(**choices).astype({"shuffle_seed": "Int64", "margin": float})
    for places in readings.groupby(list(KEYS), dropna=False, observed=True).indices.values():
        readings.loc[places, "items_sha256"] = evaluation_hash([asked[place] for place in places])
        named = {asked[place].condition.revision for place in places}  # a refused item comes without
        readings.loc[places, "revision"] = ", ".join(sorted(filter(None, named)))
    return readings


def reader_of(form: str) -> str:
    """The reader that suits a form of prompt.

    Whoever was asked in chat was told to reply with a letter, and the strict parser reads the reply. A base model was
    told nothing: of the two letters it chooses the likelier.
    """
    return "likelier" if form in ("completion", "bare") else "strict"


def _reading(reply: Reply) -> dict[str, Any]:
    item, condition, chances = reply.item, reply.condition, reply.log_probabilities
    text = _said(reply)
    said = {name: None if text is None else parse(text, item.options) for name, parse in PARSERS.items()}
    said["likelier"] = _likelier(chances) if chances else None
    return {
        **dict(zip(ITEM_COLUMNS, (item.item_set, item.seed, item.task, item.split, item.row), strict=True)),
        **{name: getattr(condition, name) for name in CONDITION_COLUMNS if name != "judge"},
        "judge": reply.judge or "",
        "condition": _name(condition),
        "label": item.label,
        **said,
        CHOICE: said[reader_of(condition.form)],
        "margin": chances["A"] - chances["B"] if chances and item.options == LETTERS else np.nan,
        "replied": (reply.reply if reply.judge is None else reply.verdict) is not None or reply.problem is not None,
        "scored": bool(chances),
        "sample": reply.sample,
    }


@cache
def _name(condition: Condition) -> str:
    """Of the condition as it was asked: an API's replies carry the revision that it named, which nobody asked for.

    A run has one content of each local model; only what it tunes itself may be tuned anew, under the same name.
    """
    return replace(condition, revision=condition.revision if condition.model.startswith(TUNED) else "").name()


def _said(reply: Reply) -> str | None:
    """What the parsers read: the reply, or its judge's verdict, without thoughts; nothing where there is a problem."""
    if reply.judge is None or reply.problem is not None:
        return reply.said
    return None if reply.verdict is None else without_thoughts(reply.verdict)


def _likelier(chances: Mapping[str, float]) -> str | None:
    largest = [option for option, chance in chances.items() if chance == max(chances.values())]
    return largest[0] if len(largest) == 1 else None


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
    return item.item_set, item.seed, TASK_ORDER.index(item.task), item.split, item.row
