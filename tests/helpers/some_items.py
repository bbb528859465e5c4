"""Items made by hand, and the authors' released ones where they are at hand."""

import functools

import pytest

from saelib.htest.items.item import Item
from saelib.htest.items.official import load_official
from saelib.run.files import PROJECT

OFFICIAL = PROJECT.parent / "shared" / "htest_official"  # the authors' released files; not part of the project
needs_official = pytest.mark.skipif(not OFFICIAL.is_dir(), reason=f"{OFFICIAL} is not on this machine")


@functools.cache
def official_items() -> tuple[Item, ...]:
    return tuple(load_official(OFFICIAL))


def made(task: str, texts: str | list[str], label: str, split: str = "test", version: str = "made") -> list[Item]:
    """One item for each text, "/" between them, all with one label."""
    listed = texts.split("/") if isinstance(texts, str) else texts
    return [Item(task, split, row, text, label, ("A", "B"), 0, version) for row, text in enumerate(listed, start=1)]


def question(text: str, options: str, label: str, row: int = 1, version: str = "made") -> Item:
    return Item("letter_geometry", "test", row, text, label, tuple(options), 0, version)
