"""Numbers as words: a mean with its interval, a count of tokens, a text that Markdown leaves alone.

In: numbers, intervals, names from outside. Out: texts.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from saelib.results.intervals import Interval

# An underscore inside a word is no mark-up, and names are full of them.
MARKDOWN_SIGNS = re.compile(r"[\\|*`<>\[\]$#~]|(?<!\w)_|_(?!\w)")
SIZES = ((1e9, "billion"), (1e6, "million"), (1e3, "thousand"))


def with_interval(value: Interval | Mapping[str, Any] | pd.Series, digits: int = 3, percent: bool = False) -> str:
    """A mean with its 95% interval: "0.959 (0.957 to 0.961)"; without bounds where there is one seed only."""
    fields = value._asdict() if isinstance(value, Interval) else value
    places = digits + 2 if percent else digits
    numbers = [round(float(fields[name]), places) + 0.0 for name in ("mean", "low", "high")]  # + 0.0: no "-0"
    shown = [f"{number:.{digits}%}" if percent else f"{number:,.{digits}f}" for number in numbers]
    return shown[0] if any(map(math.isnan, numbers[1:])) else f"{shown[0]} ({shown[1]} to {shown[2]})"


def thousands(tokens: float) -> str:
    """A token count in words: "62 thousand", "1.5 million", or "not reached" for infinity."""
    if not math.isfinite(tokens):
        return "not reached"
    for size, word in SIZES:
        if tokens >= size:
            return f"{tokens / size:.3g} {word}"
    return f"{tokens:.0f}"


def escape_markdown(text: str) -> str:
    """The text as Markdown shows it to the letter, on one line."""
    return MARKDOWN_SIGNS.sub(r"\\\g<0>", " ".join(text.splitlines()))
