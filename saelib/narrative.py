"""Sentences and small tables for notebooks: what was seen, written from the numbers themselves.

In: numbers and intervals. Out: Markdown in the notebook's output.
"""

import math
import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import pandas as pd

from saelib.convergence import Interval

SHOWN_PACKAGES = ("torch", "transformers", "transformer-lens", "numpy", "pandas", "matplotlib")


def say(text: str) -> None:
    """Show a sentence as Markdown."""
    from IPython.display import Markdown, display

    display(Markdown(text))


def versions() -> str:
    """Versions of Python and of the packages that decide numbers and figures, on one line."""
    packages = [f"{name} {metadata.version(name)}" for name in SHOWN_PACKAGES]
    return ", ".join([f"Python {platform.python_version()}", *packages])


def with_interval(value: Interval | Mapping[str, Any] | pd.Series, digits: int = 3, percent: bool = False) -> str:
    """A mean with its 95% interval: "0.959 (0.957 to 0.961)"; without bounds where there is one seed only."""
    fields = value._asdict() if isinstance(value, Interval) else value
    numbers = [float(fields[name]) for name in ("mean", "low", "high")]
    shown = [f"{number:.{digits}%}" if percent else f"{number:,.{digits}f}" for number in numbers]
    return shown[0] if any(map(math.isnan, numbers[1:])) else f"{shown[0]} ({shown[1]} to {shown[2]})"


def thousands(tokens: float) -> str:
    """A token count in words: "62 thousand", "1.5 million", or "not reached" for infinity."""
    if not math.isfinite(tokens):
        return "not reached"
    for size, word in ((1e9, "billion"), (1e6, "million"), (1e3, "thousand")):
        if tokens >= size:
            return f"{tokens / size:.3g} {word}"
    return f"{tokens:.0f}"


def interval_table(summary: pd.DataFrame, digits: int = 3, percent: bool = False) -> pd.DataFrame:
    """A summary with the columns mean, low, high, count as one column of text, "mean (95% interval)"."""
    texts = [with_interval(row, digits, percent) for _, row in summary.iterrows()]
    kept = [name for name in summary if name not in ("mean", "low", "high", "count")]
    return summary[kept].assign(**{"mean (95% interval)": texts})


def check(name: str, ours: float, independent: float, tolerance: float) -> None:
    """Show a number beside an independent one.

    Raises:
        AssertionError: they differ by more than `tolerance`.
    """
    difference = abs(ours - independent)
    assert difference <= tolerance, f"{name}: {ours} and {independent} differ by {difference}, more than {tolerance}"
    say(f"✓ {name}: **{ours:.6g}**, by the independent way {independent:.6g} (allowed difference {tolerance:g})")
