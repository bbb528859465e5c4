"""Tables and sentences of the H-Test notebooks say what the numbers are, worked out by hand."""

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from saelib.htest.audit.audit import audit
from saelib.htest.audit.shortcuts import shortcut_table
from saelib.htest.items.item import Item, hash_items
from saelib.htest.scoring.accuracy import judgements
from saelib.htest.scoring.comparison import compare
from saelib.htest.scoring.select import (
    as_chosen,
    audit_sentences,
    audit_table,
    best_shortcuts,
    comparison_sentence,
    comparison_table,
    examples_table,
    items_table,
    main_rows,
    pick,
    readers_table,
    replies_table,
    versions_table,
)
from saelib.htest.scoring.stored import judge, score
from saelib.htest.tasks import TASKS
from tests.helpers.answers import make_item, make_reply, noisy_replies, replies_of
from tests.helpers.some_items import made, question


def one_of_each(version: str) -> list[Item]:
    """Two test items of each task, B before A, and two questions."""
    items = []
    for task in TASKS:
        for row, label in enumerate("BBAA", start=1):
            text = f"{task} {label}{row}"
            items.append(Item(task, "test", row, text, label, ("A", "B"), 0, version))
    return [*items, question("Which is round?", "OLE", "O", 1, version), question("Which?", "LEO", "E", 2, version)]


def test_sets_of_items_are_counted_and_hashed() -> None:
    first = made("rhyme", "a b/c d/e f", "A", "dev", "one") + made("rhyme", "g h", "A", "test", "one")
    second = made("uppercase", "x", "A", "test", "two")
    table = items_table([*first, *second])
    assert table.drop(columns="SHA-256").values.tolist() == [["one", "0", 1, 3, 1], ["two", "0", 1, 0, 1]]
    assert table["SHA-256"].tolist() == [hash_items(first)[:12], hash_items(second)[:12]]
    assert list(table)[:5] == ["items", "seed", "tasks", "dev (shots)", "test"]


def test_examples_are_the_first_test_items_of_each_label() -> None:
    dev = [Item("rhyme", "dev", 1, "not a test item", "A", ("A", "B"), 0, "one")]
    table = examples_table([*dev, *one_of_each("other"), *one_of_each("one")], "one").set_index("task")
    assert list(table.index) == [*TASKS, "letter_geometry", "letter_geometry"]
    assert table.loc["rhyme"].tolist() == ["rhyme A3", "rhyme B1", "the two words rhyme / they do not"]
    assert table.loc["letter_geometry", ["A (one)", "B (one)"]].values.tolist() == [
        ["Which is round?", "[O], L, E"],
        ["Which?", "L, [E], O"],
    ]


@pytest.fixture
def audited() -> pd.DataFrame:
    """In "one", one wrong label and one copy in dev, one wrong label in test that dev holds too; "two" is clean."""
    dev = made("uppercase", "one A here/another B/another B", "A", "dev", "one")
    dev += [Item("uppercase", "dev", 4, "all lower", "A", ("A", "B"), 0, "one")]
    test = [Item("uppercase", "test", 1, "all lower", "A", ("A", "B"), 0, "one")]
    geometry = [question("Which?", "OLE", "O", version="one"), question("Which now?", "LLE", "E", 2, version="one")]
    clean = made("uppercase", "one C", "A", "dev", "two") + made("uppercase", "one D", "A", "test", "two")
    return audit([*dev, *test, *geometry, *clean])


def test_an_audit_as_a_table(audited: pd.DataFrame) -> None:
    table = audit_table(audited).astype(object)
    rows = table.where(table.notna(), None).set_index(["version", "task"])
    assert rows.loc[("one", "uppercase")].tolist() == ["4 + 1", "1 + 1", "1 + 0", 0, 1, 0, None]
    assert rows.loc[("one", "letter_geometry")].tolist() == ["0 + 2", "- + -", "0 + 0", None, 0, 0, 1]
    assert rows.loc[("two", "uppercase")].tolist() == ["1 + 1", "0 + 0", "0 + 0", 0, 0, 0, None]
    assert list(rows)[:3] == ["items (dev + test)", "disagreements (dev + test)", "repeats (dev + test)"]


def test_an_audit_in_words(audited: pd.DataFrame) -> None:
    assert list(audit_sentences(audited)) == [
        "**one**: the rules dispute **2 of 5** labels (in uppercase); 1 rows repeat an earlier one of their split, and "
        "1 test items are also among the dev items.",
        "**two**: the rules dispute **0 of 2** labels; 0 rows repeat an earlier one of their split, and 0 test items "
        "are also among the dev items.",
    ]


def shortcut(version: str, task: str, feature: str, dev: float | None, test: float, cut: float | None = 2.5) -> dict:
    above = None if cut is None else "A"
    return {"version": version, "task": task, "feature": feature, "cut": cut, "above": above, "dev_accuracy": dev,
            "test_accuracy": test}  # fmt: skip


def test_the_best_shortcut_is_the_best_on_dev_whatever_it_does_on_test() -> None:
    rows = [
        shortcut("one", "rhyme", "characters", 0.6, 0.9),
        shortcut("one", "rhyme", "words", 0.7, 0.5, cut=3),
        shortcut("one", "letter_geometry", "rarest option", None, 0.4, cut=None),
        shortcut("two", "rhyme", "characters", 0.8, 0.55),
        shortcut("two", "rhyme", "words", 0.8, 0.95),  # no better: the first one stays
        shortcut("two", "letter_geometry", "rarest option", None, 0.25, cut=None),
    ]
    numbers = dict.fromkeys(("cut", "dev_accuracy", "test_accuracy"), "Float64")
    table = best_shortcuts(pd.DataFrame(rows).astype(numbers))
    assert list(table) == ["task", "one", "two"]
    assert table.values.tolist() == [
        ["rhyme", "50% (words > 3: A)", "55% (characters > 2.5: A)"],
        ["letter_geometry", "40% (rarest option)", "25% (rarest option)"],
    ]


def test_shortcuts_of_real_items_fit_into_the_table() -> None:
    items = [Item("rhyme", split, row, "a b" if row % 2 else "abc de", "BA"[row % 2], ("A", "B"), 0, "one")
             for split in ("dev", "test") for row in range(1, 5)]  # fmt: skip
    (line,) = best_shortcuts(shortcut_table(items)).to_dict("records")
    assert line == {"task": "rhyme", "one": "100% (characters > 4.5: B)"}


def test_rows_are_picked_by_one_value_by_several_and_by_none() -> None:
    table = pd.DataFrame({"k": [0, 4, 14, 4], "shuffle_seed": [None, None, 1, 0]}).astype({"shuffle_seed": "Int64"})
    assert pick(table, k=4).index.tolist() == [1, 3]
    assert pick(table, k=[0, 14]).index.tolist() == [0, 2]
    assert pick(table, shuffle_seed=None).index.tolist() == [0, 1]
    assert pick(table, shuffle_seed=[None, 0], k=(4, 14)).index.tolist() == [1, 3]
    assert pick(table, shuffle_seed=0).index.tolist() == [3]
    assert pick(table).equals(table)
    assert pick(table, k=99).empty


def test_rows_without_a_shuffle_are_picked_from_real_accuracies() -> None:
    replies = replies_of(lambda item: "A", 4) + replies_of(lambda item: item.label, 4, shuffle_seed=0)
    table = score(judge(replies))
    assert pick(table, shuffle_seed=None, reader="strict")["accuracy"].tolist() == [0.5]
    assert pick(table, shuffle_seed=0, reader="strict")["accuracy"].tolist() == [1]


def test_each_form_is_read_in_its_own_way() -> None:
    said = {"strict": 1, "likelier": 2, "paper": 3}
    forms = ("chat", "chain_of_thought", "letter_geometry", "completion", "bare")
    table = pd.DataFrame([(form, reader, value) for form in forms for reader, value in said.items()],
                         columns=["form", "reader", "accuracy"])  # fmt: skip
    chosen = as_chosen(table)
    assert set(chosen["reader"]) == {"choice"}
    assert chosen["form"].tolist() == list(forms)
    assert chosen["accuracy"].tolist() == [1, 1, 1, 2, 2]


def test_the_main_table_has_one_set_of_items_one_k_and_all_controls() -> None:
    table = pd.DataFrame(
        [("one", "control:coin", 0), ("one", "embedded", 4), ("one", "embedded", 50), ("two", "embedded", 50),
         ("two", "control:coin", 0)],
        columns=["version", "model", "k"],
    )  # fmt: skip
    assert main_rows(table, "one", 50).index.tolist() == [0, 2]
    assert main_rows(table, "two", 4).index.tolist() == [4]


@pytest.fixture
def comparison() -> pd.DataFrame:
    """In "rhyme" the second condition is right on all forty items, in "uppercase" both always say A."""
    tasks = ("rhyme", "uppercase")
    first = replies_of(lambda item: "A", 40, tasks, k=4)
    second = replies_of(lambda item: item.label if item.task == "rhyme" else "A", 40, tasks, k=50)
    return compare(judgements(first + second), {"k": 4}, {"k": 50}, "strict")


def test_a_comparison_has_its_difference_and_interval_in_one_cell(comparison: pd.DataFrame) -> None:
    table = comparison_table(comparison)
    rows = table.set_index("task")
    assert list(table) == ["task", "items", "first", "second", "second - first (95%)", "p", "p, ten tasks (Holm)"]
    assert rows.loc["rhyme", ["items", "first", "second"]].tolist() == [40, 0.5, 1.0]
    low, high = comparison.set_index("task").loc["rhyme", ["low", "high"]]
    assert rows.loc["rhyme", "second - first (95%)"] == f"0.500 ({low:.3f} to {high:.3f})"
    assert rows.loc["uppercase", "second - first (95%)"].startswith("0.000 (-0.0")
    assert rows["p"].astype(float).tolist() == pytest.approx([2 * 0.5**20, 1], rel=0.05)
    assert rows["p, ten tasks (Holm)"].astype(float).tolist() == pytest.approx([4 * 0.5**20, 1], rel=0.05)


def test_a_comparison_in_words(comparison: pd.DataFrame) -> None:
    sentence = comparison_sentence(comparison, "4 against 50 shots")
    assert sentence.startswith("**4 against 50 shots**: the mean accuracy goes from 0.500 to 0.750, a difference of 0.")
    assert "a difference of 0.250 (0." in sentence
    assert "p = 1.9e-06" in sentence
    assert sentence.endswith("p < 0.05 in rhyme.")
    unsure = comparison.assign(p_holm=0.05)
    assert comparison_sentence(unsure, "x").endswith("p < 0.05 in no task.")


def test_replies_are_counted_by_what_they_hold() -> None:
    items = [make_item(row) for row in (1, 2, 3)]
    replies = [make_reply(item, "A", 1.0) for item in items[:2]] + [make_reply(items[2], None, 0.5)]
    replies += [make_reply(item, "", model="api:x", k=14) for item in items]
    assert replies_table(judgements(replies)).values.tolist() == [
        ["embedded", "chat", 4, "fresh-1", 3, 2, 3],
        ["api:x", "chat", 14, "fresh-1", 3, 3, 0],
    ]


def test_readers_of_the_same_replies_side_by_side() -> None:
    """ "paper" takes a refusal with an a in it for A, "strict" takes it for no answer."""
    replies = replies_of(lambda item: "I cannot say" if item.row <= 4 else item.label, 8, TASKS)
    geometry = replies_of(lambda item: item.label, 8, ["letter_geometry"], form="letter_geometry", k=0)
    rows = readers_table(score(judge(replies + geometry))).set_index("reader")
    assert set(rows["model"]) == {"embedded"}
    assert set(rows["form"]) == {"chat"}  # letter geometry is no mean over tasks
    columns = ["of the answered", "no answer", "says A"]
    assert rows.loc["strict", columns].tolist() == [1, 0.5, 0.25]
    assert rows.loc["paper", columns].tolist() == [0.75, 0, 0.75]
    assert rows.loc["strict", "accuracy (95%)"].startswith("0.500 (")
    assert rows.loc["paper", "accuracy (95%)"].startswith("0.750 (")


def test_sets_of_items_side_by_side() -> None:
    def told(version: str, k: int, right: int) -> list[Any]:
        return [
            replace(reply, item=replace(reply.item, version=version))
            for reply in replies_of(lambda item: item.label if item.row <= right else "none", 10, TASKS, k=k)
        ]

    replies = told("two", 4, 5) + told("one", 4, 8) + told("two", 50, 2) + told("one", 50, 6)
    table = versions_table(as_chosen(score(judge(replies))))
    assert list(table) == ["model", "k", "two", "one"]  # as they come
    assert table[["model", "k"]].values.tolist() == [["embedded", 4], ["embedded", 50]]
    means = table[["two", "one"]].map(lambda text: float(text.split(" (")[0]))
    assert means.values.tolist() == [[0.5, 0.8], [0.2, 0.6]]


def test_a_model_asked_on_one_set_only_leaves_a_gap() -> None:
    replies = noisy_replies(1, 0, items=6)
    more = [replace(r, item=replace(r.item, version="two")) for r in noisy_replies(1, 0, items=6, model="other")]
    table = versions_table(as_chosen(score(judge(replies + more)))).set_index("model")
    assert table[["fresh-1", "two"]].isna().values.tolist() == [[False, True], [True, False]]
