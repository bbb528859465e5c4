"""Letter geometry: every fact against drawings of the signs, and no way to guess from the options."""

from collections import Counter

import numpy as np
import pytest

from saelib.htest.audit.shortcuts import rarest_option_accuracy
from saelib.htest.items.item import Item, hash_items
from saelib.htest.items.letter_geometry import TURNS, available, facts, geometry_items, question_blocks

# Each sign drawn on five by five points, rows from the top; upper and lower case of one form are drawn apart.
DRAWN = {
    "V": "10001 10001 01010 01010 00100", "Λ": "00100 01010 01010 10001 10001",
    "<": "00011 01100 10000 01100 00011", ">": "11000 00110 00001 00110 11000",
    "C": "01110 10001 10000 10001 01110", "Ɔ": "01110 10001 00001 10001 01110",
    "∩": "01110 10001 10001 10001 01010", "∪": "01010 10001 10001 10001 01110",
    "T": "11111 00100 00100 00100 00100", "⊥": "00100 00100 00100 00100 11111",
    "⊢": "10000 10000 11111 10000 10000", "⊣": "00001 00001 11111 00001 00001",
    "↑": "00100 01110 10101 00100 00100", "↓": "00100 00100 10101 01110 00100",
    "←": "00100 01000 11111 01000 00100", "→": "00100 00010 11111 00010 00100",
    "b": "10000 10000 11110 10010 11110", "d": "00001 00001 01111 01001 01111",
    "p": "11110 10010 11110 10000 10000", "q": "01111 01001 01111 00001 00001",
    "N": "10001 11001 10101 10011 10001", "Z": "11111 00010 00100 01000 11111",
    "M": "10001 11011 10101 10001 10001", "W": "10001 10001 10101 11011 10001",
    "A": "00100 01010 11111 10001 10001", "∀": "10001 10001 11111 01010 00100",
    "E": "11111 10000 11100 10000 11111", "Ǝ": "11111 00001 00111 00001 11111",
    "u": "00000 01010 01010 01110 00000", "n": "00000 01110 01010 01010 00000",
    "3": "11110 00001 01110 00001 11110", "Ɛ": "01111 10000 01110 10000 01111",
    "=": "00000 11111 00000 11111 00000", "‖": "01010 01010 01010 01010 01010",
    "—": "00000 00000 11111 00000 00000", "|": "00100 00100 00100 00100 00100",
    "6": "01110 10000 11110 10010 11110", "9": "01111 01001 01111 00001 01110",
    "R": "11110 10010 11110 10100 10010", "Я": "01111 01001 01111 00101 01001",
}  # fmt: skip
TURN = {
    "quarter": lambda drawn: np.rot90(drawn, -1),
    "back": lambda drawn: np.rot90(drawn, 1),
    "half": lambda drawn: np.rot90(drawn, 2),
    "mirror": np.fliplr,
    "upturn": np.flipud,
}


def drawing(sign: str) -> np.ndarray:
    return np.array([[int(point) for point in row] for row in DRAWN[sign].split()])


def test_the_drawings_show_every_fact() -> None:
    assert set(TURN) == set(TURNS)
    for sign, turn, result in facts():
        assert np.array_equal(TURN[turn](drawing(sign)), drawing(result)), (sign, turn, result)


def test_no_other_option_is_true() -> None:
    signs = list(DRAWN)
    alike = [(one, other) for one in signs for other in signs if one < other and DRAWN[one] == DRAWN[other]]
    assert alike == []


def test_no_question_comes_twice() -> None:
    questions = [question.text for block in question_blocks() for question in block]
    assert len(set(questions)) == len(questions) == available() == 168


def test_each_of_a_block_of_four_is_right_once() -> None:
    assert all(len(block) == 4 and len({answer for _, answer in block}) == 4 for block in question_blocks())


@pytest.mark.parametrize("count", [0, 1, 90, 168])
def test_items_have_four_options_one_of_them_right(count: int) -> None:
    items = geometry_items(0, count)
    assert [item.row for item in items] == list(range(1, count + 1))
    answers = {question.text: question.answer for block in question_blocks() for question in block}
    assert len({item.text for item in items}) == count
    for item in items:
        assert len(set(item.options)) == 4
        assert item.label == answers[item.text]


def test_every_place_is_right_equally_often() -> None:
    places = Counter(item.options.index(item.label) for item in geometry_items(0, 168))
    assert places == {0: 42, 1: 42, 2: 42, 3: 42}


def test_every_sign_is_wrong_three_times_as_often_as_right() -> None:
    items = geometry_items(0, 168)
    offered, right = (Counter(signs) for signs in ([sign for item in items for sign in item.options],
                                                   [item.label for item in items]))  # fmt: skip
    assert {sign: 4 * count for sign, count in right.items()} == offered


def test_the_rarest_option_is_right_by_chance_only() -> None:
    accuracies = [rarest_option_accuracy(geometry_items(seed)) for seed in range(40)]
    assert sum(accuracies) / len(accuracies) == pytest.approx(0.25, abs=0.03)
    assert max(accuracies) < 0.4


def test_the_sign_that_was_asked_for_is_right_by_chance_only() -> None:
    asked = [item for item in geometry_items(0, 168) if asked_sign(item) in item.options]
    assert sum(asked_sign(item) == item.label for item in asked) / len(asked) == pytest.approx(0.25, abs=0.05)


def asked_sign(item: Item) -> str:
    return item.text.split('"')[1] if '"' in item.text else ""


def test_the_same_seed_gives_the_same_questions() -> None:
    assert geometry_items(5) == geometry_items(5)
    assert hash_items(geometry_items(5)) != hash_items(geometry_items(6))


@pytest.mark.parametrize("count", [-1, 169])
def test_more_questions_than_there_are_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match="there are 168 letter-geometry questions"):
        geometry_items(0, count)
