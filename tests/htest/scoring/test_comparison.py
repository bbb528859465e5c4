"""Paired tests against other implementations, and what may not be compared."""

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from saelib.htest.asking.replies import Reply
from saelib.htest.scoring.comparison import compare, compare_auroc, overall, overall_auroc
from saelib.htest.scoring.readings import readings_of
from saelib.results.intervals import holm
from saelib.results.ranking_compared import auroc_difference
from tests.helpers.answers import make_item, make_reply, noisy_replies, replies_of

TASKS = ("uppercase", "rhyme", "palindrome")


def pair_of_conditions(right_only_second: dict[str, int], items: int = 20) -> pd.DataFrame:
    """The first condition always says A; the second one is right on so many more of the items of label B."""
    first = replies_of(lambda _: "A", items, TASKS, k=4)
    second = replies_of(lambda item: item.label if item.row <= 2 * right_only_second[item.task] else "A",
                        items, TASKS, k=50)  # fmt: skip
    return readings_of(first + second)


def test_counts_and_differences_by_hand() -> None:
    table = compare(pair_of_conditions({"uppercase": 10, "rhyme": 0, "palindrome": 4}), {"k": 4}, {"k": 50}, "strict")
    assert table["task"].tolist() == list(TASKS)
    assert table["items"].tolist() == [20] * 3
    assert table["first"].tolist() == [0.5] * 3 and table["second"].tolist() == [1.0, 0.5, 0.7]
    assert table["difference"].tolist() == [0.5, 0, 0.2]
    assert table["second_only"].tolist() == [10, 0, 4] and table["first_only"].tolist() == [0, 0, 0]
    assert table["p"].tolist() == pytest.approx([2 / 2**10, 1, 2 / 2**4])
    # Holm: the smallest times 3, the next one times 2, the largest as it is
    assert table["p_holm"].tolist() == pytest.approx([3 * 2 / 2**10, 1, 2 * 2 / 2**4])


def test_the_other_way_round_is_the_mirror_image() -> None:
    readings = pair_of_conditions({"uppercase": 10, "rhyme": 0, "palindrome": 4})
    there, back = compare(readings, {"k": 4}, {"k": 50}, "strict"), compare(readings, {"k": 50}, {"k": 4}, "strict")
    assert back["difference"].tolist() == (-there["difference"]).tolist()
    assert back["low"].tolist() == pytest.approx((-there["high"]).tolist())
    assert back["p_holm"].tolist() == there["p_holm"].tolist()


def test_all_tasks_in_one() -> None:
    table = compare(pair_of_conditions({"uppercase": 10, "rhyme": 1, "palindrome": 4}), {"k": 4}, {"k": 50}, "strict")
    whole = overall(table)
    assert whole["difference"] == pytest.approx((0.5 + 0.05 + 0.2) / 3)
    assert whole["p"] == pytest.approx(2 / 2**15) and whole["items"] == 60
    assert 0 < whole["low"] < whole["difference"] < whole["high"]
    assert whole["high"] - whole["low"] < (table["high"] - table["low"]).min()


def test_models_forms_and_readers_are_conditions_too() -> None:
    readings = readings_of(
        replies_of(lambda item: f"Answer: {item.label}", model="small")
        + replies_of(lambda item: item.label, model="large", form="chain_of_thought")
    )
    small, large = {"model": "small"}, {"model": "large"}
    assert compare(readings, small, large, "strict")["difference"].tolist() == [0]
    assert compare(readings, small, large, "paper")["first"].tolist() == [0.5]  # "Answer: B" is none
    assert compare(readings, {"form": "chat"}, {"form": "chain_of_thought"}, "paper")["difference"].tolist() == [0.5]
    assert compare(readings, {"model": "small", "shuffle_seed": None}, large, "strict")["items"].tolist() == [20]


def test_what_cannot_be_compared_is_refused() -> None:
    readings = readings_of(replies_of(lambda _: "A", k=4) + replies_of(lambda _: "A", items=12, k=50))
    refusals: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
        "20 and 12 items, of which 12 are shared": ({"k": 4}, {"k": 50}, "strict"),
        "has no rows": ({"k": 4}, {"k": 28}, "strict"),
        "more than once; they differ in k": ({"k": 4}, {"model": "embedded"}, "strict"),
        "column 'shots' is unknown": ({"shots": 4}, {"k": 50}, "strict"),
        "reader 'loose' is unknown": ({"k": 4}, {"k": 50}, "loose"),
        "has no something for 'likelier' to read": ({"k": 4}, {"k": 50}, "likelier"),
    }
    for message, arguments in refusals.items():
        with pytest.raises(ValueError, match=message):
            compare(readings, *arguments)


def test_items_with_another_label_are_not_the_same() -> None:
    readings = readings_of([make_reply(make_item(1), "A", k=4), make_reply(make_item(1, label="B"), "A", k=50)])
    with pytest.raises(ValueError, match="of which 0 are shared"):
        compare(readings, {"k": 4}, {"k": 50}, "strict")


def test_several_replies_to_an_item_are_one_item() -> None:
    def replies(k: int, samples: int, right: int) -> list[Reply]:
        """The first ten items are right in so many of their samples, the other ten in none."""
        return [
            replace(make_reply(item, item.label if item.row <= 10 and sample < right else "?", k=k, samples=samples),
                    sample=sample)
            for item in (make_item(row) for row in range(1, 21)) for sample in range(samples)
        ]  # fmt: skip

    once = compare(readings_of(replies(4, 1, 0) + replies(50, 1, 1)), {"k": 4}, {"k": 50}, "strict")
    same = compare(readings_of(replies(4, 4, 0) + replies(50, 4, 4)), {"k": 4}, {"k": 50}, "strict")
    pd.testing.assert_frame_equal(once, same)
    parts = readings_of(replies(4, 4, 1) + replies(50, 4, 3))
    (half,) = compare(parts, {"k": 4}, {"k": 50}, "strict").to_dict("records")
    assert (half["items"], half["first"], half["second"], half["difference"]) == (20, 0.125, 0.375, 0.25)
    assert (half["second_only"], half["p"]) == (10, pytest.approx(2 / 2**10)), "ten items better, none worse"


def test_a_reader_that_lacks_something_is_named() -> None:
    replies = [make_reply(make_item(row), "A", 1.0 if row > 1 else None, k=k) for row in range(1, 9) for k in (4, 50)]
    with pytest.raises(ValueError, match="lacks what 'likelier' reads on 1 of 8 replies.*such as 'strict'"):
        compare(readings_of(replies), {"k": 4}, {"k": 50}, "likelier")
    assert len(compare(readings_of(replies), {"k": 4}, {"k": 50}, "strict")) == 1


def both_a(known: tuple[float, float], items: int = 60) -> pd.DataFrame:
    """Two conditions that say A to all, and know so much."""
    return readings_of([reply for place, k in enumerate((4, 50))
                        for reply in noisy_replies(known[place], 9.0, items, place, TASKS, k=k)])  # fmt: skip


def test_what_is_known_is_compared_where_one_letter_hides_it() -> None:
    readings = both_a((0.3, 2.0))
    assert overall(compare(readings, {"k": 4}, {"k": 50}, "likelier"))["difference"] == 0
    table = compare_auroc(readings, {"k": 4}, {"k": 50})
    assert set(table["task"]) == set(TASKS)
    for line in table.to_dict("records"):
        rows = readings[readings["task"] == line["task"]]
        first, second = (
            tuple(rows.loc[(rows["label"] == label) & (rows["k"] == k), "margin"].to_numpy() for label in "AB")
            for k in (4, 50)
        )
        wanted = auroc_difference(first, second, same_items=True)
        assert tuple(line[name] for name in ("difference", "low", "high", "p")) == pytest.approx(tuple(wanted))
        assert line["second"] - line["first"] == pytest.approx(line["difference"])
    assert table["p_holm"].tolist() == pytest.approx(holm(table["p"]).tolist())
    whole = overall_auroc(table)
    assert whole is not None and whole["tasks"] == 3 and whole["low"] > 0
    assert whole["difference"] == pytest.approx(table["difference"].mean())


def test_the_same_margins_twice_know_the_same() -> None:
    once = noisy_replies(1.0, 0.0, 40, 0, TASKS, k=4)
    twice = [replace(reply, condition=replace(reply.condition, k=50)) for reply in once]
    whole = overall_auroc(compare_auroc(readings_of([*once, *twice]), {"k": 4}, {"k": 50}))
    assert whole is not None and whole["difference"] == 0 and whole["low"] < 0 < whole["high"]


def test_without_margins_nothing_that_is_known_can_be_compared() -> None:
    table = compare_auroc(pair_of_conditions(dict.fromkeys(TASKS, 0)), {"k": 4}, {"k": 50})
    assert table.empty and overall_auroc(table) is None


def test_a_task_of_which_one_condition_lacks_a_margin_is_left_out() -> None:
    readings = both_a((1.0, 1.0))
    readings.loc[(readings["task"] == "rhyme") & (readings["k"] == 4) & (readings["row"] == 3), "margin"] = float("nan")
    assert set(compare_auroc(readings, {"k": 4}, {"k": 50})["task"]) == {"uppercase", "palindrome"}


def test_what_is_known_of_other_items_or_of_several_conditions_is_refused() -> None:
    readings = both_a((1.0, 1.0))
    with pytest.raises(ValueError, match="items, of which"):
        compare_auroc(readings[(readings["k"] == 50) | (readings["row"] > 2)], {"k": 4}, {"k": 50})
    with pytest.raises(ValueError, match="they differ in k"):
        compare_auroc(readings, {"form": "chat"}, {"k": 50})
    with pytest.raises(ValueError, match="column 'shots' is unknown"):
        compare_auroc(readings, {"shots": 4}, {"k": 50})
