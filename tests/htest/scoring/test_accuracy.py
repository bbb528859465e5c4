"""Accuracies by hand: of constant, perfect, refusing and biased repliers."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from saelib.htest.asking.replies import Reply
from saelib.htest.scoring.accuracy import BOUNDS, accuracy_table, mean_over_tasks
from saelib.htest.scoring.readings import READERS, readings_of
from saelib.htest.tasks import LETTER_GEOMETRY, TASKS
from saelib.results.intervals import wilson
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
    assert readers(said="A", margin=1.0) == [name for name in READERS if name != "calibrated"]


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


def sampled(say: Callable[[int, int], str], items: int = 40, samples: int = 5) -> list[Reply]:
    """Replies to items, several to each; `say` gets row and sample."""
    return [
        replace(make_reply(make_item(row), say(row, sample), samples=samples), sample=sample)
        for row in range(1, items + 1)
        for sample in range(samples)
    ]


def test_samples_that_are_all_alike_count_once_and_independent_ones_each() -> None:
    """Between the two, the interval is that of the item means, as a plain one of them is for many items."""
    alike = scored(sampled(lambda row, _: "AB"[row // 3 % 2]))
    once = scored(sampled(lambda row, _: "AB"[row // 3 % 2], samples=1))
    assert alike[["accuracy", "low", "high"]].tolist() == once[["accuracy", "low", "high"]].tolist()
    assert (alike["items"], alike["samples"], alike["correct"], once["correct"]) == (40, 5, 70, 14)
    even = scored(sampled(lambda row, sample: "AB"[sample % 2], samples=4))
    assert (even["low"], even["high"]) == pytest.approx(wilson(80, 160))
    coins = np.random.default_rng(0).random((2000, 5)) < np.random.default_rng(1).beta(2, 2, (2000, 1))
    mixed = scored(sampled(lambda row, sample: "AB"[(row + 1 + coins[row - 1, sample]) % 2], items=2000))
    means = 1 - coins.mean(axis=1)
    half = 1.959964 * means.std(ddof=1) / math.sqrt(2000)
    assert (mixed["low"], mixed["high"]) == pytest.approx((means.mean() - half, means.mean() + half), abs=1e-3)


def test_an_item_without_log_probabilities_takes_the_margin_and_its_reader_only() -> None:
    replies = [make_reply(make_item(row), make_item(row).label, 1.0) for row in range(1, 10)]
    table = accuracy_table(readings_of([*replies, make_reply(make_item(10), "B")]), ["task"])
    assert table["reader"].tolist() == ["paper", "strict"]
    assert table[["accuracy", "scored", "items"]].values.tolist() == [[1.0, 9, 10]] * 2
    assert table[["auroc", "bias_free_accuracy"]].isna().all(axis=None)


def test_a_problem_counts_as_none_whatever_its_text_says() -> None:
    replies = [make_reply(make_item(1), "A"), replace(make_reply(make_item(3), "A"), problem="filtered: A"),
               replace(make_reply(make_item(5)), problem="refused: 400 no")]  # fmt: skip
    for reader in ("paper", "strict"):
        assert scored(replies, reader)[["items", "answered", "correct"]].tolist() == [3, 1, 1]
