"""What an accuracy lacks, on fresh items and where a shortcut is held fixed: by hand, and where the truth is known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from saelib.htest.asking.replies import Reply
from saelib.htest.items.item import content_free_items
from saelib.htest.scoring.beneath import against_fresh, beneath, difference_in_all, in_all, with_margins
from saelib.htest.scoring.readings import ITEM_COLUMNS, readings_of
from saelib.htest.tasks import LETTER_GEOMETRY, TASKS
from saelib.results.intervals import holm
from saelib.results.ranking import auroc
from tests.helpers.answers import make_item, make_reply, noisy_replies
from tests.helpers.htest_tables import RELEASED, released_and_fresh


def margins_of(margins: list[float], task: str = "rhyme") -> list[Reply]:
    """Items A, B, A, B, ... with these margins."""
    return [make_reply(make_item(row, task), margin=margin) for row, margin in enumerate(margins, start=1)]


def numbers_of(readings: pd.DataFrame, number: np.ndarray) -> pd.DataFrame:
    return readings[ITEM_COLUMNS].assign(feature="words", number=number, learnt=number)


def test_accuracy_preference_and_what_is_not_known_make_one() -> None:
    # A items 4, 3, 2, 0.5; B items 1.5, 1, 0.2, -1: A is said to 7 of 8; at the median 1.25 one of each kind is wrong
    line = beneath(readings_of(margins_of([4, 1.5, 3, 1, 2, 0.2, 0.5, -1]))).iloc[0]
    assert (line["accuracy"], line["share_a"], line["bias_free_accuracy"]) == (5 / 8, 7 / 8, 6 / 8)
    assert (line["preference"], line["not_known"]) == (1 / 8, 2 / 8)
    assert line["preference_low"] < 1 / 8 < line["preference_high"]
    assert line["auroc"] == 14 / 16  # 0.5 is beneath two of the B items


def test_the_parts_make_one_with_ties_too() -> None:
    table = beneath(readings_of(margins_of([1, 1, 0, 0, 1, -2, 0, 1])))
    assert (table["accuracy"] + table["preference"] + table["not_known"]).tolist() == pytest.approx([1])


@pytest.mark.parametrize(("preference", "truth"), [(0.0, 0.0), (5.0, 0.19146)])
def test_the_interval_of_a_preferred_letter_holds_the_truth(preference: float, truth: float) -> None:
    """Margins at +-0.5 with a spread of 1: at the median 69% are right, and 50% where one letter is always said."""
    inside = []
    for seed in range(200):
        replies = noisy_replies(1.0, preference, 100, seed, ["uppercase"])
        line = beneath(readings_of(replies)).iloc[0]
        inside.append(line["preference_low"] <= truth <= line["preference_high"])
    assert np.mean(inside) > 0.93


def test_a_shortcut_is_held_against_the_margin_by_hand() -> None:
    readings = readings_of(margins_of([4, 1, 3, 2, 0, 5]))  # A: 4, 3, 0; B: 1, 2, 5
    line = beneath(readings, numbers_of(readings, np.array([1, 1, 1, 0, 0, 0]))).iloc[0]
    assert line["auroc"] == 4 / 9
    assert line["shortcut_auroc"] == pytest.approx((2 * 2 + 2 * 0.5 + 2 * 0.5) / 9)
    assert line["over_shortcut"] == pytest.approx(line["auroc"] - line["shortcut_auroc"])
    assert (line["held_fixed"], line["pairs"]) == (2 / 4, 4 / 9)  # 4 and 3 above 1; 0 above neither 2 nor 5
    assert line["feature"] == "words"


def made_up(
    by_number: float, by_label: float, tasks: tuple[str, ...] = tuple(TASKS)
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Margins that follow a number, which says much of the label, or the label itself, or both."""
    random, replies, numbers = np.random.default_rng(0), [], []
    for task in tasks:
        for row in range(1, 201):
            item = make_item(row, task)
            is_a = item.label == "A"
            numbers.append(random.binomial(6, 0.65 if is_a else 0.35))
            margin = by_number * numbers[-1] + by_label * is_a + random.normal(5, 1)
            replies.append(make_reply(item, margin=float(margin), form="completion", k=50))
    readings = readings_of(replies)
    return readings, numbers_of(readings, np.array(numbers))


def test_of_a_margin_that_follows_the_shortcut_alone_nothing_is_left() -> None:
    table = beneath(*made_up(by_number=2, by_label=0))
    assert table["auroc"].min() > 0.7 and table["share_a"].min() == 1
    assert table["held_fixed_p"].min() > 0.05 and table["over_shortcut"].max() < 0.03
    whole = in_all(table)["fresh-2"]
    assert whole["held_fixed"]["low"] < 0.5 < whole["held_fixed"]["high"]


def test_a_margin_that_knows_the_label_keeps_all_of_it() -> None:
    table = beneath(*made_up(by_number=0, by_label=1.5))
    assert (table["held_fixed"] - table["auroc"]).abs().max() < 0.1
    assert table["held_fixed_p"].max() < 0.05
    whole = in_all(table)["fresh-2"]
    assert whole["held_fixed"]["mean"] == pytest.approx(whole["auroc"]["mean"], abs=0.02)
    assert whole["preference"]["low"] > 0.2, "A is said to all"


def test_a_number_that_gives_the_label_away_leaves_nothing_to_say() -> None:
    readings = readings_of(noisy_replies(1, 0, 20, tasks=["rhyme", "uppercase"]))
    gives_away = ((readings["label"] == "A") | (readings["task"] == "uppercase")).astype(float)
    table = beneath(readings, numbers_of(readings, gives_away.to_numpy()))
    by_task = table.set_index("task")
    assert by_task["pairs"].to_dict() == {"uppercase": 1, "rhyme": 0}
    assert np.isnan(by_task.loc["rhyme", "held_fixed"]) and np.isnan(by_task.loc["rhyme", "held_fixed_p"])
    whole = in_all(table)["fresh-2"]
    assert whole["held_fixed"]["count"] == 1
    assert whole["all_pairs"]["held_fixed"]["mean"] == pytest.approx(by_task.loc["uppercase", "auroc"])


def test_without_dev_items_there_is_no_shortcut_and_all_else_stands() -> None:
    readings = readings_of(noisy_replies(1, 0, 20))
    table = beneath(readings)
    assert table["held_fixed"].isna().all() and table["feature"].isna().all()
    assert in_all(table)["fresh-2"]["held_fixed"] is None
    assert table["auroc"].notna().all() and table["task"].tolist() == list(TASKS)


def test_p_values_are_corrected_for_the_tasks_of_their_own_set() -> None:
    readings, numbers = made_up(0, 0.4, ("rhyme", "uppercase"))
    one = beneath(readings, numbers)
    other = of_set_table(readings, "mine"), of_set_table(numbers, "mine")
    both = beneath(pd.concat([readings, other[0]]), pd.concat([numbers, other[1]]))
    assert both["item_set"].tolist() == ["fresh-2"] * 2 + ["mine"] * 2
    assert both["held_fixed_p"].tolist() == pytest.approx(one["held_fixed_p"].tolist() * 2)


def of_set_table(table: pd.DataFrame, item_set: str) -> pd.DataFrame:
    return table.assign(item_set=item_set)


def test_a_task_with_a_margin_missing_and_letter_geometry_are_left_out() -> None:
    replies = noisy_replies(1, 0, 20, tasks=["rhyme", "uppercase"])
    replies[0] = replace(replies[0], log_probabilities=None)
    geometry = make_reply(make_item(1, LETTER_GEOMETRY), "p")
    assert set(with_margins(readings_of([*replies, geometry]))["task"]) == {"uppercase"}
    assert beneath(readings_of(replies[:1])).empty


def test_two_conditions_in_one_are_refused() -> None:
    readings = readings_of([*noisy_replies(1, 0, 4, k=4), *noisy_replies(1, 0, 4, k=50)])
    with pytest.raises(ValueError, match="they differ in k"):
        beneath(readings)


def test_several_samples_of_an_item_are_one_margin() -> None:
    once = noisy_replies(1, 0, 20, tasks=["rhyme"])
    twice = [replace(reply, sample=sample) for reply in once for sample in (0, 1)]
    pd.testing.assert_frame_equal(beneath(readings_of(twice)), beneath(readings_of(once)))


def test_fresh_items_are_set_beside_released_ones_task_by_task() -> None:
    readings = released_and_fresh(1.5, 0.3)
    table = against_fresh(readings, RELEASED, "fresh-2")
    assert table["task"].tolist() == list(TASKS)
    for line in table.to_dict("records"):
        ranked = [auroc(*(rows.loc[rows["label"] == label, "margin"].to_numpy() for label in "AB")).mean
                  for rows in (readings[(readings["item_set"] == item_set) & (readings["task"] == line["task"])]
                               for item_set in (RELEASED, "fresh-2"))]  # fmt: skip
        assert [line["first"], line["second"]] == pytest.approx(ranked)
        assert line["difference"] == pytest.approx(ranked[1] - ranked[0])
    assert table["p_holm"].tolist() == pytest.approx(holm(table["p"].tolist()).tolist())


def test_a_fall_in_every_task_is_found_in_all_of_them_together() -> None:
    found = difference_in_all(against_fresh(released_and_fresh(1.5, 0.3), RELEASED, "fresh-2"))
    assert found is not None
    assert found["high"] < 0 and found["p"] == 2 / 2**10 and found["tasks"] == 10
    assert found["first"] + found["difference"] == pytest.approx(found["second"])
    assert set(found["lower"]) <= set(TASKS) and len(found["lower"]) > 5 and not found["higher"]
    assert found["most"]["difference"] < found["difference"]


def test_without_a_fall_none_is_found() -> None:
    found = difference_in_all(against_fresh(released_and_fresh(1.0, 1.0), RELEASED, "fresh-2"))
    assert found is not None
    assert found["low"] < 0 < found["high"] and found["p"] > 0.05 and not found["lower"] + found["higher"]


def test_a_set_that_is_not_there_is_beside_nothing() -> None:
    table = against_fresh(readings_of(noisy_replies(1, 0, 20)), "fresh-2", RELEASED)
    assert table.empty and difference_in_all(table) is None


def test_calibration_changes_nothing_beneath() -> None:
    replies = noisy_replies(1, 0, 20, tasks=["rhyme"])
    free = [make_reply(item, margin=1.0) for item in content_free_items("fresh-2", "rhyme", 0)]
    pd.testing.assert_frame_equal(beneath(readings_of([*replies, *free])), beneath(readings_of(replies)))


def test_a_learner_is_held_against_the_margin_in_tenths_of_its_score() -> None:
    readings, numbers = made_up(by_number=2, by_label=0, tasks=("rhyme",))
    random = np.random.default_rng(1)
    learnt = numbers["number"] + random.uniform(0, 0.01, len(numbers))  # no two are the same
    line = beneath(readings, numbers.assign(learnt=learnt)).iloc[0]
    assert line["learnt_auroc"] == pytest.approx(line["shortcut_auroc"], abs=0.05)
    assert abs(line["learnt_fixed"] - 0.5) < 0.1 < line["auroc"] - 0.5 and line["learnt_fixed_p"] > 0.05
    knows, other = made_up(by_number=0, by_label=1.5, tasks=("rhyme",))
    assert beneath(knows, other.assign(learnt=learnt)).iloc[0]["learnt_fixed"] > 0.75


def test_equal_scores_are_in_one_level_whatever_the_order_of_rows() -> None:
    readings, numbers = made_up(by_number=1, by_label=0.5, tasks=("rhyme",))
    turned = readings.iloc[::-1].reset_index(drop=True)
    there, back = (beneath(rows, numbers)[["learnt_fixed", "both_fixed"]].iloc[0] for rows in (readings, turned))
    assert there.tolist() == pytest.approx(back.tolist())


def test_a_margin_of_the_number_and_the_letters_is_nothing_only_where_both_are_fixed() -> None:
    random = np.random.default_rng(3)
    readings, numbers = made_up(by_number=0, by_label=0)
    is_a = (readings["label"] == "A").to_numpy()
    learnt = random.normal(np.where(is_a, 0.7, 0), 1)
    margin = 0.5 * numbers["number"].to_numpy() + learnt + random.normal(0, 0.1, len(learnt))
    whole = in_all(beneath(readings.assign(margin=margin), numbers.assign(learnt=learnt)))["fresh-2"]
    assert whole["held_fixed"]["low"] > 0.5 and whole["learnt_fixed"]["low"] > 0.5
    assert whole["both_fixed"]["low"] < 0.5 < whole["both_fixed"]["high"] and whole["both_fixed"]["mean"] < 0.56


def test_a_preferred_letter_is_counted_by_task() -> None:
    replies = [reply for place, task in enumerate(TASKS)
               for reply in noisy_replies(1, 9 if place < 4 else -9, 20, place, [task])]  # fmt: skip
    whole = in_all(beneath(readings_of(replies)))["fresh-2"]
    assert whole["prefers"] == {"A": 4, "B": 6} and whole["one_letter"] == 1
    assert whole["share_a"]["mean"] == pytest.approx(0.4)
    assert (whole["auroc_above"], whole["auroc_below"]) == (
        (beneath(readings_of(replies))["auroc_low"] > 0.5).sum(), 0)  # fmt: skip
