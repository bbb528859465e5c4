"""What notebooks say is what the numbers are."""

import math

import pandas as pd
import pytest

from saelib.results import notebook as narrative
from saelib.results.notebook import (
    check,
    interval_table,
    metric_table,
    show_table,
    thousands,
    tokens_table,
    with_interval,
)
from saelib.transfer.convergence import Interval


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    texts: list[str] = []
    monkeypatch.setattr(narrative, "say", texts.append)
    return texts


def test_intervals_in_words() -> None:
    assert with_interval(Interval(0.95912, 0.957, 0.9612, 3)) == "0.959 (0.957 to 0.961)"
    assert with_interval({"mean": 0.5, "low": 0.4, "high": 0.6}, 0, percent=True) == "50% (40% to 60%)"
    assert with_interval(Interval(0.5, math.nan, math.nan, 1), 1) == "0.5"


@pytest.mark.parametrize(
    ("tokens", "text"),
    [(306, "306"), (61_780, "61.8 thousand"), (1.5e6, "1.5 million"), (1e9, "1 billion"), (math.inf, "not reached")],
)
def test_token_counts_in_words(tokens: float, text: str) -> None:
    assert thousands(tokens) == text


def test_tables_are_markdown_with_every_sign_kept(said: list[str]) -> None:
    show_table(pd.DataFrame({"text": ["<|end|>", "a_b"], "n": [1234, 5], "x": [0.12345, math.nan]}), digits=2)
    assert said[0].splitlines() == [
        "| text | n | x |",
        "| --- | --- | --- |",
        "| \\<\\|end\\|\\> | 1,234 | 0.12 |",
        "| a\\_b | 5 | - |",
    ]


def test_digits_may_differ_by_metric() -> None:
    rows = {"metric": ["mse", "l0"], "mean": [1.234, 5.678], "low": [1.0, 5.0], "high": [2.0, 6.0], "count": 3}
    shown = interval_table(pd.DataFrame(rows), {"mse": 2, "l0": 0})
    assert shown["mean (95% interval)"].tolist() == ["1.23 (1.00 to 2.00)", "6 (5 to 6)"]
    assert list(shown) == ["metric", "mean (95% interval)"]


def test_metrics_are_averaged_over_the_rows_of_a_group() -> None:
    rows = pd.DataFrame({"layer": [0, 0, 1], "l0": [1.0, 3.0, 5.0]})
    assert metric_table(rows, ["layer"], {"l0": 0})["l0"].tolist() == ["2 (-11 to 15)", "5"]


def test_tokens_to_target_name_those_that_do_not_arrive() -> None:
    arms = ["forward"] * 2 + ["control"] * 2 + ["scratch"] * 2
    tokens = [1000.0, 3000.0, 9000.0, math.inf, 8000.0, 8000.0]
    needed = pd.DataFrame({"direction": "forward", "act_layer": 1, "seed": [0, 1] * 3, "arm": arms})
    needed = needed.assign(tokens_needed=tokens, reached=[math.isfinite(needed) for needed in tokens])
    row = tokens_table(needed).iloc[0]
    assert (row["transfer"], row["control"], row["scratch"]) == ("2 thousand", "1 of 2 arrive", "8 thousand")


def test_a_check_shows_both_numbers_or_stops(said: list[str]) -> None:
    check("loss", 1.0, 1.0001, 1e-3)
    assert "**1**" in said[0] and "1.0001" in said[0]
    with pytest.raises(AssertionError, match="loss: 1.0 and 1.1 differ"):
        check("loss", 1.0, 1.1, 1e-3)
