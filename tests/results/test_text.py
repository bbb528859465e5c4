"""Numbers and names in words."""

import html
import math
import re

import pandas as pd
import pytest

from saelib.results.intervals import Interval
from saelib.results.text import (
    escape_cell,
    escape_html,
    escape_latex,
    escape_markdown,
    printable,
    shortened,
    thousands,
    with_interval,
)


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
        ("back\\slash", "back&#92;slash"),
        ("_emphasis_", r"\_emphasis\_"),
        ("a _b_ c", r"a \_b\_ c"),
        ("start_vowel", "start_vowel"),
        ("api:openai/gpt-4o_mini", "api:openai/gpt-4o_mini"),
        ("one\ntwo\r\nthree\tfour", "one two three four"),
        ("&lt;b&gt;", "&amp;lt;b&amp;gt;"),
        ("- item", r"\- item"),
        ("+ item", r"\+ item"),
        ("12. item", r"12\. item"),
        ("3) item", r"3\) item"),
        ("===", r"\==="),
        ("---", r"\---"),
        ("    code", "code"),
        ("__init__", r"\_\_init\_\_"),
        ("https://a.b/c", r"https\://a.b/c"),
        ("www.a.b", r"www\.a.b"),
        ("-0.5 (-1.0 to 0.1)", "-0.5 (-1.0 to 0.1)"),
        ("- ", r"\-"),
        ("1.5 (1.0 to 2.0), 50%", "1.5 (1.0 to 2.0), 50%"),
    ],
)
def test_markdown_shows_a_text_to_the_letter(text: str, escaped: str) -> None:
    assert escape_markdown(text) == escaped


HOSTILE = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "![i](http://h/x.png)", "[h](javascript:alert(1))",
    "&lt;b&gt; &amp; &#60;", "*b* _c_ __d__ e_f ***g***", "`f` ``g``", "$x$ $$y$$", "#j ~k~ ~~l~~", "# heading",
    "> quote", "- item", "+ item", "* item", "12. item", "3) item", "===", "---", "___", "l\\m", "end\\", "\\",
    "\\(x\\)", r"\begin{x}\end{x}", "a|b", "a\\|b", "`a|b`", "100% {x} ^y^", "模型",
    "x" * 300, "<|endoftext|>", "|", "||", "- ",
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_an_escaped_text_is_read_as_it_was(text: str) -> None:
    """By other libraries: what makes the report, and what JupyterLab's kin make of it."""
    import mistune
    from nbconvert.filters.markdown_mistune import markdown2html_mistune

    expected = f"<p>{html.escape(text.strip(), quote=False)}</p>"
    for read in (
        mistune.create_markdown(escape=False, plugins=["table", "strikethrough", "url"]),
        markdown2html_mistune,
    ):
        shown = str(read(escape_markdown(text))).strip()
        assert shown.replace("&quot;", '"').replace("&#39;", "'") == expected


@pytest.mark.parametrize("text", HOSTILE)
def test_an_escaped_text_stays_in_its_cell(text: str) -> None:
    import mistune

    line = f"| {escape_cell(text)} | last |"
    rows = mistune.create_markdown(escape=False, plugins=["table"])(f"| a | b |\n|---|---|\n{line}\n")
    cells = [html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", str(rows), re.DOTALL)]
    assert cells == [text.strip(), "last"]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a\x00b\x1b[31m", r"a\x00b\x1b[31m"),
        ("gpt\u202etxt.exe", r"gpt\u202etxt.exe"),  # would be shown as "gptexe.txt"
        ("a\u200bb\ufeff", r"a\u200bb\ufeff"),
        ("one\u2028two\ttabs\x85three", "one two tabs three"),
        ("\ud800", r"\ud800"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("模型 α é 😀", "模型 α é 😀"),
    ],
)
def test_nothing_is_hidden(text: str, seen: str) -> None:
    assert printable(text) == seen
    seen.encode()  # a surrogate could not be written to a file


def test_html_shows_a_text_to_the_letter() -> None:
    assert escape_html("<a b='c' d=\"e\"> & \u202e") == r"&lt;a b=&#x27;c&#x27; d=&quot;e&quot;&gt; &amp; \u202e"


def test_latex_sets_a_text_to_the_letter() -> None:
    assert escape_latex(r"50% of a_b & {c} #1 $x$ ~ ^ \x") == (
        r"50\% of a\_b \& \{c\} \#1 \$x\$ \textasciitilde{} \textasciicircum{} \textbackslash{}x"
    )


def test_a_long_name_loses_its_middle() -> None:
    assert shortened("abcdefgh", 8) == "abcdefgh"
    assert [shortened("abcdefghi", size) for size in (8, 7)] == ["abcd…ghi", "abc…ghi"]
