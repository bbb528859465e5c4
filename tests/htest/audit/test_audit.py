"""Every planted fault is found, clean items have none, and the counts of the released files are as seen."""

from collections.abc import Sequence

import pandas as pd
import pytest

from saelib.htest.audit.audit import audit, disagreements
from saelib.htest.items.item import Item
from saelib.htest.tasks import LETTER_GEOMETRY, TASKS
from tests.helpers.some_items import made, needs_official, official_items, question

CLEAN = made("uppercase", "a Dog/the Cats", "A", "dev") + made("uppercase", "a dog/the cats", "B", "dev")
CLEAN += made("uppercase", "an Owl", "A") + made("uppercase", "an owl", "B")
FAULTS = ["dev_disagreements", "test_disagreements", "dev_repeats", "test_repeats", "unknown", "overlaps", "conflicts"]


def row_of(items: Sequence[Item]) -> pd.Series:
    table = audit(items)
    assert len(table) == 1
    return table.iloc[0]


def test_clean_items_have_no_faults() -> None:
    row = row_of(CLEAN)
    assert row[FAULTS].tolist() == [0] * len(FAULTS)
    assert row[["dev_items", "dev_a", "test_items", "test_a"]].tolist() == [4, 2, 2, 1]
    assert row[["item_set", "seed", "task"]].tolist() == ["made", 0, "uppercase"]
    assert pd.isna(row["repeated_options"])
    assert disagreements(CLEAN).empty


@pytest.mark.parametrize(
    ("planted", "counts"),
    [
        (made("uppercase", "a cow", "A", "dev"), {"dev_disagreements": 1}),
        (made("uppercase", "a cow/a sow", "A") + made("uppercase", "Cows", "B"), {"test_disagreements": 3}),
        (made("uppercase", "Cow/Cow/Cow", "A", "dev"), {"dev_repeats": 2}),
        (made("uppercase", "an owl", "B"), {"test_repeats": 1}),
        (made("uppercase", "a dog/a dog", "B"), {"test_repeats": 1, "overlaps": 2}),
        (made("uppercase", "an Owl", "B"), {"test_repeats": 1, "conflicts": 1, "test_disagreements": 1}),
        (made("uppercase", "a dog", "A"), {"overlaps": 1, "conflicts": 1, "test_disagreements": 1}),
        (made("uppercase", "an owl", "B", "train"), {"overlaps": 1}),
    ],
)
def test_each_planted_fault_is_found_and_nothing_else(planted: list[Item], counts: dict[str, int]) -> None:
    row = row_of(CLEAN + planted)
    assert {name: row[name] for name in FAULTS if row[name]} == counts


def test_what_a_rule_cannot_judge_is_counted_by_itself() -> None:
    items = made("rhyme", "night kite/night qqxzqj", "A") + made("rhyme", "night know/night", "B")
    row = row_of(items)
    assert row[["test_disagreements", "unknown"]].tolist() == [0, 2]
    assert "dev_items" not in row  # a split that does not occur has no columns
    assert pd.isna(row["shortcut_test"])


def test_the_shortcut_is_fitted_on_dev() -> None:
    items = made("rhyme", "a b/c d", "A", "dev") + made("rhyme", "eeeee f/ggggg h", "B", "dev")
    items += made("rhyme", "aa b/ccccccc d", "A") + made("rhyme", "eeeeee f/gggggg h", "B")
    row = row_of(items)
    assert row[["shortcut", "shortcut_dev", "shortcut_test"]].tolist() == ["characters > 5: B", 1.0, 0.75]


def test_letter_geometry_has_no_rule_but_repeats_and_rare_options() -> None:
    items = [
        question("one", "OEN", "N", 1),
        question("one", "NOE", "N", 2),  # the same question, its options in another order
        question("one", "OEZ", "Z", 3),
        question("two", "OEO", "E", 4),
    ]
    row = row_of(items)
    assert row[["test_items", "test_repeats", "repeated_options", "conflicts"]].tolist() == [4, 1, 1, 0]
    assert row["shortcut"] == "rarest option"
    assert row["shortcut_test"] == 1.0
    assert row[["test_a", "test_disagreements", "unknown", "shortcut_dev"]].isna().all()


def test_sets_of_items_and_seeds_are_audited_apart() -> None:
    items = made("uppercase", "a dog", "B", "dev") + made("uppercase", "a dog", "B", "test", "fresh-2")
    assert audit(items)[["item_set", "overlaps"]].to_numpy().tolist() == [["made", 0], ["fresh-2", 0]]


def test_disagreements_are_listed_with_what_the_rule_says() -> None:
    table = disagreements(CLEAN + made("rhyme", "night/day night", "A") + [question("one", "OE", "O")])
    assert table.to_dict("records") == [
        {"item_set": "made", "seed": 0, "task": "rhyme", "split": "test", "row": 2, "text": "day night", "label": "A",
         "rule": "B"}
    ]  # fmt: skip


@needs_official
def test_the_released_files_as_they_are() -> None:
    table = audit(official_items()).set_index("task")
    assert list(table.index) == [*TASKS, LETTER_GEOMETRY]
    of_ten = table.loc[list(TASKS)]
    assert (of_ten[["dev_items", "dev_a", "test_items", "test_a"]] == [50, 25, 200, 100]).all(axis=None)
    found = {(task, name): of_ten.loc[task, name] for task in TASKS for name in FAULTS if of_ten.loc[task, name]}
    assert found == {
        ("uppercase", "test_disagreements"): 10,
        ("palindrome", "test_disagreements"): 2,
        ("palindrome", "test_repeats"): 1,
        ("end_ly", "dev_disagreements"): 1,
        ("end_ly", "test_disagreements"): 5,
        ("spelled_math", "dev_repeats"): 1,
        ("spelled_math", "test_repeats"): 18,
        ("spelled_math", "overlaps"): 5,
    }
    geometry = table.loc[LETTER_GEOMETRY]
    assert geometry[["test_items", "test_repeats", "repeated_options", "conflicts"]].tolist() == [90, 0, 0, 0]
    assert geometry["shortcut_test"] == pytest.approx(79 / 90)
    shortcuts = {task: round(float(of_ten.loc[task, "shortcut_test"]), 3) for task in TASKS}
    assert shortcuts == {
        "uppercase": 0.465,
        "start_vowel": 0.51,
        "end_punctuation": 0.75,
        "palindrome": 0.585,
        "end_ly": 0.765,
        "spelled_math": 1.0,
        "spelled_number": 0.62,
        "rhyme": 0.44,
        "repeated_word": 0.965,
        "hyphenated_word": 1.0,
    }


@needs_official
def test_the_rows_that_the_rules_contradict() -> None:
    wrong = disagreements(official_items()).groupby(["task", "split"])["row"].apply(list).to_dict()
    assert wrong == {
        ("uppercase", "test"): [9, 43, 49, 55, 59, 75, 105, 127, 189, 195],
        ("palindrome", "test"): [36, 176],
        ("end_ly", "dev"): [10],
        ("end_ly", "test"): [20, 62, 94, 122, 200],
    }
