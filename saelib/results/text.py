"""Numbers as words, and texts from outside made harmless: a name, an item, a reply may hold any sign.

In: numbers, intervals; names of models, files and sets of items, texts of items, replies. Out: texts. Whatever comes
from outside goes through one `escape_` function on its way into Markdown, HTML or LaTeX, and through `printable`, which
they all use; figures write no formulas; `results.figures.figure_label` is for them.
"""

import html
import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from saelib.results.intervals import Interval

MARKDOWN_SIGNS = re.compile(
    r"[|*`<>\[\]$#~]"  # tables, emphasis, code, tags, links and pictures, formulas, headings
    r"|(?<![^\W_])_|_(?![^\W_])"  # inside a word an underscore is no mark-up, and names are full of them
    r"|:(?=//)|(?<=www)\.|@"  # addresses become links by themselves
)
BLOCK_SIGNS = re.compile(r"^(?:[-+](?=\s|$)|[-=](?=[-=]*$))")  # lists, and lines under headings
NUMBERED = re.compile(r"^(\d{1,9})([.)])(?=\s|$)")
LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    sign: f"\\{sign}" for sign in "&%$#_{}"
}  # fmt: skip
JOINERS = "\u200c\u200d"  # of Persian words and of emoji: they hide nothing
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn"}  # Unicode's control, format, surrogate, private and unassigned
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


def is_seen(sign: str) -> bool:
    """Whether a sign can be seen, or joins two that can."""
    return sign in JOINERS or unicodedata.category(sign) not in HIDDEN


def printable(text: str, is_shown: Callable[[str], bool] = is_seen) -> str:
    """The text on one line, with every sign to be seen: what a reader cannot see stands as its number, "\u202e".

    Line breaks and tabs become blanks. Control characters end a file for some programs, and marks of direction turn
    the text after them around.

    Args:
        is_shown: whether a sign may stand as it is.
    """
    line = " ".join(text.expandtabs(1).splitlines())
    return "".join(sign if is_shown(sign) else _number(sign) for sign in line)


def shortened(text: str, longest: int) -> str:
    """The text, its middle left out where it has more than `longest` signs."""
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]}…{text[1 - (longest - half) :]}"


def _number(sign: str) -> str:
    code = ord(sign)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def escape_markdown(text: str) -> str:
    """The text as Markdown shows it to the letter, on one line, in a sentence, a cell or a line of its own."""
    inside = escape_cell(text.strip())
    return NUMBERED.sub(r"\1\\\2", BLOCK_SIGNS.sub(r"\\\g<0>", inside))


def escape_cell(text: str) -> str:
    """As `escape_markdown`, for the cell of a table, where no list or heading can begin.

    A backslash becomes an entity: before a parenthesis or "begin" a second one would open a formula in JupyterLab, and
    at the end of a cell it would escape the border.
    """
    named = printable(text).replace("&", "&amp;").replace("\\", "\0")
    return MARKDOWN_SIGNS.sub(r"\\\g<0>", named).replace("\0", "&#92;")


def escape_html(text: str) -> str:
    """The text as HTML shows it to the letter, between tags or as a quoted attribute."""
    return html.escape(printable(text))


def escape_latex(text: str) -> str:
    """The text as LaTeX sets it to the letter."""
    return "".join(LATEX.get(sign, sign) for sign in printable(text))
