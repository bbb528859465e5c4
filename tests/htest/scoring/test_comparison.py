"""Paired tests against other implementations, and what may not be compared."""

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from saelib.htest.asking.replies import Reply
from saelib.htest.scoring.comparison import compare, overall
from saelib.htest.scoring.readings import readings_of
from tests.helpers.answers import make_item, make_reply, replies_of

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
