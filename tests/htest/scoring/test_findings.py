"""What agrees with the paper is decided by where the whole interval lies."""

import math
from typing import Any

import pytest

from saelib.htest.config import FAMILIES
from saelib.htest.scoring.findings import Finding, counted_silence, findings, findings_table, no_sizes, tuned_tasks
from saelib.htest.tasks import TASKS


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
        ["large minus small", "-0.300 (-0.400 to -0.200)", "-1 and 0.05", "not tested: not of one family"],
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


GUESS = "not tested: a guess in place of each missing answer would change the verdict"


@pytest.mark.parametrize(
    ("after", "plain", "verdict"),
    [
        (0.51, 0.0, "not tested: 51% of the replies after a chain of thought hold no answer"),
        (0.0, 0.51, "not tested: 51% of the replies in chat hold no answer"),
        (0.51, None, "not tested: 51% of the replies hold no answer"),  # an earlier release: the mean of both
        (0.30, None, "yes"),
        (0.30, 0.0, GUESS),  # with guesses -.10 becomes +.05
        (0.10, 0.0, GUESS),  # -.05 (-.10 to 0) is all below, and -.05 + .05 is not
        (0.08, 0.0, "yes"),  # -.06 (-.11 to -.01) still is
        (0.0, 0.30, "yes"),  # more answers, and fewer right
        (0.05, 0.0, "yes"),  # alike
    ],
)
def test_thinking_aloud_without_answers_is_no_test_of_it(after: float, plain: float | None, verdict: str) -> None:
    changes = {"no_answer": after, "right_of_answered": {"chat": 0.5, "chain_of_thought": None}}
    changes |= {} if plain is None else {"no_answer_in_chat": plain}
    if after == 0.10:  # an interval of which a guess takes the end over the border
        changes["overall"] = {"chain_of_thought": estimate(-0.05, 0.04)}
    assert verdicts("chain of thought", "chain_of_thought", **changes) == [verdict]


def test_missing_answers_are_told_where_they_are_not_alike() -> None:
    more = {"no_answer": 0.3, "no_answer_in_chat": 0.1, "right_of_answered": {"chat": 0.55, "chain_of_thought": 0.5}}
    recorded = RECORDED["chain_of_thought"] | more
    told = " (no answer counts as wrong, 30% against 10%; right of those with one: 0.50 against 0.55)"
    assert counted_silence(recorded) == told
    assert f"with minus without{told}" in [
        one.measured for one in findings(**RECORDED | {"chain_of_thought": recorded})
    ]
    assert counted_silence(recorded | {"no_answer": 0.14}) == ""
    nobody = {"right_of_answered": {"chat": 0.55, "chain_of_thought": None}}
    assert counted_silence(recorded | nobody).endswith("right of those with one: - against 0.55)")


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        (["untrained:embedded", "embedded"], "a model against its untrained twin, of one size"),
        (["embedded", "untrained:embedded"], "a model against its untrained twin, of one size"),
        (["untrained:embedded", "embedded", "smollm2"], "not of one family"),
        (["embedded", "smollm2"], "not of one family"),
        (["untrained:smollm2", "embedded"], "not of one family"),
        (["EleutherAI/pythia-70m-deduped", "my/pythia"], "not of one family"),
        (["EleutherAI/pythia-410m-deduped", "EleutherAI/pythia-70m-deduped"], "the larger model stands first"),
        (["EleutherAI/pythia-70m-deduped", "EleutherAI/pythia-410m-deduped"], ""),
        ([*FAMILIES["llama-2"]], ""),
    ],
)
def test_size_is_tested_by_models_of_one_family_alone(members: list[str], reason: str) -> None:
    assert no_sizes(members) == reason
    expected = f"not tested: {reason}" if reason else "yes"
    assert verdicts("larger model", "shots_and_size", members=members) == [expected]


def test_tasks_that_models_were_tuned_on_are_named_where_they_are_not_all() -> None:
    assert tuned_tasks({}) == tuned_tasks({"tasks": [*TASKS]}) == ""
    few = RECORDED["fine_tuning"] | {"tasks": ["palindrome", "end_ly"]}
    measured = [one.measured for one in findings(**RECORDED | {"fine_tuning": few}) if one.measured.startswith("tuned")]
    assert measured == ["tuned minus untuned, with shots, 2 tasks: palindrome, end ly",
                        "tuned minus untuned, bare text, 2 tasks: palindrome, end ly"]  # fmt: skip


def test_without_a_family_nothing_is_said_of_size() -> None:
    alone = {"members": [], "overall": {"shots": estimate(0.01, 0.02)}}
    assert verdicts("larger model", "shots_and_size", **alone) == []
    assert verdicts("more shots hardly help", "shots_and_size", **alone) == ["yes"]


@pytest.mark.parametrize(
    ("notebook", "name", "verdict"),
    [("shots_and_size", "shots", "no"), ("shots_and_size", "size", "not tested: not of one family"),
     ("fine_tuning", "tuning_with_shots", "no"),
     ("fine_tuning", "tuning", "not tested: the paper tests with shots only")],
)  # fmt: skip
def test_what_is_known_is_judged_beside_the_accuracy_that_a_letter_hides(
    notebook: str, name: str, verdict: str
) -> None:
    gain = {"first": 0.65, "second": 0.73, "difference": 0.08, "low": 0.06, "high": 0.1, "tasks": 10}
    before = findings(**RECORDED)
    after = findings(**RECORDED | {notebook: RECORDED[notebook] | {"overall_auroc": {name: gain}}})
    (added,) = [one for one in after if one not in before]
    assert added.paper.startswith("(not in the paper") and added.measured.startswith("AUROC of the margin, ")
    assert added.estimate["mean"] == 0.08 and added.verdict() == verdict
    assert after.index(added) > 0 and before[after.index(added) - 1] == after[after.index(added) - 1]


def test_without_margins_there_is_no_row_of_what_is_known() -> None:
    nothing = {"overall_auroc": {"shots": None, "size": None}}
    assert len(findings(**RECORDED | {"shots_and_size": RECORDED["shots_and_size"] | nothing})) == len(
        findings(**RECORDED))  # fmt: skip
