"""Items and replies survive their files whole, and a broken line is named."""

from dataclasses import replace
from pathlib import Path

import pytest

from saelib.htest.asking.prompts import render
from saelib.htest.asking.replies import Answer, Condition, make_replies, read_replies, write_replies
from saelib.htest.items.item import Item, hash_items, read_items, select, write_items

STRANGE = "a “quote”, a\u2028separator, a \x85 and\ta tab"  # str.splitlines would cut this in three
ITEMS = [
    Item("uppercase", "test", 1, STRANGE, "A", ("A", "B"), 3, "fresh-1"),
    Item("rhyme", "dev", 2, "find mind", "B", ("A", "B"), 3, "official-4787987"),
    Item("letter_geometry", "test", 1, "Which?", "Ɛ", ("O", "Ɛ", "E", "N"), 3, "fresh-1"),
]


def test_items_come_back_as_they_were(tmp_path: Path) -> None:
    write_items(tmp_path / "items.jsonl", ITEMS)
    assert read_items(tmp_path / "items.jsonl") == ITEMS


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
        ({"text": " "}, "fresh-1/3/uppercase/test/1: the text is empty"),
        ({"label": "C"}, r"label 'C' is none of the options \['A', 'B'\]"),
        ({"options": ("A", "C")}, r"options \['A', 'C'\] should be \['A', 'B'\]"),
    ],
)
def test_what_cannot_be_asked_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(ITEMS[0], **changes)  # type: ignore[arg-type]


def test_select_keeps_the_order_and_knows_versions() -> None:
    assert select(ITEMS, "uppercase", "test") == ITEMS[:1]
    assert select(ITEMS, "rhyme", "dev", "fresh-1") == []


def test_the_hash_is_of_what_is_asked() -> None:
    assert hash_items(ITEMS) == hash_items([replace(item, seed=9, version="fresh-2") for item in ITEMS])
    assert hash_items(ITEMS) != hash_items([replace(ITEMS[0], label="B"), *ITEMS[1:]])
    assert hash_items(ITEMS) != hash_items(ITEMS[::-1])


def test_replies_come_back_as_they_were(tmp_path: Path) -> None:
    condition = Condition(model="control:coin", form="chat", k=0)
    answers = [Answer(STRANGE, {"A": -0.1, "B": -2.5}, {"input_tokens": 9}), Answer(None)]
    replies = make_replies(ITEMS[:2], render(ITEMS[:2], [], "chat"), condition, answers)
    write_replies(tmp_path / "replies.jsonl", replies)
    assert read_replies(tmp_path / "replies.jsonl") == replies
    assert replies[0].prompt.startswith('Input: "a “quote”')


def test_conditions_have_names_of_their_own() -> None:
    base = Condition(model="EleutherAI/pythia-70m", form="chat", k=4)
    others = [replace(base, k=14), replace(base, seed=1), replace(base, revision="main"), replace(base, shuffle_seed=0)]
    names = {condition.name() for condition in [base, *others]}
    assert len(names) == 5
    assert base.name().startswith("EleutherAI-pythia-70m-chat-k4-")
    assert not [name for name in names if "/" in name or ":" in name]
