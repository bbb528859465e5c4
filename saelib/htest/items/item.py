"""Test items, and the file they are kept in: `items.jsonl`, the border between items and engines.

Official and generated items have the same form, so that nothing to the right of them can tell them apart.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from saelib.htest.tasks import LETTER_GEOMETRY, LETTERS, TASKS
from saelib.run.config import folder_name
from saelib.run.files import read_json_lines, write_json_lines

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Item:
    """One text with its right answer."""

    task: str
    """A key of `TASKS`, or `LETTER_GEOMETRY`."""
    split: str
    """ "dev" gives the shots, "test" is asked, "train" is for fine-tuning."""
    row: int
    """Line of the official file, or place among the generated items of the split; counted from 1."""
    text: str
    label: str
    """The right one of `options`."""
    options: tuple[str, ...]
    """("A", "B"), or the four symbols of a letter-geometry question."""
    seed: int
    """What the item was generated with."""
    item_set: str
    """The set of items that it belongs to: "official-4787987" or "fresh-2"."""

    def __post_init__(self) -> None:
        """Refuse what cannot be asked, or would be kept elsewhere: set and task name the files of replies.

        Raises:
            ValueError: an unknown task or split, a set that no file can be called by, an empty text, or a label that is
                no option.
        """
        if self.task not in TASKS and self.task != LETTER_GEOMETRY:
            raise ValueError(f"task {self.task!r} is unknown; choose one of {', '.join([*TASKS, LETTER_GEOMETRY])}")
        if self.split not in SPLITS:
            raise ValueError(f"split {self.split!r} is unknown; choose one of {', '.join(SPLITS)}")
        try:
            folder_name(self.item_set)
        except ValueError as error:
            raise ValueError(f"item_set={self.item_set!r}: {error}") from error
        if not self.text.strip():
            raise ValueError(f"{self.key}: the text is empty")
        if self.label not in self.options:
            raise ValueError(f"{self.key}: label {self.label!r} is none of the options {list(self.options)}")
        if self.task in TASKS and self.options != LETTERS:
            raise ValueError(f"{self.key}: options {list(self.options)} should be {list(LETTERS)}")

    @property
    def key(self) -> str:
        """Unlike that of any other item: "official-4787987/12062023/rhyme/test/17"."""
        return f"{self.item_set}/{self.seed}/{self.task}/{self.split}/{self.row}"


def write_items(path: Path, items: Iterable[Item]) -> None:
    """Write items as JSON lines, atomically."""
    write_json_lines(path, map(asdict, items))


def read_items(path: Path) -> list[Item]:
    """Items of a file that `write_items` wrote.

    Raises:
        ValueError: a line is not an item; the message names file and line.
    """
    return read_json_lines(path, item_of)


def item_of(values: dict[str, Any]) -> Item:
    """An item from the JSON object of a line."""
    # Earlier releases called the set of items "version", and their replies may have been paid for.
    if "version" in values:
        values = values | {"item_set": values["version"]}
    named = {field.name: values[field.name] for field in fields(Item)}
    return Item(**(named | {"options": tuple(named["options"])}))


def select(items: Iterable[Item], task: str, split: str, item_set: str | None = None) -> list[Item]:
    """Items of one task and split, in their order; of one set of items where it is given."""
    return [item for item in items if item.task == task and item.split == split and item_set in (None, item.item_set)]


def hash_items(items: Sequence[Item]) -> str:
    """SHA-256 of what is asked and what is right, in order: the evaluation hash of H-Test results."""
    content = [(item.task, item.split, item.text, item.label, item.options) for item in items]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
