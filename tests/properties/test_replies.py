"""Replies of any text come back as they were written; a damaged file of them is refused by its name."""

from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saelib.htest.asking.replies import Condition, Reply, as_stored, read_replies, write_replies
from saelib.htest.items.item import Item
from saelib.run.reading import DamagedFileError
from tests.properties.strategies import damaged, model_texts, with_other_values

ITEM = Item("rhyme", "test", 1, "hat, cat", "A", ("A", "B"), 0, "fresh-2")
CONDITION = Condition(model="listener", revision="1", form="chat", k=0)
any_text = model_texts | st.text(st.characters(exclude_categories=()), max_size=30)  # halves of surrogate pairs too
nats = st.floats(-100, 0)
whole = st.builds(
    Reply,
    item=st.just(ITEM),
    condition=st.just(CONDITION),
    prompt=st.text(max_size=30),
    reply=st.none() | any_text,
    log_probabilities=st.none() | st.fixed_dictionaries({"A": nats, "B": nats}),
    usage=st.dictionaries(st.sampled_from(["input_tokens", "output_tokens"]), st.integers(0, 10**9)),
    problem=st.none() | any_text,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a file of replies."""
    return tmp_path / "rhyme.jsonl"


@given(replies=st.lists(whole, min_size=1, max_size=4))
def test_replies_come_back_as_they_were_written(path: Path, replies: list[Reply]) -> None:
    path.unlink(missing_ok=True)
    write_replies(path, replies)
    assert read_replies(path) == replies


@given(replies=st.lists(whole, min_size=1, max_size=3), data=st.data())
def test_a_damaged_file_never_has_other_replies(path: Path, replies: list[Reply], data: st.DataObject) -> None:
    path.unlink(missing_ok=True)
    write_replies(path, replies)
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    try:
        assert read_replies(path) == replies
    except DamagedFileError as error:
        assert path.name in str(error)


A_REPLY = as_stored(Reply(item=ITEM, condition=CONDITION, prompt="?", reply="A", log_probabilities=None, usage={}))


@given(content=with_other_values(A_REPLY) | with_other_values(A_REPLY | {"condition": asdict(CONDITION)}))
def test_a_line_of_other_values_is_a_reply_or_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        assert all(isinstance(reply, Reply) for reply in read_replies(path))
    except DamagedFileError as error:
        assert path.name in str(error)
