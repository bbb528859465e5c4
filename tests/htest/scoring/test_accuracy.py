"""Accuracies by hand, and intervals and rankings by other implementations."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from saelib.htest.items.item import hash_items
from saelib.htest.scoring.accuracy import BOUNDS, READERS, accuracy_table, evaluation_hash, judgements, mean_over_tasks
from saelib.htest.tasks import LETTER_GEOMETRY, TASKS
from saelib.results.intervals import auroc_with_interval, bias_free_correct, mean_with_bounds, wilson
from tests.helpers.answers import make_item, make_reply, noisy_replies, replies_of


def scored(replies: list, reader: str = "strict") -> pd.Series:
    table = accuracy_table(judgements(replies), ["model", "task"])
    return table[table["reader"] == reader].iloc[0]


def test_one_reply_by_hand() -> None:
    reply = make_reply(make_item(3), "Answer: B", margin=0.5, model="api:x/y", k=50, shuffle_seed=7)
    row = judgements([reply]).iloc[0]
    assert row[["version", "item_seed", "task", "split", "row"]].tolist() == ["fresh-1", 0, "uppercase", "test", 3]
    assert row[["model", "form", "k", "shuffle_seed", "label"]].tolist() == ["api:x/y", "chat", 50, 7, "A"]
    assert row["paper"] is None and row["strict"] == "B" and row["likelier"] == "A"
    assert row["margin"] == pytest.approx(0.5)
    assert row["replied"] and row["scored"]


def test_a_chain_of_thought_is_read_from_the_judges_verdict() -> None:
    judged = make_reply(make_item(1), "Thinking. Label: A", judge="api:x/y", verdict="B", form="chain_of_thought")
    undecided = make_reply(make_item(2), "Thinking. Label: A", judge="api:x/y", verdict="None")
    table = judgements([judged, undecided])
    assert table["strict"].tolist() == ["B", None] and table["paper"].tolist() == ["B", None]
    assert table["judge"].tolist() == ["api:x/y", "api:x/y"]


def test_equal_log_probabilities_are_no_choice() -> None:
    row = judgements([make_reply(make_item(1), margin=0.0)]).iloc[0]
    assert row["likelier"] is None and row["margin"] == 0 and row["scored"] and not row["replied"]


def test_no_replies_are_refused() -> None:
    with pytest.raises(ValueError, match="no replies"):
        judgements([])


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
        return list(accuracy_table(judgements(replies), ["task"])["reader"])

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


@pytest.mark.parametrize("total", [1, 7, 200])
def test_wilson_equals_that_of_scipy(total: int) -> None:
    for correct in {0, 1, total // 2, total}:
        theirs = binomtest(correct, total).proportion_ci(method="wilson")
        assert wilson(correct, total) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@pytest.mark.parametrize("values", [3, 1000])
def test_auroc_equals_the_count_over_all_pairs(values: int) -> None:
    random = np.random.default_rng(values)
    above, below = random.integers(0, values, 31).astype(float), random.integers(0, values, 17).astype(float)
    naive = np.mean([(a > b) + 0.5 * (a == b) for a, b in itertools.product(above, below)])
    auroc, low, high = auroc_with_interval(above, below)
    assert auroc == pytest.approx(naive, abs=1e-12)
    assert 0 < low < auroc < high < 1


def test_the_interval_of_auroc_holds_the_truth_in_95_of_100_draws() -> None:
    random = np.random.default_rng(0)
    bounds = [auroc_with_interval(random.normal(1, 1, 50), random.normal(0, 1, 50))[1:] for _ in range(400)]
    truth = 0.760250  # of the normal distribution at 1 / sqrt(2)
    assert 0.92 < np.mean([low <= truth <= high for low, high in bounds]) < 0.98


def test_the_ends_of_auroc_have_an_interval() -> None:
    low, high = np.arange(10.0), np.arange(10.0) + 20
    assert auroc_with_interval(high, low)[0] == auroc_with_interval(high, low)[2] == 1
    assert 0.5 < auroc_with_interval(high, low)[1] < 1
    mirrored = [1 - value for value in auroc_with_interval(low, high)]
    assert sorted(mirrored) == pytest.approx(sorted(auroc_with_interval(high, low)), abs=1e-9)


def test_ties_across_the_median_are_shared_as_a_draw_would_on_average() -> None:
    margins = np.array([3.0, 1, 1, 1, 1, 0])
    is_a = np.array([True, True, False, True, False, False])
    tied = [1, 2, 3, 4]
    draws = [sum(is_a[i] == (i == 0 or i in said_a) for i in range(6)) for said_a in itertools.combinations(tied, 2)]
    assert bias_free_correct(margins, is_a) == pytest.approx(np.mean(draws))


def test_the_mean_over_tasks_by_hand() -> None:
    mean = mean_with_bounds(np.array([0.5, 1.0]), np.array([0.4, 0.9]), np.array([0.6, 1.0]))
    assert tuple(mean) == pytest.approx((0.75, 0.75 - 0.5 * math.sqrt(0.02), 0.75 + 0.5 * 0.1, 2))


def test_the_mean_over_tasks_holds_the_truth_in_95_of_100_draws() -> None:
    random = np.random.default_rng(0)
    chances = np.array([0.5] * 7 + [0.8, 0.97, 0.99])
    inside = []
    for _ in range(400):
        counts = random.binomial(50, chances)
        bounds = np.array([wilson(count, 50) for count in counts])
        mean = mean_with_bounds(counts / 50, bounds[:, 0], bounds[:, 1])
        inside.append(mean.low <= chances.mean() <= mean.high)
    assert 0.92 < np.mean(inside) < 0.985


def test_the_mean_over_tasks_leaves_letter_geometry_out() -> None:
    replies = replies_of(lambda item: item.label, tasks=[*TASKS, LETTER_GEOMETRY])
    replies += replies_of(lambda _: "A", tasks=TASKS, model="other")
    table = accuracy_table(judgements(replies), ["model", "task"])
    means = mean_over_tasks(table, ["model"]).query("reader == 'strict'").set_index("model")
    assert means["mean"].to_dict() == {"embedded": 1, "other": 0.5}
    assert (means["count"] == 10).all() and (means["low"] < means["mean"]).all()
    with pytest.raises(ValueError, match="a task is more than once"):
        mean_over_tasks(table, [])


def test_every_value_with_bounds_has_a_mean_over_tasks() -> None:
    table = accuracy_table(judgements(noisy_replies(1.0, -2.0)), ["model", "task"])
    for value, (low, high) in BOUNDS.items():
        assert (table[low] <= table[value]).all() and (table[value] <= table[high]).all()
        assert len(mean_over_tasks(table, ["model"], value)) == 3
    means = {value: mean_over_tasks(table, ["model"], value)["mean"].iloc[0] for value in BOUNDS}
    assert means["accuracy"] < 0.7 < means["bias_free_accuracy"] < means["auroc"]


def test_letter_geometry_has_accuracy_only() -> None:
    table = accuracy_table(judgements(replies_of(lambda item: item.label, tasks=[LETTER_GEOMETRY])), ["task"])
    assert (table["accuracy"] == 1).all()
    assert table[["share_a", "auroc", "bias_free_accuracy"]].isna().all(axis=None)


def test_an_item_twice_in_a_group_is_refused_by_what_differs() -> None:
    replies = replies_of(lambda _: "A", k=4) + replies_of(lambda _: "A", k=50)
    with pytest.raises(ValueError, match="more than once; they differ in k"):
        accuracy_table(judgements(replies), ["model", "task"])
    assert len(accuracy_table(judgements(replies), ["model", "k", "task"])) == 4
    with pytest.raises(ValueError, match="drop the copies"):
        accuracy_table(judgements(replies + replies), ["model", "k", "task"])


def test_a_group_that_is_only_partly_replied_to_is_refused() -> None:
    replies = [make_reply(make_item(1), "A"), make_reply(make_item(2), margin=1.0)]
    with pytest.raises(ValueError, match="only 1 of 2 items.*`replied`"):
        accuracy_table(judgements(replies), ["task"])


def test_released_and_shuffled_shots_are_separate_groups() -> None:
    replies = replies_of(lambda _: "A") + replies_of(lambda _: "B", shuffle_seed=1)
    table = accuracy_table(judgements(replies), ["shuffle_seed", "task"]).query("reader == 'strict'")
    assert table["share_a"].tolist() == [1, 0] and table["shuffle_seed"].isna().tolist() == [True, False]


def test_the_evaluation_hash_is_that_of_the_items_whatever_was_asked_when() -> None:
    items = [make_item(row, task) for task in ("uppercase", "rhyme") for row in (1, 2)]
    replies = [make_reply(item, "A", k=k) for k in (4, 50) for item in reversed(items)]
    assert evaluation_hash(replies) == hash_items(items)
    assert evaluation_hash(replies[:-1]) == hash_items(items)
    assert evaluation_hash(replies[:2]) != hash_items(items)
    with pytest.raises(ValueError, match="two different items are called fresh-1/0/uppercase/test/1"):
        evaluation_hash([*replies, make_reply(make_item(1, text="another"), "A")])
