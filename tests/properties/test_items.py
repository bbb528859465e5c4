"""Items from any file are items, or an error that names the file; any item comes back as it was written."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saelib.htest.items.item import SPLITS, Item, read_items, write_items
from saelib.htest.tasks import TASKS
from saelib.run.reading import DamagedFileError
from tests.properties.strategies import damaged, json_values, with_other_values

whole = st.builds(
    Item,
    task=st.sampled_from(sorted(TASKS)),
    split=st.sampled_from(SPLITS),
    row=st.integers(0, 10**6),
    text=st.text(min_size=1, max_size=60).filter(str.strip),
    label=st.sampled_from("AB"),
    options=st.just(("A", "B")),
    seed=st.integers(0, 2**32 - 1),
    item_set=st.from_regex(r"[a-z0-9][a-z0-9.-]{0,20}", fullmatch=True),
)
AN_ITEM = asdict(Item("rhyme", "test", 1, "hat, cat", "A", ("A", "B"), 0, "fresh-2"))
lines = whole.map(lambda item: json.dumps(asdict(item)).encode()) | with_other_values(AN_ITEM)
several = st.lists(whole, min_size=1, max_size=5, unique_by=lambda item: item.key)
contents = (
    st.lists(lines, min_size=1, max_size=4).map(b"\n".join)
    | json_values.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass"))
    | st.binary(max_size=200)
    | st.lists(lines, min_size=1, max_size=3).map(b"\n".join).flatmap(damaged)
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a file of items."""
    return tmp_path / "items.jsonl"


@given(items=several)
def test_items_come_back_as_they_were_written(path: Path, items: list[Item]) -> None:
    write_items(path, items)
    assert read_items(path) == items


@given(content=contents)
def test_a_file_of_items_is_read_or_refused_by_its_name(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        assert all(isinstance(item, Item) for item in read_items(path))
    except DamagedFileError as error:
        assert path.name in str(error)


@given(items=several, data=st.data())
def test_a_damaged_file_of_items_never_has_other_ones(path: Path, items: list[Item], data: st.DataObject) -> None:
    path.unlink(missing_ok=True)
    write_items(path, items)
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    try:
        assert read_items(path) == items
    except DamagedFileError as error:
        assert path.name in str(error)
