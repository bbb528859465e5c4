"""Accuracies by hand: of constant, perfect, refusing and biased repliers."""

import math

import pandas as pd
import pytest

from saelib.htest.scoring.accuracy import BOUNDS, accuracy_table, mean_over_tasks
from saelib.htest.scoring.readings import READERS, readings_of
from saelib.htest.tasks import LETTER_GEOMETRY, TASKS
from tests.helpers.answers import make_item, make_reply, noisy_replies, replies_of


def scored(replies: list, reader: str = "strict") -> pd.Series:
    table = accuracy_table(readings_of(replies), ["model", "task"])
    return table[table["reader"] == reader].iloc[0]


def test_a_constant_reply_is_right_on_exactly_half() -> None:
    for letter in "AB":
        row = scored(replies_of(lambda _: letter, items=200))  # noqa: B023 (called at once)
        assert (row["correct"], row["accuracy"], row["share_a"]) == (100, 0.5, float(letter == "A"))


def test_an_oracle_is_right_on_all() -> None:
    for reader in ("paper", "strict"):
        row = scored(replies_of(lambda item: item.label), reader)
        assert row["accuracy"] == row["accuracy_answered"] == row["high"] == 1
        assert row["low"] == pytest.approx(20 / (20 + 1.959964**2))


def test_a_refusal_is_none_under_strict_and_a_under_paper() -> None:
    replies = replies_of(lambda _: "I cannot tell")
    strict, paper = scored(replies), scored(replies, "paper")
    assert (strict["accuracy"], strict["share_none"], strict["answered"]) == (0, 1, 0)
    assert math.isnan(strict["accuracy_answered"])
    assert (paper["accuracy"], paper["share_none"], paper["share_a"]) == (0.5, 0, 1)


def test_none_is_wrong_but_not_among_the_answered() -> None:
    row = scored(replies_of(lambda item: item.label if item.row <= 5 else "?"))
    assert row[["items", "answered", "correct"]].tolist() == [20, 5, 5]
    assert row[["accuracy", "accuracy_answered", "share_none"]].tolist() == [0.25, 1, 0.75]


def test_a_reader_without_anything_to_read_is_left_out() -> None:
    def readers(**recorded) -> list[str]:
        replies = [make_reply(make_item(row), **recorded) for row in (1, 2)]
        return list(accuracy_table(readings_of(replies), ["task"])["reader"])

    assert readers(said="A") == ["paper", "strict"]
    assert readers(margin=1.0) == ["likelier"]
    assert readers(said="A", margin=1.0) == list(READERS)


def test_a_replier_that_ranks_perfectly_but_always_says_b() -> None:
    items = [make_item(row) for row in range(1, 41)]
    replies = [make_reply(item, "B", (-1.0 if item.label == "A" else -2.0) - item.row / 100) for item in items]
    row = scored(replies, "likelier")
    assert (row["accuracy"], row["share_a"], row["auroc"], row["bias_free_accuracy"]) == (0.5, 0, 1, 1)
    assert row["auroc_low"] < 1 and row["bias_free_low"] < 1 == row["bias_free_high"]


def test_a_replier_with_one_margin_for_all_ranks_by_chance() -> None:
    row = scored([make_reply(make_item(row), margin=-2.0) for row in range(1, 41)], "likelier")
    assert (row["auroc"], row["bias_free_accuracy"]) == (0.5, 0.5)


def test_the_mean_over_tasks_leaves_letter_geometry_out() -> None:
    replies = replies_of(lambda item: item.label, tasks=[*TASKS, LETTER_GEOMETRY])
    replies += replies_of(lambda _: "A", tasks=TASKS, model="other")
    table = accuracy_table(readings_of(replies), ["model", "task"])
    means = mean_over_tasks(table, ["model"]).query("reader == 'strict'").set_index("model")
    assert means["mean"].to_dict() == {"embedded": 1, "other": 0.5}
    assert (means["count"] == 10).all() and (means["low"] < means["mean"]).all()
    with pytest.raises(ValueError, match="a task is more than once"):
        mean_over_tasks(table, [])


def test_every_value_with_bounds_has_a_mean_over_tasks() -> None:
    table = accuracy_table(readings_of(noisy_replies(1.0, -2.0)), ["model", "task"])
    for value, (low, high) in BOUNDS.items():
        assert (table[low] <= table[value]).all() and (table[value] <= table[high]).all()
        assert len(mean_over_tasks(table, ["model"], value)) == 3
    means = {value: mean_over_tasks(table, ["model"], value)["mean"].iloc[0] for value in BOUNDS}
    assert means["accuracy"] < 0.7 < means["bias_free_accuracy"] < means["auroc"]


def test_letter_geometry_has_accuracy_only() -> None:
    table = accuracy_table(readings_of(replies_of(lambda item: item.label, tasks=[LETTER_GEOMETRY])), ["task"])
    assert (table["accuracy"] == 1).all()
    assert table[["share_a", "auroc", "bias_free_accuracy"]].isna().all(axis=None)


def test_an_item_twice_in_a_group_is_refused_by_what_differs() -> None:
    replies = replies_of(lambda _: "A", k=4) + replies_of(lambda _: "A", k=50)
    with pytest.raises(ValueError, match="more than once; they differ in k"):
        accuracy_table(readings_of(replies), ["model", "task"])
    assert len(accuracy_table(readings_of(replies), ["model", "k", "task"])) == 4
    with pytest.raises(ValueError, match="drop the copies"):
        accuracy_table(readings_of(replies + replies), ["model", "k", "task"])


def test_a_group_that_is_only_partly_replied_to_is_refused() -> None:
    replies = [make_reply(make_item(1), "A"), make_reply(make_item(2), margin=1.0)]
    with pytest.raises(ValueError, match="only 1 of 2 items.*`replied`"):
        accuracy_table(readings_of(replies), ["task"])


def test_released_and_shuffled_shots_are_separate_groups() -> None:
    replies = replies_of(lambda _: "A") + replies_of(lambda _: "B", shuffle_seed=1)
    table = accuracy_table(readings_of(replies), ["shuffle_seed", "task"]).query("reader == 'strict'")
    assert table["share_a"].tolist() == [1, 0] and table["shuffle_seed"].isna().tolist() == [True, False]
