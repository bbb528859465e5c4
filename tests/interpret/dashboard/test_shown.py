"""Tokens as readers see them: every sign visible, five steps of shade, tokens without activation in one piece."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saelib.interpret.dashboard.shown import NOTHING, STEPS, Piece, pieces, step, visible


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        (" the", "␣the"),
        ("\n", "↵"),
        ("\r\n\t", "␍↵⇥"),
        ("  ", "␣␣"),
        ("\x0c", "\\x0c"),  # a form feed, which Python takes for a line's end
        ("\u2028", "\\u2028"),
        ("\u00a0", "␣"),
        ("a\u202eb", "a\\u202eb"),  # turns what follows around
        ("\u200d", "\\u200d"),  # a joiner without anything to join
        ("\ud83d", "\\ud83d"),  # half of a surrogate pair, which no file in UTF-8 holds
        ("\x00", "\\x00"),
        ("", NOTHING),
        ("<b>", "<b>"),  # templates escape
        ("\ufffd", "\ufffd"),
    ],
)
def test_a_token_is_seen(token: str, shown: str) -> None:
    assert visible(token) == shown


def test_running_text_keeps_its_blanks() -> None:
    assert visible(" the cat", blanks=False) == " the cat"
    assert visible("  ", blanks=False) == "␣␣"
    assert visible(" \n", blanks=False) == " ↵"


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_nothing_invisible_is_left(text: str) -> None:
    shown = visible(text)
    assert shown
    assert not any(sign.isspace() for sign in shown)
    assert not {unicodedata.category(sign) for sign in shown.strip("\u200c\u200d")} & {"Cc", "Cs", "Cn", "Co"}
    shown.encode()


def test_steps_are_fifths_of_the_largest() -> None:
    # 2 / 10 is one fifth, and belongs to the first step; 2.1 / 10 is beyond it
    assert [step(value, 10.0) for value in (0.0, 0.001, 2.0, 2.1, 9.9, 10.0)] == [0, 1, 1, 2, 5, STEPS]
    assert step(3.0, 0.0) == step(-1.0, 5.0) == step(float("nan"), 5.0) == 0


def test_tokens_without_activation_are_one_piece() -> None:
    found = pieces([" a", " b", "c", " d"], [0.0, 0.0, 4.0, 1.0], peak=2, largest=5.0)
    assert found == [
        Piece(" a b", 0, "", False),
        Piece("c", 4, "4", True),
        Piece(" ", 0, "", False),
        Piece("d", 1, "1", False),
    ]


def test_a_peak_is_marked_even_where_nothing_is_active() -> None:
    assert [piece.is_peak for piece in pieces(["a", "b", "c"], [0.0, 0.0, 0.0], peak=1, largest=0.0)] == [
        False, True, False,
    ]  # fmt: skip
