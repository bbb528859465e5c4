"""Replies survive their files whole, and every condition has a folder name of its own."""

from dataclasses import replace
from pathlib import Path

from saelib.htest.asking.prompts import render
from saelib.htest.asking.replies import Answer, Condition, make_replies, read_replies, write_replies
from saelib.htest.items.item import Item

STRANGE = "a “quote”, a\u2028separator, a \x85 and\ta tab"  # str.splitlines would cut this in three
ITEMS = [
    Item("uppercase", "test", 1, STRANGE, "A", ("A", "B"), 3, "fresh-2"),
    Item("rhyme", "dev", 2, "find mind", "B", ("A", "B"), 3, "official-4787987"),
]


def test_replies_come_back_as_they_were(tmp_path: Path) -> None:
    condition = Condition(model="control:coin", form="chat", k=0)
    answers = [Answer(STRANGE, {"A": -0.1, "B": -2.5}, {"input_tokens": 9}), Answer(None)]
    replies = make_replies(ITEMS, render(ITEMS, [], "chat"), condition, answers)
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


def test_the_folder_of_a_condition_stays_where_earlier_releases_put_it() -> None:
    condition = Condition(model="api:openai/gpt-4o", k=4, form="chat", temperature=0.7)
    assert condition.name() == "api-openai-gpt-4o-chat-k4-61c0f7cd"
