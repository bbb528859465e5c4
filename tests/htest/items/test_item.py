"""Items survive their files whole, and a broken line is named."""

import json
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest

from saelib.htest.items.item import Item, content_free_items, hash_items, item_of, read_items, select, write_items
from saelib.htest.items.sources import load_path
from saelib.run.reading import DamagedFileError

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
    [('{"task": "uppercase"}', "ValueError: split, row"), ("{", "JSONDecodeError"), ("[]", "TypeError")],
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


@pytest.mark.parametrize("changes", [
    {"row": "3"}, {"row": 3.0}, {"row": True}, {"row": None}, {"seed": "0"}, {"text": 3}, {"text": None}, {"label": 1},
    {"options": "AB"}, {"options": {"A": 1, "B": 2}}, {"options": None}, {"options": ["A", 2]}, {"task": 3},
    {"task": []}, {"split": [1]}, {"item_set": 3}, {"row": -1}, {"text": "half \ud83d"}, {"item_set": "../../../evil"},
    {"version": "../../../evil"}, {"version": 1}, {"label": "C"}, {"options": []},
])  # fmt: skip
def test_a_field_of_another_kind_is_named(tmp_path: Path, changes: dict[str, object]) -> None:
    path, name = tmp_path / "items.jsonl", next(iter(changes)).replace("version", "item_set")
    path.write_text(json.dumps(asdict(ITEMS[0]) | changes) + "\n", encoding="utf-8")
    for read in (read_items, load_path):
        with pytest.raises(ValueError, match=rf"items\.jsonl, line 1.*({name}|surrogate|a text)"):
            read(path)
    assert [file.name for file in tmp_path.iterdir()] == ["items.jsonl"]


@pytest.mark.parametrize("name", [field.name for field in fields(Item)])
def test_a_field_that_is_missing_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / "items.jsonl"
    values = asdict(ITEMS[0])
    del values[name]
    path.write_text(json.dumps(values) + "\n", encoding="utf-8")
    with pytest.raises(DamagedFileError, match=rf"items\.jsonl, line 1, .*{name} is missing.*put the file back"):
        read_items(path)


def test_two_items_of_one_key_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    write_items(path, [ITEMS[0], replace(ITEMS[0], text="another text")])
    for read in (read_items, load_path):
        with pytest.raises(DamagedFileError, match="the item fresh-2/3/uppercase/test/1 is there more than once"):
            read(path)


def test_a_changed_label_is_found(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    write_items(path, ITEMS)
    path.write_bytes(path.read_bytes().replace(b'"label": "B"', b'"label": "A"'))
    for read in (read_items, load_path):
        with pytest.raises(ValueError, match=r"items\.jsonl, line 2.*that of another content"):
            read(path)


def test_questions_without_content_have_no_right_answer() -> None:
    items = content_free_items("fresh-2", "rhyme", 7)
    assert [item.text for item in items] == ["N/A", "", "[MASK]"]
    assert [item.key for item in items] == [f"fresh-2/7/rhyme/content_free/{row}" for row in (1, 2, 3)]
    assert {item.label for item in items} == {""} and item_of(asdict(items[1])) == items[1]
    with pytest.raises(ValueError, match="label 'A' is none"):
        replace(items[1], label="A")
    with pytest.raises(ValueError, match="the text is empty"):
        replace(items[1], split="test")
