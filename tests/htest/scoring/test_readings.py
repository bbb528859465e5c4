"""What each reader takes a reply to say, and the hash of what was asked."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from saelib.htest.asking.replies import Reply
from saelib.htest.items.item import content_free_items, hash_items
from saelib.htest.scoring.accuracy import accuracies_of
from saelib.htest.scoring.readings import evaluation_hash, readings_of
from tests.helpers.answers import make_item, make_reply


def test_one_reply_by_hand() -> None:
    reply = make_reply(make_item(3), "Answer: B", margin=0.5, model="api:x/y", k=50, shuffle_seed=7)
    row = readings_of([reply]).iloc[0]
    assert row[["item_set", "item_seed", "task", "split", "row"]].tolist() == ["fresh-2", 0, "uppercase", "test", 3]
    assert row[["model", "form", "k", "shuffle_seed", "label"]].tolist() == ["api:x/y", "chat", 50, 7, "A"]
    assert row["paper"] is None and row["strict"] == "B" and row["likelier"] == "A"
    assert row["margin"] == pytest.approx(0.5)
    assert row["replied"] and row["scored"]


def test_a_chain_of_thought_is_read_from_the_judges_verdict() -> None:
    decided = make_reply(make_item(1), "Thinking. Label: A", judge="api:x/y", verdict="B", form="chain_of_thought")
    undecided = make_reply(make_item(2), "Thinking. Label: A", judge="api:x/y", verdict="None")
    table = readings_of([decided, undecided])
    assert table["strict"].tolist() == ["B", None] and table["paper"].tolist() == ["B", None]
    assert table["judge"].tolist() == ["api:x/y", "api:x/y"]


def test_equal_log_probabilities_are_no_choice() -> None:
    row = readings_of([make_reply(make_item(1), margin=0.0)]).iloc[0]
    assert row["likelier"] is None and row["margin"] == 0 and row["scored"] and not row["replied"]


def test_no_replies_are_refused() -> None:
    with pytest.raises(ValueError, match="no replies"):
        readings_of([])


def test_the_evaluation_hash_is_that_of_the_items_whatever_was_asked_when() -> None:
    items = [make_item(row, task) for task in ("uppercase", "rhyme") for row in (1, 2)]
    replies = [make_reply(item, "A", k=k) for k in (4, 50) for item in reversed(items)]
    assert evaluation_hash(replies) == hash_items(items)
    assert evaluation_hash(replies[:-1]) == hash_items(items)
    assert evaluation_hash(replies[:2]) != hash_items(items)
    with pytest.raises(ValueError, match="two different items are called fresh-2/0/uppercase/test/1"):
        evaluation_hash([*replies, make_reply(make_item(1, text="another"), "A")])


def test_replies_in_any_order_get_the_hash_of_their_own_group() -> None:
    items = [make_item(row, task) for row in (1, 2, 3, 4) for task in ("uppercase", "rhyme")]
    readings = readings_of(make_reply(item, "A", k=k) for item in items for k in (4, 14))
    assert [tuple(row) for row in readings[["task", "row", "k"]].values] == [
        (item.task, item.row, k) for item in items for k in (4, 14)
    ]
    for task in ("uppercase", "rhyme"):
        wanted = hash_items([item for item in items if item.task == task])
        assert set(readings.loc[readings["task"] == task, "items_sha256"]) == {wanted}
    assert len(accuracies_of(readings)) == 2 * 2 * 2  # tasks, shots, and the readers "paper" and "strict"


def test_a_model_that_an_api_changed_under_way_is_one_model_with_both_names() -> None:
    replies = [make_reply(make_item(row), "A", revision=f"gpt-{row % 2}") for row in (1, 2, 3, 4)]
    (line,) = [line for line in accuracies_of(readings_of(replies)).to_dict("records") if line["reader"] == "strict"]
    assert (line["items"], line["revision"]) == (4, "gpt-0, gpt-1")


def content_free(chances: list[tuple[float, float]], task: str = "uppercase", **condition: Any) -> list[Reply]:
    """Replies to the content-free questions of a task, with these probabilities of A and B."""
    items = content_free_items("fresh-2", task, 0)
    return [replace(make_reply(item, margin=0.0, **condition), log_probabilities={"A": np.log(a), "B": np.log(b)})
            for item, (a, b) in zip(items, chances, strict=True)]  # fmt: skip


def test_calibration_takes_away_what_is_said_to_nothing() -> None:
    free = content_free([(0.5, 0.1), (0.2, 0.1), (0.2, 0.1)])  # means .3 and .1: the margin is log 3 for nothing
    margins = [np.log(3) + 0.1, np.log(3) - 0.1, -1.0]
    replies = [make_reply(make_item(row), "A", margin) for row, margin in enumerate(margins, start=1)]
    table = readings_of([*replies, *free])
    assert len(table) == 3, "questions without content are no items"
    assert table["content_free"].tolist() == pytest.approx([np.log(3)] * 3)
    assert table["likelier"].tolist() == ["A", "A", "B"] and table["calibrated"].tolist() == ["A", "B", "B"]
    assert table["items_sha256"].tolist() == [hash_items([reply.item for reply in replies])] * 3


def test_each_task_and_condition_has_its_own_calibration() -> None:
    replies = [make_reply(make_item(1, task), margin=0.5, k=k) for task in ("uppercase", "rhyme") for k in (4, 50)]
    free = [*content_free([(0.8, 0.1)] * 3, k=50), *content_free([(0.1, 0.8)] * 3, "rhyme", k=4)]
    table = readings_of(replies + free)
    assert table["calibrated"].tolist() == [None, "B", "A", None]
    readers = accuracies_of(table).groupby(["task", "k"])["reader"].agg(list)
    assert readers["uppercase", 50] == ["likelier", "calibrated"] and readers["uppercase", 4] == ["likelier"]


def test_a_margin_as_large_as_without_content_is_no_choice() -> None:
    table = readings_of([make_reply(make_item(1), margin=0.0), *content_free([(0.3, 0.3)] * 3)])
    assert table["calibrated"].tolist() == [None]


def test_without_all_three_content_free_answers_nothing_is_calibrated() -> None:
    free = content_free([(0.5, 0.1)] * 3)
    lacking = [free[0], replace(free[1], log_probabilities=None), free[2]]
    items = [make_reply(make_item(row), margin=1.0) for row in (1, 2)]
    for given in (lacking, free[:2]):
        table = readings_of([*items, *given])
        assert table["content_free"].isna().all() and table["calibrated"].tolist() == [None, None]
    assert readings_of([*items, *free])["content_free"].tolist() == pytest.approx([np.log(5)] * 2)
