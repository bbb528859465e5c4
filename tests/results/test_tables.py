"""Tables of texts in Markdown, LaTeX and CSV."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from saelib.results.tables import as_latex, as_markdown, interval_table, write_tables
from tests.helpers.small_run import SmallRun

WIDE = pd.DataFrame({"task": ["start_vowel", "rhyme"], "control:constant_a": ["0.50 (0.43 to 0.57)", "-"],
                     "third": ["1.00 (0.98 to 1.00)", "0.51 (0.44 to 0.58)"]})  # fmt: skip


def test_markdown_holds_every_cell() -> None:
    lines = as_markdown(WIDE).strip().split("\n")
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert found[0] == list(WIDE)
    assert found[2:] == WIDE.to_numpy().tolist()
    assert r"a\|b" in as_markdown(pd.DataFrame({"x": ["a|b"]}))


def cells(markdown: str) -> list[list[str]]:
    """The cells of a Markdown table, without the line of dashes."""
    lines = [line for number, line in enumerate(markdown.splitlines()) if number != 1]
    return [[cell.strip() for cell in line.strip("|").split(" |")] for line in lines]


def test_markdown_escapes_what_would_be_mark_up_and_keeps_the_rest() -> None:
    table = pd.DataFrame(
        {"a|b": ["<|end|>", "*x* `y` $z$ [w]", "one\ntwo", "start_vowel", "_under_"], "c_d": list("12345")}
    )
    assert cells(as_markdown(table)) == [
        [r"a\|b", "c_d"],
        [r"\<\|end\|\>", "1"],
        [r"\*x\* \`y\` \$z\$ \[w\]", "2"],
        ["one two", "3"],
        ["start_vowel", "4"],
        [r"\_under\_", "5"],
    ]
    assert len(as_markdown(table).splitlines()) == 2 + len(table)


def test_numbers_have_the_digits_that_are_asked_for_and_gaps_a_dash() -> None:
    table = pd.DataFrame({
        "layer": pd.array([1, None], "Int64"), "tokens": [1_048_576, 5], "score": [0.12345, math.nan],
        "right": [True, False], "text": ["1e5", None], "small": np.array([1234.5, 2.0], np.float32),
    })  # fmt: skip
    assert cells(as_markdown(table, digits=2))[1:] == [
        ["1", "1,048,576", "0.12", "True", "1e5", "1,234.50"],
        ["-", "5", "-", "False", "-", "2.00"],
    ]
    assert cells(as_markdown(table))[1][2] == "0.123"


def test_an_empty_table_has_its_heads() -> None:
    assert cells(as_markdown(pd.DataFrame(columns=["task", "mean"]))) == [["task", "mean"]]


def test_digits_may_differ_by_metric() -> None:
    rows = {"metric": ["mse", "l0"], "mean": [1.234, 5.678], "low": [1.0, 5.0], "high": [2.0, 6.0], "count": 3}
    shown = interval_table(pd.DataFrame(rows), {"mse": 2, "l0": 0})
    assert shown["mean (95% interval)"].tolist() == ["1.23 (1.00 to 2.00)", "6 (5 to 6)"]
    assert list(shown) == ["metric", "mean (95% interval)"]


def test_intervals_may_be_shares() -> None:
    shown = interval_table(
        pd.DataFrame({"arm": ["a"], "mean": [0.5], "low": [0.25], "high": [0.75], "count": 3}), 0, True
    )
    assert shown.to_dict("records") == [{"arm": "a", "mean (95% interval)": "50% (25% to 75%)"}]


def test_latex_holds_every_cell_between_booktabs_rules() -> None:
    text = as_latex(WIDE)
    assert r"\begin{tabular}{lcc}" in text
    assert all(rule in text for rule in (r"\toprule", r"\midrule", r"\bottomrule"))
    assert r"start\_vowel & 0.50 (0.43 to 0.57) & 1.00 (0.98 to 1.00) \\" in text
    assert r"control:constant\_a" in text


def test_the_files_hold_the_table(tmp_path: Path) -> None:
    markdown, latex, csv = write_tables(SmallRun(tmp_path / "mine"), "main", WIDE)
    assert [path.name for path in (markdown, latex, csv)] == ["main.md", "main.tex", "main.csv"]
    assert markdown.parent == tmp_path / "mine" / "tables"
    assert markdown.read_text(encoding="utf-8") == as_markdown(WIDE)
    assert latex.read_text(encoding="utf-8") == as_latex(WIDE)
    pd.testing.assert_frame_equal(pd.read_csv(csv), WIDE, check_dtype=False)
    assert sorted(path.name for path in markdown.parent.iterdir()) == ["main.csv", "main.md", "main.tex"]


@pytest.mark.parametrize("name", ["../evil", "a/b", "..", ""])
def test_a_table_that_would_be_kept_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="^table=.*: use letters, digits"):
        write_tables(SmallRun(tmp_path / "mine"), name, WIDE)
    assert not list(tmp_path.iterdir())
