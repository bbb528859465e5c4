"""Items survive their files whole, and a broken line is named."""

from dataclasses import replace
from pathlib import Path

import pytest

from saelib.htest.items.item import Item, hash_items, item_of, read_items, select, write_items

STRANGE = "a “quote”, a\u2028separator, a \x85 and\ta tab"  # str.splitlines would cut this in three
ITEMS = [
    Item("uppercase", "test", 1, STRANGE, "A", ("A", "B"), 3, "fresh-2"),
    Item("rhyme", "dev", 2, "find mind", "B", ("A", "B"), 3, "official-4787987"),
    Item("letter_geometry", "test", 1, "Which?", "Ɛ", ("O", "Ɛ", "E", "N"), 3, "fresh-2"),
]


def test_items_come_back_as_they_were(tmp_path: Path) -> None:
    write_items(tmp_path / "items.jsonl", ITEMS)
    assert read_items(tmp_path / "items.jsonl") == ITEMS


def test_files_of_earlier_releases_are_read() -> None:
    written = {"task": "rhyme", "split": "dev", "row": 2, "text": "find mind", "label": "B", "options": ["A", "B"],
               "seed": 3, "version": "official-4787987"}  # fmt: skip
    assert item_of(written) == ITEMS[1]
    assert item_of(written).key == "official-4787987/3/rhyme/dev/2"


@pytest.mark.parametrize(
    ("line", "problem"),
    [('{"task": "uppercase"}', "KeyError: 'split'"), ("{", "JSONDecodeError"), ("[]", "TypeError")],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, problem: str) -> None:
    path = tmp_path / "items.jsonl"
    write_items(path, ITEMS[:1])
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=rf"items\.jsonl, line 2, cannot be read \({problem}"):
        read_items(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "upper"}, "task 'upper' is unknown; choose one of uppercase"),
        ({"split": "valid"}, "split 'valid' is unknown"),
        ({"text": " "}, "fresh-2/3/uppercase/test/1: the text is empty"),
        ({"label": "C"}, r"label 'C' is none of the options \['A', 'B'\]"),
        ({"options": ("A", "C")}, r"options \['A', 'C'\] should be \['A', 'B'\]"),
    ],
)
def test_what_cannot_be_asked_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(ITEMS[0], **changes)  # type: ignore[arg-type]


def test_select_keeps_the_order_and_knows_sets_of_items() -> None:
    assert select(ITEMS, "uppercase", "test") == ITEMS[:1]
    assert select(ITEMS, "rhyme", "dev", "fresh-2") == []


def test_the_hash_is_of_what_is_asked() -> None:
    assert hash_items(ITEMS) == hash_items([replace(item, seed=9, item_set="fresh-9") for item in ITEMS])
    assert hash_items(ITEMS) != hash_items([replace(ITEMS[0], label="B"), *ITEMS[1:]])
    assert hash_items(ITEMS) != hash_items(ITEMS[::-1])
