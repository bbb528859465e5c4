"""The controls answer through the same path as a model, with the accuracies that are known beforehand."""

from collections.abc import Sequence

import pytest

from saelib.htest.asking.prompts import render
from saelib.htest.asking.replies import Condition, make_replies
from saelib.htest.engines.controls import CONTROLS, GEOMETRY_CONTROLS, control_engine
from saelib.htest.items.generators import fresh_items
from saelib.htest.items.item import Item
from saelib.htest.tasks import LETTER_GEOMETRY, TASKS
from tests.helpers.some_items import made, needs_official, official_items, question

SEEDS = range(20)


def accuracies(name: str, items: Sequence[Item], seed: int = 0) -> dict[str, float]:
    """Share of right test items by task."""
    engine = control_engine(name, items)
    found = {}
    for task in dict.fromkeys(item.task for item in items if item.split == "test"):
        asked = [item for item in items if item.task == task and item.split == "test"]
        form = "letter_geometry" if task == LETTER_GEOMETRY else "chat"
        condition = Condition(model=f"control:{name}", form=form, k=0, seed=seed)
        prompts = render(asked, [], form)
        replies = make_replies(asked, prompts, condition, engine(asked, prompts, condition))
        found[task] = sum(reply.reply == reply.item.label for reply in replies) / len(replies)
    return found


def ten_tasks(items: Sequence[Item]) -> list[Item]:
    return [item for item in items if item.task in TASKS]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_oracle_is_always_right_on_fresh_items(seed: int) -> None:
    items = ten_tasks(fresh_items(seed))
    assert accuracies("oracle", items) == dict.fromkeys(TASKS, 1.0)
    for constant in ("constant_a", "constant_b"):
        assert accuracies(constant, items) == dict.fromkeys(TASKS, 0.5)


@needs_official
def test_on_the_released_items() -> None:
    items = ten_tasks(official_items())
    assert accuracies("constant_a", items) == dict.fromkeys(TASKS, 0.5)
    assert accuracies("constant_b", items) == dict.fromkeys(TASKS, 0.5)
    wrong = {"uppercase": 10, "palindrome": 2, "end_ly": 5}
    assert accuracies("oracle", items) == {task: (200 - wrong.get(task, 0)) / 200 for task in TASKS}
    shortcut = accuracies("shortcut", items)
    assert (shortcut["hyphenated_word"], shortcut["repeated_word"], shortcut["rhyme"]) == (1.0, 0.965, 0.44)
    assert accuracies("rarest_option", official_items()[-90:]) == {LETTER_GEOMETRY: pytest.approx(79 / 90)}


def test_the_oracle_says_none_where_its_rule_cannot_tell() -> None:
    assert replies("oracle", made("rhyme", "night kite/night qqxzqj", "A")) == ["A", "none"]


def replies(name: str, items: list[Item], seed: int = 0, known: Sequence[Item] = ()) -> list[str | None]:
    condition = Condition(model=f"control:{name}", form="bare", k=0, seed=seed)
    return [answer.reply for answer in control_engine(name, known)(items, render(items, [], "chat"), condition)]


def test_the_coin_depends_on_item_and_seed_only() -> None:
    items = made("rhyme", [f"text {number}" for number in range(400)], "A")
    tossed = replies("coin", items)
    assert replies("coin", items[::-1]) == tossed[::-1]
    assert replies("coin", items[7:9]) == tossed[7:9]
    other = replies("coin", items, seed=1)
    same = sum(one == two for one, two in zip(tossed, other, strict=True))
    for count in (tossed.count("A"), other.count("A"), same):
        assert 150 < count < 250  # five standard deviations of 400 tosses
    assert "".join(map(str, tossed[:10])) == "BBBBBABBAB"  # on every machine


def test_the_shortcut_of_each_set_of_items_is_its_own() -> None:
    known = made("rhyme", "a/bb", "A", "dev", "one") + made("rhyme", "cccc/dddd", "B", "dev", "one")
    known += made("rhyme", "a/bb", "B", "dev", "two") + made("rhyme", "cccc/dddd", "A", "dev", "two")
    asked = made("rhyme", "eeeee", "A", item_set="one") + made("rhyme", "eeeee", "A", item_set="two")
    assert replies("shortcut", asked, known=known) == ["B", "A"]


def test_letter_geometry_has_controls_of_its_own() -> None:
    items = [question("one", "OEN", "N", 1), question("two", "EOZ", "O", 2), question("three", "ZOE", "Z", 3)]
    engines = {name: control_engine(name, items) for name in GEOMETRY_CONTROLS}
    condition = Condition(model="control", form="letter_geometry", k=0)
    given = {name: [answer.reply for answer in engine(items, [], condition)] for name, engine in engines.items()}
    assert given["constant_a"] == ["O", "E", "Z"]
    assert given["constant_b"] == ["E", "O", "O"]
    assert given["rarest_option"] == ["N", "Z", "Z"]
    assert all(toss in item.options for toss, item in zip(given["coin"], items, strict=True))
    alone = control_engine("rarest_option", items)(items[1:2], [], condition)
    assert alone[0].reply == "Z"  # counted over all that was given, not over the batch


@pytest.mark.parametrize("name", CONTROLS)
def test_no_control_pretends_to_know_probabilities(name: str) -> None:
    dev = made("rhyme", "a/bb", "A", "dev")
    condition = Condition(model=f"control:{name}", form="chat", k=0)
    (answer,) = control_engine(name, dev)(made("rhyme", "night kite", "A"), [], condition)
    assert answer.log_probabilities is None
    assert answer.usage == {}


@pytest.mark.parametrize(
    ("name", "item", "message"),
    [
        ("guess", made("rhyme", "a b", "A")[0], "control 'guess' is unknown; choose one of oracle, constant_a"),
        ("shortcut", made("rhyme", "a b", "A")[0], "made/0/rhyme/test/1: the shortcut was given no dev items"),
        ("oracle", question("one", "OE", "O"), "no rule knows the answer; use the control 'rarest_option'"),
        ("rarest_option", question("one", "OE", "O"), "was given no letter-geometry items to count"),
    ],
)
def test_what_a_control_cannot_do_is_said(name: str, item: Item, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        control_engine(name, [])([item], [], Condition(model="control", form="chat", k=0))
