"""What a notebook says: sentences, tables, verdicts, figures and checks in its output.

In: numbers, tables and figures. Out: Markdown that reads the same in JupyterLab, on a code host and in the report.
What an output is for the report (its role) stands in the output's metadata, never in its text.
"""

import platform
import warnings
from importlib import metadata
from typing import TYPE_CHECKING, Literal

from saelib.results.figures import NamedFigure, save_figure
from saelib.results.tables import as_markdown

if TYPE_CHECKING:
    import pandas as pd

    from saelib.run.config import Run

SHOWN_PACKAGES = ("torch", "transformers", "transformer-lens", "numpy", "pandas", "matplotlib")
METADATA = "saelib"  # key of an output's metadata
Role = Literal["answer", "warning", "check"]
"""A box with an answer, a box with a warning, a check that passed."""
VERDICT_SIGNS = {"yes": "✓", "no": "✗", "open": "○", "in part": "◐", "not tested": "–"}


def start_notebook() -> None:
    """Print versions of Python and of the packages that decide numbers and figures.

    Also silences tqdm, which warns, with this machine's folders, that it draws its bars as text.
    """
    warnings.filterwarnings("ignore", message="IProgress not found")
    packages = [f"{name} {metadata.version(name)}" for name in SHOWN_PACKAGES]
    print(", ".join([f"Python {platform.python_version()}", *packages]))


def say(text: str, role: Role | None = None) -> None:
    """Show a sentence as Markdown.

    Args:
        role: what it is in the report, if more than a sentence.
    """
    from IPython.display import Markdown, display

    display(Markdown(text), metadata={METADATA: {"role": role}} if role else None)


def verdict(words: str) -> str:
    """A verdict with its sign in front, so that it is not seen by its colour alone: "✓ yes", "– not tested: why".

    Raises:
        KeyError: it begins with none of `VERDICT_SIGNS`.
    """
    return f"{VERDICT_SIGNS[words.partition(':')[0]]} {words}"


def show_table(table: "pd.DataFrame", digits: int = 3) -> None:
    """Show a table as Markdown, every cell in full; its index is left out.

    Args:
        digits: after the decimal point.
    """
    say(as_markdown(table, digits))


def show_figure(run: "Run", drawn: NamedFigure) -> None:
    """Keep a figure in the run's folder, and show it."""
    from IPython.display import display

    display(save_figure(run, drawn))


def check_equal(what: str, ours: float, independent: float, way: str, tolerance: float = 0.0) -> None:
    """Show a number beside the same number found by another way: `check_equal("L0", 50.1, 50.1, "a plain loop", 0.1)`.

    Args:
        way: how the independent number was found.
        tolerance: largest difference that is allowed.

    Raises:
        AssertionError: they differ by more; the message has both numbers.
    """
    difference = abs(ours - independent)
    seen = f"{what}: {_number(ours, 6)} here, {_number(independent, 6)} by {way}"
    assert difference <= tolerance, f"{seen}; they differ by {difference:.3g}, more than {tolerance:g}"
    allowed = f"they differ by {difference:.2g}, and may by {tolerance:g}" if tolerance else "they must be equal"
    say(f"✓ {what}: **{_number(ours, 5)}** here, {_number(independent, 5)} by {way} ({allowed}).", "check")


def check_at_most(what: str, seen: float, limit: float) -> None:
    """Show a number that must not be above a limit: `check_at_most("largest difference of scores", 2e-8, 1e-6)`.

    Raises:
        AssertionError: it is above, or no number; the message has both.
    """
    assert seen <= limit, f"{what}: {_number(seen, 6)}, more than {limit:g}"
    say(f"✓ {what}: **{_number(seen, 5)}** (at most {limit:g} is allowed).", "check")


def _number(value: float, digits: int) -> str:
    """A whole number to its last digit, any other with so many significant ones."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.{digits}g}"
