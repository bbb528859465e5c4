"""What each reply says, by every way to read it: the table that all scoring starts from.

In: replies. Out: one row for each reply (`readings_of`). A reader is a way to find the choice: `paper` and `strict`
parse the text, `likelier` takes the option with the larger log-probability, and `calibrated` takes from that margin
what it is where there is nothing to read (contextual calibration: Zhao et al. 2021, "Calibrate Before Use").
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from saelib.htest.asking.parsers import PARSERS
from saelib.htest.asking.replies import Condition, Reply
from saelib.htest.asking.thinking import without_thoughts
from saelib.htest.config import TUNED
from saelib.htest.items.item import CONTENT_FREE, CONTENT_FREE_TEXTS, Item, hash_items
from saelib.htest.tasks import LETTER_GEOMETRY, LETTERS, TASKS

READERS = (*PARSERS, "likelier", "calibrated")
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
    `margin`, log p(A) - log p(B) in nats, NaN without log-probabilities and for letter geometry; `content_free`, the
    same of the mean probabilities of A and B after content-free questions with the same shots, NaN where none were
    asked, and `calibrated`, A where the margin is above it; `replied`, whether a
    text was asked for, also where a problem came back, which counts as none; `scored`, whether the log-probabilities of
    all options are known; `sample`, which of an item's replies it is; `items_sha256`, the hash of the items that the
    reply's condition and task were asked. Where an API changed its model under way, `revision` holds all that it named.

    Args:
        replies: those to content-free questions have no rows of their own.

    Raises:
        ValueError: there are no replies to items, or two different items have one key.
    """
    given = list(replies)
    asked = [reply for reply in given if reply.item.split != CONTENT_FREE]
    preferences = _preferences([reply for reply in given if reply.item.split == CONTENT_FREE])
    rows = [_reading(reply, preferences.get(_place_of(reply), np.nan)) for reply in asked]
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


def can_read(rows: pd.DataFrame, reader: "str | pd.Series") -> "pd.Series":
    """Whether what a reader reads is there, by row.

    Args:
        reader: one of `READERS`, or one for each row.
    """
    readers = pd.Series(reader, rows.index)
    calibrated = rows["scored"] & rows["content_free"].notna()
    return rows["replied"].mask(readers == "likelier", rows["scored"]).mask(readers == "calibrated", calibrated)


def _preferences(replies: Sequence[Reply]) -> dict[tuple[str, str, str], float]:
    """What a model's margin is where there is nothing to read, by `_place_of`; probabilities are averaged, not logs.

    A place of which one question has no log-probabilities has no preference: the others are another mean.
    """
    chances = defaultdict(list)
    for reply in replies:
        if reply.log_probabilities:
            chances[_place_of(reply)].append([reply.log_probabilities[letter] for letter in LETTERS])
    sums = {place: np.logaddexp.reduce(found, axis=0) for place, found in chances.items()}
    return {place: float(of_a - of_b) for place, (of_a, of_b) in sums.items()
            if len(chances[place]) == len(CONTENT_FREE_TEXTS)}  # fmt: skip


def _place_of(reply: Reply) -> tuple[str, str, str]:
    """The task of a set under a condition, whose items and content-free questions have the same shots."""
    return reply.item.item_set, reply.item.task, _name(reply.condition)


def _reading(reply: Reply, content_free: float) -> dict[str, Any]:
    item, condition, chances = reply.item, reply.condition, reply.log_probabilities
    text = _said(reply)
    said = {name: None if text is None else parse(text, item.options) for name, parse in PARSERS.items()}
    margin = chances["A"] - chances["B"] if chances and item.options == LETTERS else np.nan
    said["likelier"] = _likelier(chances) if chances else None
    said["calibrated"] = None if not abs(margin - content_free) > 0 else "A" if margin > content_free else "B"
    return {
        **dict(zip(ITEM_COLUMNS, (item.item_set, item.seed, item.task, item.split, item.row), strict=True)),
        **{name: getattr(condition, name) for name in CONDITION_COLUMNS if name != "judge"},
        "judge": reply.judge or "",
        "condition": _name(condition),
        "label": item.label,
        **said,
        CHOICE: said[reader_of(condition.form)],
        "margin": margin,
        "content_free": content_free,
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
