"""How a token is shown: blanks and line breaks to be seen, nothing that turns a line around, five steps of shade.

In: texts and activations of a context. Out: pieces of text, each with its step, for the templates.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from saelib.results.text import JOINERS, is_seen, printable

STEPS = 5  # of shade and of underline; more cannot be told apart
SIGNS = str.maketrans(
    {"\n": "↵", "\t": "⇥", "\r": "␍"}
    | {sign: f"\\x{ord(sign):02x}" for sign in "\x0b\x0c\x1c\x1d\x1e\x85"}  # line breaks too, for Python
    | {sign: f"\\u{ord(sign):04x}" for sign in "\u2028\u2029"}
)
NOTHING = "∅"  # a token without any text


class Piece(NamedTuple):
    """A piece of a context: tokens without activation together, each of the others alone, its first blank left out."""

    text: str
    step: int
    """0 for no activation, up to `STEPS`."""
    value: str
    """The activation; empty where there is none."""
    is_peak: bool


def visible(text: str, blanks: bool = True) -> str:
    """The token with every sign to be seen.

    Args:
        blanks: show them as "␣"; in running text only a token that is nothing but blanks is.
    """
    marked = text.translate(SIGNS)
    if blanks or not marked.strip():
        marked = "".join("␣" if sign.isspace() else sign for sign in marked)
    return printable(marked, is_seen if text.strip(JOINERS) else _never) or NOTHING


def step(activation: float, largest: float) -> int:
    """Which fifth of the largest activation it is in: 0 for none, `STEPS` for the largest."""
    if not activation > 0 or not largest > 0:
        return 0
    return min(STEPS, math.ceil(STEPS * activation / largest))


def pieces(texts: Sequence[str], activations: Sequence[float], peak: int, largest: float) -> list[Piece]:
    """A context in pieces.

    Args:
        peak: place of its largest activation.
        largest: activation that has the darkest shade.
    """
    found: list[Piece] = []
    plain = ""
    for place, (text, activation) in enumerate(zip(texts, activations, strict=True)):
        shown, shade = visible(text, blanks=False), step(activation, largest)
        if shade == 0 and place != peak:
            plain += shown
            continue
        plain += " " * (len(shown) - len(shown.lstrip(" ")))  # a line may break before a token, not inside
        found += [Piece(plain, 0, "", False)] if plain else []
        value = f"{activation:.3g}" if activation > 0 else ""
        found.append(Piece(shown.lstrip(" "), shade, value, place == peak))
        plain = ""
    return [*found, Piece(plain, 0, "", False)] if plain else found


def _never(_: str) -> bool:
    return False
