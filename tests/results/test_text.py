"""Numbers and names in words."""

import math

import pandas as pd
import pytest

from saelib.results.intervals import Interval
from saelib.results.text import escape_markdown, thousands, with_interval


def test_intervals_in_words() -> None:
    assert with_interval(Interval(0.95912, 0.957, 0.9612, 3)) == "0.959 (0.957 to 0.961)"
    assert with_interval({"mean": 0.5, "low": 0.4, "high": 0.6}, 0, percent=True) == "50% (40% to 60%)"
    assert with_interval(Interval(0.5, math.nan, math.nan, 1), 1) == "0.5"
    assert (
        with_interval(pd.Series({"mean": 1234.5, "low": 1000.0, "high": 2000.0}), 1) == "1,234.5 (1,000.0 to 2,000.0)"
    )


def test_nothing_is_minus_zero() -> None:
    assert with_interval(Interval(-0.0001, -0.0004, 0.0001, 3)) == "0.000 (0.000 to 0.000)"
    assert with_interval(Interval(-0.001, -0.004, 0.001, 3), 0, percent=True) == "0% (0% to 0%)"


@pytest.mark.parametrize(
    ("tokens", "text"),
    [(306, "306"), (61_780, "61.8 thousand"), (1.5e6, "1.5 million"), (1e9, "1 billion"), (math.inf, "not reached")],
)
def test_token_counts_in_words(tokens: float, text: str) -> None:
    assert thousands(tokens) == text


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a|b", r"a\|b"),
        ("*bold*", r"\*bold\*"),
        ("`code`", r"\`code\`"),
        ("<|endoftext|>", r"\<\|endoftext\|\>"),
        ("$x$ ~ [link](x) #1", r"\$x\$ \~ \[link\](x) \#1"),
        ("back\\slash", r"back\\slash"),
        ("_emphasis_", r"\_emphasis\_"),
        ("a _b_ c", r"a \_b\_ c"),
        ("start_vowel", "start_vowel"),
        ("api:openai/gpt-4o_mini", "api:openai/gpt-4o_mini"),
        ("one\ntwo\r\nthree", "one two three"),
        ("1.5 (1.0 to 2.0), 50%", "1.5 (1.0 to 2.0), 50%"),
    ],
)
def test_markdown_shows_a_text_to_the_letter(text: str, escaped: str) -> None:
    assert escape_markdown(text) == escaped


def test_an_escaped_text_is_read_as_it_was() -> None:
    """By another library: what JupyterLab's kin make of it."""
    from nbconvert.filters.markdown_mistune import markdown2html_mistune

    for text in ("<|a|>", "*b* _c_ d_e", "`f` $g$ [h](i)", "#j ~k~", "l\\m"):
        shown = markdown2html_mistune(escape_markdown(text))
        expected = text.replace("<", "&lt;").replace(">", "&gt;")
        assert shown.strip() == f"<p>{expected}</p>"
