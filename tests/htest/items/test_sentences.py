"""Sentences: shapes, draws that are spread as their docstrings say, and text."""

import random
from collections import Counter

from saelib.htest.items.sentences import as_sentence, draw_number, draw_parts, pick, punctuate, shape_of, shuffled, some
from saelib.htest.items.words import all_words, split_vocabulary


def test_shape_by_hand() -> None:
    assert shape_of("Two-faced owl, 7 ants!") == (22, 4, 1, 3)


def test_draws_are_even() -> None:
    generator = random.Random(0)
    assert all(900 < count < 1100 for count in Counter(pick(generator, "abc") for _ in range(3000)).values())
    sizes = Counter(len(some(generator, "abc")) for _ in range(4000))
    assert sorted(sizes) == [0, 1, 2, 3]
    assert all(850 < count < 1150 for count in sizes.values())


def test_shuffling_keeps_the_entries() -> None:
    entries = [{"b": 1}, {"a": 2}, {"a": 2}]  # that cannot be compared
    assert sorted(shuffled(random.Random(0), entries), key=str) == [{"a": 2}, {"a": 2}, {"b": 1}]
    assert len({tuple(shuffled(random.Random(seed), "abc")) for seed in range(60)}) == 6


def test_parts_that_are_given_are_kept() -> None:
    parts = draw_parts(
        random.Random(0), all_words(), determined=False, adjective="a", subject="b", complement="c", last="d"
    )
    assert (parts[0], parts[1], parts[3], parts[-1]) == ("a", "b", "c", "d")


def test_a_sentence_begins_with_a_capital() -> None:
    assert as_sentence(["the", "owl", "sings"]) == "The owl sings."


def test_the_number_of_marks_is_spread_evenly() -> None:
    generator = random.Random(0)
    texts = [punctuate(generator, ["the", "owl", "sings"]) for _ in range(6000)]
    numbers = Counter(shape_of(text).signs for text in texts)
    assert sorted(numbers) == list(range(10))
    assert all(500 < count < 700 for count in numbers.values())
    assert {"The owl sings", "The owl, sings.", "The owl (sings)...", "The owl ('sings')....."} <= set(texts)


def test_numbers_are_of_a_vocabularys_digits() -> None:
    generator, even = random.Random(0), split_vocabulary()[0]
    numbers = [draw_number(generator, even, length) for length in (1, 3, 9) for _ in range(200)]
    assert {len(number) for number in numbers} == {1, 3, 9}
    assert not any(number.startswith("0") for number in numbers)
    assert {*"".join(numbers)} == {"0", "2", "4", "6", "8"}
