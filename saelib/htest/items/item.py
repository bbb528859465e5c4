"""Test items, and the file they are kept in: `items.jsonl`, the border between items and engines.

Official and generated items have the same form, so that nothing to the right of them can tell them apart.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from saelib.htest.items.sealed import read_sealed, write_sealed
from saelib.htest.tasks import LETTER_GEOMETRY, LETTERS, TASKS
from saelib.run.files import path_part
from saelib.run.reading import DamagedFileError

SPLITS = ("train", "dev", "test")
CONTENT_FREE = "content_free"  # the split of questions without content, which have no right answer
CONTENT_FREE_TEXTS = ("N/A", "", "[MASK]")  # those of Zhao et al. (2021), "Calibrate Before Use"
KINDS = {str: "a text", int: "a whole number", tuple: "a list"}


@dataclass(frozen=True)
class Item:
    """One text with its right answer."""

    task: str
    """A key of `TASKS`, or `LETTER_GEOMETRY`."""
    split: str
    """ "dev" gives the shots, "test" is asked, "train" is for fine-tuning; "content_free" shows what a model says to
    nothing."""
    row: int
    """Line of the official file, or place among the generated items of the split; counted from 1."""
    text: str
    label: str
    """The right one of `options`; empty where the split is "content_free"."""
    options: tuple[str, ...]
    """("A", "B"), or the four symbols of a letter-geometry question."""
    seed: int
    """What the item was generated with."""
    item_set: str
    """The set of items that it belongs to: "official-4787987" or "fresh-2"."""

    def __post_init__(self) -> None:
        """Refuse what cannot be asked, or would be kept elsewhere: set and task name the files of replies.

        Raises:
            TypeError: a field of another kind, such as a number written as a text.
            ValueError: an unknown task or split, a row below 0, a set that no file can be called by, a text that is
                empty or no Unicode, or a label that is no option.
        """
        check_kinds(self, task=str, split=str, row=int, text=str, label=str, options=tuple, seed=int, item_set=str)
        if self.task not in TASKS and self.task != LETTER_GEOMETRY:
            raise ValueError(f"task {self.task!r} is unknown; choose one of {', '.join([*TASKS, LETTER_GEOMETRY])}")
        if self.split not in (*SPLITS, CONTENT_FREE):
            raise ValueError(f"split {self.split!r} is unknown; choose one of {', '.join(SPLITS)}")
        path_part(self.item_set, "item_set")
        if self.row < 0:
            raise ValueError(f"row={self.row} should be 0 or more")
        for text in (self.text, *self.options):
            check_unicode(text)
        is_free = self.split == CONTENT_FREE
        if not self.text.strip() and not is_free:
            raise ValueError(f"{self.key}: the text is empty")
        if self.label not in (("",) if is_free else self.options):
            raise ValueError(f"{self.key}: label {self.label!r} is none of the options {list(self.options)}")
        if self.task in TASKS and self.options != LETTERS:
            raise ValueError(f"{self.key}: options {list(self.options)} should be {list(LETTERS)}")

    @property
    def key(self) -> str:
        """Unlike that of any other item: "official-4787987/12062023/rhyme/test/17"."""
        return f"{self.item_set}/{self.seed}/{self.task}/{self.split}/{self.row}"


def check_kinds(value: object, **kinds: type) -> None:
    """Refuse fields that are of another kind than they should be; True is no number.

    Raises:
        TypeError: one is.
    """
    for name, kind in kinds.items():
        found = getattr(value, name)
        if type(found) is not kind:
            raise TypeError(f"{name}={found!r:.60} should be {KINDS[kind]}")


def check_unicode(text: object) -> None:
    """Refuse half a surrogate pair, which a JSON escape can name and no tokenizer and no file can hold.

    Raises:
        TypeError: it is no text at all.
        ValueError: it has one.
    """
    if not isinstance(text, str):
        raise TypeError(f"{text!r:.60} should be a text")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"sign {error.start + 1} of {text!r:.60} is half of a surrogate pair; take it out") from error


def write_items(path: Path, items: Iterable[Item]) -> None:
    """Write items as JSON lines, atomically and sealed (`items.sealed`)."""
    write_sealed(path, map(asdict, items))


def read_items(path: Path) -> list[Item]:
    """Items of a file that `write_items` wrote.

    Raises:
        DamagedFileError: a line is not an item, or not what was written, or two items have one key; the message names
            file and line.
    """
    items = read_sealed(path, item_of)
    check_keys(path, items)
    return items


def check_keys(path: Path, items: Sequence[Item]) -> None:
    """Refuse items of one key: replies are found by it.

    Raises:
        DamagedFileError: two have one.
    """
    if twice := [key for key, count in Counter(item.key for item in items).items() if count > 1]:
        raise DamagedFileError(f"{path}: the item {twice[0]} is there more than once; leave one of them")


def item_of(values: dict[str, Any]) -> Item:
    """An item from the JSON object of a line.

    Raises:
        TypeError, ValueError: it is none.
    """
    # Earlier releases called the set of items "version", and their replies may have been paid for.
    if "version" in values:
        values = values | {"item_set": values["version"]}
    if absent := [field.name for field in fields(Item) if field.name not in values]:
        raise ValueError(f"{', '.join(absent)} is missing")
    named = {field.name: values[field.name] for field in fields(Item)}
    if not isinstance(named["options"], list | tuple):
        raise TypeError(f"options={named['options']!r:.60} should be a list")
    return Item(**(named | {"options": tuple(named["options"])}))


def select(items: Iterable[Item], task: str, split: str, item_set: str | None = None) -> list[Item]:
    """Items of one task and split, in their order; of one set of items where it is given."""
    return [item for item in items if item.task == task and item.split == split and item_set in (None, item.item_set)]


def content_free_items(item_set: str, task: str, seed: int) -> list[Item]:
    """Questions without content, to be asked like a task's items: what a model says to them is its preference."""
    return [Item(task=task, split=CONTENT_FREE, row=row, text=text, label="", options=LETTERS, seed=seed,
                 item_set=item_set) for row, text in enumerate(CONTENT_FREE_TEXTS, start=1)]  # fmt: skip


def hash_items(items: Sequence[Item]) -> str:
    """SHA-256 of what is asked and what is right, in order: the evaluation hash of H-Test results."""
    content = [(item.task, item.split, item.text, item.label, item.options) for item in items]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
