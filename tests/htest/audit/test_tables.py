"""Audits and shortcuts as people read them, worked out by hand."""

import pandas as pd
import pytest

from saelib.htest.audit.audit import audit
from saelib.htest.audit.shortcuts import shortcut_table
from saelib.htest.audit.tables import audit_sentences, audit_table, best_shortcuts
from saelib.htest.items.item import Item
from tests.helpers.some_items import made, question


@pytest.fixture
def audited() -> pd.DataFrame:
    """In "one", one wrong label and one copy in dev, one wrong label in test that dev holds too; "two" is clean."""
    dev = made("uppercase", "one A here/another B/another B", "A", "dev", "one")
    dev += [Item("uppercase", "dev", 4, "all lower", "A", ("A", "B"), 0, "one")]
    test = [Item("uppercase", "test", 1, "all lower", "A", ("A", "B"), 0, "one")]
    geometry = [question("Which?", "OLE", "O", item_set="one"), question("Which now?", "LLE", "E", 2, item_set="one")]
    clean = made("uppercase", "one C", "A", "dev", "two") + made("uppercase", "one D", "A", "test", "two")
    return audit([*dev, *test, *geometry, *clean])


def test_an_audit_as_a_table(audited: pd.DataFrame) -> None:
    table = audit_table(audited).astype(object)
    rows = table.where(table.notna(), None).set_index(["set of items", "task"])
    assert rows.loc[("one", "uppercase")].tolist() == ["4 + 1", "1 + 1", "1 + 0", 0, 1, 0, None]
    assert rows.loc[("one", "letter geometry")].tolist() == ["0 + 2", "-", "0 + 0", None, 0, 0, 1]
    assert rows.loc[("two", "uppercase")].tolist() == ["1 + 1", "0 + 0", "0 + 0", 0, 0, 0, None]
    assert list(rows)[:3] == ["items (dev + test)", "disagreements (dev + test)", "repeats (dev + test)"]


def test_an_audit_in_words(audited: pd.DataFrame) -> None:
    assert list(audit_sentences(audited)) == [
        "**one**: the rules dispute **2 of 5** labels (in uppercase); 1 rows repeat an earlier one of their split, and "
        "1 test items are also among the dev items.",
        "**two**: the rules dispute **0 of 2** labels; 0 rows repeat an earlier one of their split, and 0 test items "
        "are also among the dev items.",
    ]


def shortcut(item_set: str, task: str, feature: str, dev: float | None, test: float, cut: float | None = 2.5) -> dict:
    above = None if cut is None else "A"
    return {"item_set": item_set, "task": task, "feature": feature, "cut": cut, "above": above, "dev_accuracy": dev,
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
        ["letter geometry", "40% (rarest option)", "25% (rarest option)"],
    ]


def test_shortcuts_of_real_items_fit_into_the_table() -> None:
    items = [Item("rhyme", split, row, "a b" if row % 2 else "abc de", "BA"[row % 2], ("A", "B"), 0, "one")
             for split in ("dev", "test") for row in range(1, 5)]  # fmt: skip
    (line,) = best_shortcuts(shortcut_table(items)).to_dict("records")
    assert line == {"task": "rhyme", "one": "100% (characters > 4.5: B)"}
