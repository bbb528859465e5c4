"""Tables about sets of items say what is in them."""

from saelib.htest.items.item import Item, hash_items
from saelib.htest.items.tables import examples_table, items_table
from saelib.htest.tasks import TASKS
from tests.helpers.some_items import made, question


def one_of_each(item_set: str) -> list[Item]:
    """Two test items of each task, B before A, and two questions."""
    items = []
    for task in TASKS:
        for row, label in enumerate("BBAA", start=1):
            text = f"{task} {label}{row}"
            items.append(Item(task, "test", row, text, label, ("A", "B"), 0, item_set))
    return [*items, question("Which is round?", "OLE", "O", 1, item_set), question("Which?", "LEO", "E", 2, item_set)]


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
