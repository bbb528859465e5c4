"""Pairs of one shape, each text once, until there are no more."""

import itertools
import random
from collections.abc import Callable

from saelib.htest.items.pairing import matched_pairs
from saelib.htest.items.sentences import shape_of


def draw_words(seed: int) -> Callable[[str], str]:
    generator = random.Random(seed)
    return lambda label: label.lower() + " x" * int(1 + generator.random() * (3 if label == "A" else 5))


def test_partners_have_one_shape_and_no_text_comes_twice() -> None:
    pairs = list(matched_pairs(draw_words(0), str, frozenset()))
    assert sorted(pairs) == [("a" + " x" * n, "b" + " x" * n) for n in (1, 2, 3)]
    assert all(shape_of(a) == shape_of(b) for a, b in pairs)


def test_pairs_take_the_views_in_turn() -> None:
    generator = random.Random(0)

    def draw(label: str) -> str:  # A has a mark of two signs
        return ("++" if label == "A" else "") + "x" * int(1 + generator.random() * 9) + str(generator.random())[2:6]

    views = (str, lambda text: text.removeprefix("++"))
    pairs = list(itertools.islice(matched_pairs(draw, str, frozenset(), views), 200))
    assert all(shape_of(a) == shape_of(b) for a, b in pairs[::2])
    assert all(shape_of(a.removeprefix("++")) == shape_of(b) for a, b in pairs[1::2])


def test_what_is_taken_is_left_out() -> None:
    pairs = list(matched_pairs(draw_words(0), str, frozenset(["a x", "b x x"])))
    assert pairs == [("a x x x", "b x x x")]


def test_the_first_pairs_are_as_the_later_ones() -> None:
    generator = random.Random(0)

    def draw(label: str) -> str:
        length = sum(1 + int(generator.random() * 10) for _ in range(3))
        return label.lower() * length + str(int(generator.random() * 10**9)).zfill(9)

    lengths = [len(a) for a, _ in itertools.islice(matched_pairs(draw, str, frozenset()), 2000)]
    early, late = (sum(abs(length - 25.5) for length in part) / 1000 for part in (lengths[:1000], lengths[1000:]))
    assert abs(early - late) < 0.4  # of a mean distance from the mean of about 4
