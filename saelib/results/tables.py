"""Tables as people read them: Markdown, LaTeX and CSV, with intervals as text.

In: tidy tables of numbers. Out: tables of texts, and files. Every Markdown table of the library is written here.
"""

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from saelib.results.text import escape_cell, escape_latex, with_interval
from saelib.run.files import path_part, write_atomically
from saelib.run.lock import writing

if TYPE_CHECKING:
    from saelib.run.config import Run

INTERVAL_COLUMNS = ("mean", "low", "high", "count")


def as_markdown(table: pd.DataFrame, digits: int = 3) -> str:
    """A Markdown table, every cell in full and with its own signs; the index is left out.

    Args:
        digits: after the decimal point.
    """
    shown = pd.DataFrame(
        [[_cell(value, digits) for value in row] for row in table.itertuples(index=False, name=None)],
        columns=[escape_cell(str(name)) for name in table.columns],
    )
    return str(shown.to_markdown(index=False, disable_numparse=True)) + "\n"


def _cell(value: Any, digits: int) -> str:
    if value is pd.NA or value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:,.{digits}f}"
    return f"{value:,}" if type(value) is int else escape_cell(str(value))


def as_latex(table: pd.DataFrame) -> str:
    """A LaTeX tabular with the rules of booktabs; signs with a meaning in LaTeX are escaped."""
    layout = "l" + "c" * (len(table.columns) - 1)
    escaped = table.map(lambda value: escape_latex(value) if isinstance(value, str) else value)
    escaped.columns = [escape_latex(str(name)) for name in table.columns]
    return str(escaped.to_latex(index=False, escape=False, column_format=layout))


def write_tables(run: "Run", name: str, table: pd.DataFrame) -> list[Path]:
    """Write `tables/<name>.md`, `.tex` and `.csv` of the run, each atomically; returns their paths.

    Beside stored results none is written.

    Raises:
        ValueError: no file can be called by the name.
        RunInUseError: another process is at work on the run.
    """
    place = run.folder / "tables" / path_part(name, "table")
    if run.config.stored:
        return []
    contents = {"md": as_markdown(table), "tex": as_latex(table), "csv": table.to_csv(index=False)}
    paths = []
    with writing(run):
        for suffix, content in contents.items():
            path = place.with_name(f"{name}.{suffix}")
            write_atomically(path, partial(Path.write_text, data=content, encoding="utf-8"))
            paths.append(path)
    return paths


def interval_table(summary: pd.DataFrame, digits: int | Mapping[str, int] = 3, percent: bool = False) -> pd.DataFrame:
    """A summary whose columns mean, low, high and count become one column of text, "mean (95% interval)".

    Args:
        digits: after the decimal point; by the value of the column `metric` where metrics differ.
    """
    lines = summary.to_dict("records")
    places = [digits if isinstance(digits, int) else digits[line["metric"]] for line in lines]
    texts = [with_interval(line, place, percent) for line, place in zip(lines, places, strict=True)]
    kept = [name for name in summary if name not in INTERVAL_COLUMNS]
    return summary[kept].assign(**{"mean (95% interval)": texts})
