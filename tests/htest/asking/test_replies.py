"""Replies survive their files whole, and every condition has a folder name of its own."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from saelib.htest.asking.prompts import render
from saelib.htest.asking.replies import (
    Answer,
    Condition,
    as_stored,
    file_name,
    make_replies,
    read_replies,
    write_replies,
)
from saelib.htest.items.item import Item
from saelib.run.reading import DamagedFileError

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


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        ("../../../evil", "evil"),
        ("api:x/../y", "api-x-..-y"),
        ("//", ""),
        ("/models/" + "n" * 60, "n" * 40),
        ("a" * 25 + "-" + "b" * 39, "-" + "b" * 39),  # cut where earlier releases cut it
    ],
)
def test_whatever_a_model_is_called_its_folder_is_one(model: str, shown: str) -> None:
    name = Condition(model=model, form="chat", k=4).name()
    assert name.rpartition("-chat-")[0] == shown
    assert Path(name).parts == (name,) and name not in (".", "..")


def test_a_form_that_leads_elsewhere_names_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="^condition='gpt-../../evil-k4-.*': use letters, digits"):
        Condition(model="gpt", form="../../evil", k=4).name()
    condition = Condition(model="gpt", form="chat", k=0)
    (reply,) = make_replies(ITEMS[:1], render(ITEMS[:1], [], "chat"), condition, [Answer("A")])
    values = json.dumps(as_stored(reply)).replace('"form": "chat"', '"form": "../../evil"')
    (tmp_path / "replies.jsonl").write_text(values + "\n", encoding="utf-8")
    with pytest.raises(DamagedFileError, match=r"replies\.jsonl, line 1.*form='../../evil': use letters"):
        read_replies(tmp_path / "replies.jsonl")


def test_a_text_becomes_part_of_a_name_and_long_ones_stay_apart() -> None:
    assert file_name("api:openai/gpt-4o") == "api-openai-gpt-4o"
    assert file_name("../x/é²/") == "x-é²"
    one, other = ("".join(f"{start}/{'long' * 30}") for start in "ab")
    assert len(file_name(one)) == 49 and file_name(one).startswith("long") and file_name(one) != file_name(other)
