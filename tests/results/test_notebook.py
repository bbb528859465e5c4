"""What notebooks say is what the numbers are."""

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from saelib.results import notebook
from saelib.results.figures import SHRINK, NamedFigure, figure, new_figure
from saelib.results.notebook import check_at_most, check_equal, show_figure, show_table, start_notebook, verdict
from tests.helpers.small_run import SmallRun


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    texts: list[str] = []
    monkeypatch.setattr(notebook, "say", lambda text, role=None: texts.append(text))
    return texts


def test_versions_come_first(capsys: pytest.CaptureFixture[str]) -> None:
    start_notebook()
    printed = capsys.readouterr().out
    assert printed.startswith("Python 3.")
    assert all(f"{name} " in printed for name in ("torch", "transformers", "numpy", "pandas", "matplotlib"))


def test_a_sentence_is_markdown(monkeypatch: pytest.MonkeyPatch) -> None:
    import IPython.display

    shown: list[Any] = []
    monkeypatch.setattr(IPython.display, "display", lambda one, metadata=None: shown.append((one, metadata)))
    notebook.say("**7** features")
    notebook.say("Yes.", "answer")
    check_equal("rows", 2, 2, "counting")
    assert [(type(one).__name__, one.data) for one, _ in shown[:2]] == [
        ("Markdown", "**7** features"), ("Markdown", "Yes."),
    ]  # fmt: skip
    assert [metadata for _, metadata in shown] == [
        None, {"saelib": {"role": "answer"}}, {"saelib": {"role": "check"}},
    ]  # fmt: skip


def test_a_verdict_has_a_sign_of_its_own() -> None:
    assert verdict("yes") == "✓ yes"
    assert verdict("not tested: too small") == "– not tested: too small"
    assert len(set(notebook.VERDICT_SIGNS.values())) == len(notebook.VERDICT_SIGNS)
    with pytest.raises(KeyError):
        verdict("perhaps")


def test_a_table_is_markdown_with_every_sign_kept(said: list[str]) -> None:
    show_table(pd.DataFrame({"text": ["<|end|>", "a_b"], "n": [1234, 5], "x": [0.12345, math.nan]}), digits=2)
    lines = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in said[0].splitlines()]
    assert lines[0] == ["text", "n", "x"]
    assert lines[2:] == [[r"\<\|end\|\>", "1,234", "0.12"], ["a_b", "5", "-"]]


def test_two_ways_to_one_number_are_shown_side_by_side(said: list[str]) -> None:
    check_equal("L0", 50.123456, 50.12, "a plain loop", 0.01)
    assert said == ["✓ L0: **50.123** here, 50.12 by a plain loop (they differ by 0.0035, and may by 0.01)."]
    check_equal("parameters", 162_322, 162_322, "a closed form")
    assert said[1] == "✓ parameters: **162,322** here, 162,322 by a closed form (they must be equal)."


def test_two_ways_to_two_numbers_stop_the_notebook(said: list[str]) -> None:
    with pytest.raises(AssertionError) as stopped:
        check_equal("L0", 50.0, 50.1, "a plain loop", 0.01)
    assert str(stopped.value) == "L0: 50 here, 50.1 by a plain loop; they differ by 0.1, more than 0.01"
    with pytest.raises(AssertionError, match="2 here, 1 by counting; they differ by 1, more than 0"):
        check_equal("rows", 2, 1, "counting")
    for ours, independent in ((math.nan, 1.0), (1.0, math.nan)):
        with pytest.raises(AssertionError):
            check_equal("loss", ours, independent, "hand", 1e9)
    assert not said


def test_a_limit_is_shown_or_stops_the_notebook(said: list[str]) -> None:
    check_at_most("largest difference of scores", 2e-8, 1e-6)
    assert said == ["✓ largest difference of scores: **2e-08** (at most 1e-06 is allowed)."]
    check_at_most("rows in both halves", 0, 0)
    for seen in (2e-6, math.nan, math.inf):
        with pytest.raises(AssertionError, match=r"difference: .*, more than 1e-06"):
            check_at_most("difference", seen, 1e-6)
    assert len(said) == 2


def test_a_figure_is_kept_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import IPython.display

    @figure("line", "A line")
    def line() -> Any:
        drawn, panels = new_figure(2, 1)
        panels[0, 0].plot([0, 1])
        return drawn

    shown: list[Any] = []
    monkeypatch.setattr(IPython.display, "display", shown.append)
    drawn: NamedFigure = line()
    show_figure(SmallRun(tmp_path / "mine"), drawn)
    sources = (tmp_path / "mine" / "figures" / "line.png", io.BytesIO(shown[0].data))
    kept, small = (Image.open(source).convert("RGB") for source in sources)
    assert small.size == tuple(-(-side // SHRINK) for side in kept.size)
    difference = np.abs(np.asarray(kept.resize(small.size), float) - np.asarray(small, float))
    assert difference.mean() < 2 and np.asarray(small).std() > 5  # of 255: one picture, and not an empty one
