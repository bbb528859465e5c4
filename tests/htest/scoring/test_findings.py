"""What agrees with the paper is decided by where the whole interval lies."""

import math
from typing import Any

import pytest

from saelib.htest.scoring.findings import Finding, findings, findings_table


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.47, 0.53, "yes"),  # all inside
        (0.45, 0.55, "yes"),  # the ends belong to it
        (0.44, 0.53, "open"),  # beyond the lower end
        (0.47, 0.56, "open"),  # beyond the upper one
        (0.40, 0.60, "open"),  # around it
        (0.55, 0.60, "open"),  # touches it
        (0.56, 0.60, "no"),  # all above
        (0.30, 0.44, "no"),  # all below
        (math.nan, math.nan, "open"),  # nothing is known
    ],
)
def test_the_verdict_by_hand(low: float, high: float, verdict: str) -> None:
    estimate = {"mean": (low + high) / 2, "low": low, "high": high}
    assert Finding("near a half", "accuracy", estimate, 0.45, 0.55).verdict() == verdict


def test_a_number_that_says_nothing_of_the_paper_gives_its_reason() -> None:
    inside = {"mean": 0.5, "low": 0.48, "high": 0.52}
    assert Finding("near a half", "accuracy", inside, 0.45, 0.55, "no reply").verdict() == "not tested: no reply"


def estimate(difference: float, half: float) -> dict[str, float]:
    return {"difference": difference, "low": difference - half, "high": difference + half, "first": 0.5, "p": 0.5}


def line(model: str, mean: float, half: float) -> dict[str, object]:
    return {"model": model, "mean": mean, "low": mean - half, "high": mean + half}


def main_line(model: str, accuracy: float, auroc: float | None, reader: str = "paper") -> dict[str, object]:
    values = {name: None if mean is None else {"mean": mean, "low": mean - 0.02, "high": mean + 0.02}
              for name, mean in (("accuracy", accuracy), ("auroc", auroc))}  # fmt: skip
    return {"model": model, "form": "chat", "k": 50, "readers": [reader], "share_none": 0, **values}


ACCURACY = {
    "models": ["small", "large"],
    "main": [main_line("small", 0.5, 0.73), main_line("small", 0.6, 0.73, "likelier"),
             main_line("control:oracle", 1.0, None), main_line("large", 0.8, None)],
}  # fmt: skip
RECORDED: dict[str, dict[str, Any]] = {
    "accuracy": ACCURACY,
    "shots_and_size": {
        "members": ["small", "middle", "large"],
        "overall": {"shots": estimate(0.01, 0.02), "size": estimate(-0.3, 0.1)},
    },
    "chain_of_thought": {"overall": {"chain_of_thought": estimate(-0.1, 0.05)}, "no_answer": 0.5},
    "fine_tuning": {"overall": {"tuning_with_shots": estimate(0.02, 0.1), "tuning": estimate(0.4, 0.1)}},
    "letter_geometry": {"letter_geometry": [line("small", 0.26, 0.08)]},
}


def test_every_finding_has_this_runs_number_and_a_verdict() -> None:
    table = findings_table(findings(**RECORDED))
    assert table[["measured here", "this run (95%)", "holds between", "agrees"]].values.tolist() == [
        ["mean of ten tasks, small, 50 shots, released parser", "0.500 (0.480 to 0.520)", "0.45 and 0.55", "yes"],
        ["AUROC of the margin, mean of ten tasks, small", "0.730 (0.710 to 0.750)", "0.45 and 0.55", "no"],
        ["mean of ten tasks, large, 50 shots, released parser", "0.800 (0.780 to 0.820)", "0.45 and 0.55", "no"],
        ["most shots minus fewest", "0.010 (-0.010 to 0.030)", "-0.05 and 0.05", "yes"],
        ["with minus without", "-0.100 (-0.150 to -0.050)", "-1 and 0", "yes"],
        ["large minus small", "-0.300 (-0.400 to -0.200)", "-1 and 0.05", "yes"],
        ["tuned minus untuned, with shots", "0.020 (-0.080 to 0.120)", "-1 and 0.05", "open"],
        [
            "tuned minus untuned, bare text",
            "0.400 (0.300 to 0.500)",
            "-1 and 0.05",
            "not tested: the paper tests with shots only",
        ],
        ["accuracy, small", "0.260 (0.180 to 0.340)", "0.15 and 0.35", "yes"],
    ]
    assert table["the paper finds"].str.len().gt(10).all()


def verdicts(about: str, notebook: str, **changes: Any) -> list[str]:
    """On the findings whose statement holds a text, where a notebook recorded other values."""
    found = findings(**RECORDED | {notebook: RECORDED[notebook] | changes})
    return [finding.verdict() for finding in found if about in finding.paper]


def test_a_gain_from_thinking_aloud_contradicts_the_paper() -> None:
    gain = {"chain_of_thought": estimate(0.1, 0.05)}
    assert verdicts("chain of thought", "chain_of_thought", overall=gain) == ["no"]


def test_thinking_aloud_without_answers_is_no_test_of_it() -> None:
    silent = verdicts("chain of thought", "chain_of_thought", no_answer=0.51)
    assert silent == ["not tested: most replies hold no answer"]


def test_an_untrained_twin_is_no_smaller_model() -> None:
    (verdict,) = verdicts("larger model", "shots_and_size", members=["untrained:embedded", "embedded"])
    assert verdict.startswith("not tested: a model against its untrained twin")


def test_without_a_family_nothing_is_said_of_size() -> None:
    alone = {"members": [], "overall": {"shots": estimate(0.01, 0.02)}}
    assert verdicts("larger model", "shots_and_size", **alone) == []
    assert verdicts("more shots hardly help", "shots_and_size", **alone) == ["yes"]
