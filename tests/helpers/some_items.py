"""Items made by hand, and the authors' released ones where they are at hand."""

import functools

import pytest

from saelib.htest.items.item import Item
from saelib.htest.items.official import load_official, released_sums
from saelib.run.files import PROJECT

# The authors' released files are no part of the project. They are in the cache once the experiment has run here.
PLACES = (PROJECT / "runs" / "cache" / "htest_official", PROJECT.parent / "shared" / "htest_official")
OFFICIAL = next((place for place in PLACES if len(list(place.rglob("*.jsonl"))) == len(released_sums())), PLACES[-1])
NOT_HERE = f"the released H-Test items are in none of {', '.join(map(str, PLACES))}; `make reproduce` fetches them"
needs_official = pytest.mark.skipif(not OFFICIAL.is_dir(), reason=NOT_HERE)


@functools.cache
def official_items() -> tuple[Item, ...]:
    return tuple(load_official(OFFICIAL))


def made(task: str, texts: str | list[str], label: str, split: str = "test", item_set: str = "made") -> list[Item]:
    """One item for each text, "/" between them, all with one label."""
    listed = texts.split("/") if isinstance(texts, str) else texts
    return [Item(task, split, row, text, label, ("A", "B"), 0, item_set) for row, text in enumerate(listed, start=1)]


def question(text: str, options: str, label: str, row: int = 1, item_set: str = "made") -> Item:
    return Item("letter_geometry", "test", row, text, label, tuple(options), 0, item_set)
