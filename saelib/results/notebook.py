"""Sentences and small tables for notebooks: what was seen, written from the numbers themselves.

In: numbers, intervals and tables. Out: Markdown in the notebook's output, which reads the same in JupyterLab, on a
code host and in the report.
"""

import math
import platform
import re
import warnings
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import pandas as pd

from saelib.transfer.convergence import Interval, mean_with_interval

SHOWN_PACKAGES = ("torch", "transformers", "transformer-lens", "numpy", "pandas", "matplotlib")
MARKDOWN_SIGNS = re.compile(r"([\\|*_`<>\[\]$#~])")


def say(text: str) -> None:
    """Show a sentence as Markdown."""
    from IPython.display import Markdown, display

    display(Markdown(text))


def show_table(table: pd.DataFrame, digits: int = 3) -> None:
    """Show a table as Markdown, every cell in full; its index is left out.

    Args:
        digits: behind the point of floating-point numbers.
    """
    lines = [list(map(str, table.columns)), ["---"] * len(table.columns)]
    lines += [[_cell(value, digits) for value in row] for row in table.itertuples(index=False, name=None)]
    say("\n".join(f"| {' | '.join(line)} |" for line in lines))


def _cell(value: Any, digits: int) -> str:
    if value is pd.NA or value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:,.{digits}f}"
    text = f"{value:,}" if type(value) is int else str(value)
    return MARKDOWN_SIGNS.sub(r"\\\1", text)


def start_notebook() -> None:
    """Print versions of Python and of the packages that decide numbers and figures.

    Also silences tqdm, which warns, with this machine's folders, that it draws its bars as text.
    """
    warnings.filterwarnings("ignore", message="IProgress not found")
    packages = [f"{name} {metadata.version(name)}" for name in SHOWN_PACKAGES]
    print(", ".join([f"Python {platform.python_version()}", *packages]))


def with_interval(value: Interval | Mapping[str, Any] | pd.Series, digits: int = 3, percent: bool = False) -> str:
    """A mean with its 95% interval: "0.959 (0.957 to 0.961)"; without bounds where there is one seed only."""
    fields = value._asdict() if isinstance(value, Interval) else value
    places = digits + 2 if percent else digits
    numbers = [round(float(fields[name]), places) + 0.0 for name in ("mean", "low", "high")]  # + 0.0: no "-0"
    shown = [f"{number:.{digits}%}" if percent else f"{number:,.{digits}f}" for number in numbers]
    return shown[0] if any(map(math.isnan, numbers[1:])) else f"{shown[0]} ({shown[1]} to {shown[2]})"


def interval_table(summary: pd.DataFrame, digits: int | Mapping[str, int] = 3, percent: bool = False) -> pd.DataFrame:
    """A summary whose columns mean, low, high and count become one column of text, "mean (95% interval)".

    Args:
        digits: behind the point; by the value of the column `metric` where metrics differ.
    """
    lines = summary.to_dict("records")
    places = [digits if isinstance(digits, int) else digits[line["metric"]] for line in lines]
    texts = [with_interval(line, place, percent) for line, place in zip(lines, places, strict=True)]
    kept = [name for name in summary if name not in ("mean", "low", "high", "count")]
    return summary[kept].assign(**{"mean (95% interval)": texts})


def metric_table(rows: pd.DataFrame, by: list[str], digits: Mapping[str, int]) -> pd.DataFrame:
    """Mean and interval over the rows of each group (one row a seed), a column a metric.

    Args:
        digits: behind the point, by metric; also says which metrics, and in what order.
    """
    lines = []
    for key, group in rows.groupby(by, observed=True):
        cells = {metric: with_interval(mean_with_interval(group[metric]), places) for metric, places in digits.items()}
        lines.append(dict(zip(by, key, strict=True)) | cells)
    return pd.DataFrame(lines)


def tokens_table(needed: pd.DataFrame) -> pd.DataFrame:
    """Tokens to target, a row a layer: means over seeds, or how many seeds arrive where not all do.

    Args:
        needed: what `convergence.tokens_to_target` gives.
    """
    lines = []
    for (direction, layer), group in needed.groupby(["direction", "act_layer"], observed=True):
        line: dict[str, Any] = {"direction": direction, "layer": layer}
        for arm, seeds in group.groupby("arm"):
            arrived = int(seeds["reached"].sum())
            everybody = arrived == len(seeds)
            text = thousands(seeds["tokens_needed"].mean()) if everybody else f"{arrived} of {len(seeds)} arrive"
            line["transfer" if arm == direction else str(arm)] = text
        lines.append(line)
    columns = ["direction", "layer", "transfer", "control", "scratch"]
    return pd.DataFrame(lines)[columns].sort_values(["direction", "layer"], ascending=[False, True])


def thousands(tokens: float) -> str:
    """A token count in words: "62 thousand", "1.5 million", or "not reached" for infinity."""
    if not math.isfinite(tokens):
        return "not reached"
    for size, word in ((1e9, "billion"), (1e6, "million"), (1e3, "thousand")):
        if tokens >= size:
            return f"{tokens / size:.3g} {word}"
    return f"{tokens:.0f}"


def check(name: str, ours: float, independent: float, tolerance: float) -> None:
    """Show a number beside an independent one.

    Raises:
        AssertionError: they differ by more than `tolerance`.
    """
    difference = abs(ours - independent)
    assert difference <= tolerance, f"{name}: {ours} and {independent} differ by {difference}, more than {tolerance}"
    say(f"✓ {name}: **{ours:.5g}**, by the independent way {independent:.5g} (they may differ by {tolerance:g})")
