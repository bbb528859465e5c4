"""The paper's findings beside a run: each as one number with its interval, and whether they agree.

In: the values that the notebooks `31_htest_accuracy` to `35_htest_letter_geometry` recorded. Out: a table. The paper's
per-task tables are not public, so its findings stand here as statements; "near" and "hardly" are given a width, `NEAR`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import pandas as pd

from saelib.htest.config import UNTRAINED
from saelib.htest.scoring.main_table import who
from saelib.htest.scoring.names import counted_tasks
from saelib.htest.tasks import TASKS
from saelib.results.text import with_interval

NEAR = 0.05  # of accuracy, and of AUROC
MOST = 0.5  # of replies

Recorded: TypeAlias = Mapping[str, Any]
"""Values that a notebook recorded, by name."""


class Finding(NamedTuple):
    """A statement of the paper, and the interval of accuracies or differences in which it holds."""

    paper: str
    measured: str
    estimate: Mapping[str, float]
    """This run's mean, low and high."""
    holds_from: float
    holds_to: float
    not_tested: str = ""
    """Why this run's number says nothing of the paper's statement; empty where it does."""

    def verdict(self) -> str:
        """Say "yes" where the whole 95% interval is inside, "no" where it is all outside, else "open"."""
        if self.not_tested:
            return f"not tested: {self.not_tested}"
        low, high = self.estimate["low"], self.estimate["high"]
        if self.holds_from <= low and high <= self.holds_to:
            return "yes"
        return "no" if high < self.holds_from or low > self.holds_to else "open"


def findings(
    accuracy: Recorded,
    shots_and_size: Recorded,
    chain_of_thought: Recorded,
    fine_tuning: Recorded,
    letter_geometry: Recorded,
) -> list[Finding]:
    """The paper's findings with this run's numbers, from what the notebooks of these names recorded.

    Args:
        accuracy: `models`, and `main`, the lines of `main_table.main_lines`.
        shots_and_size: `members`, and in `overall`, as in the next two, what `comparison.overall` gave: `shots`, and
            `size` where a family was asked.
        chain_of_thought: `no_answer`, and `chain_of_thought` in `overall`.
        fine_tuning: `tuning` and `tuning_with_shots` in `overall`.
        letter_geometry: `letter_geometry`, a list of accuracies.
    """
    return [
        *_near_guessing(accuracy),
        _shots(shots_and_size),
        _thinking(chain_of_thought),
        *_size(shots_and_size),
        *_tuning(fine_tuning),
        *_geometry(letter_geometry),
    ]


def _near_guessing(accuracy: Recorded) -> list[Finding]:
    """For each model by the paper's protocol, and where there is a margin by the AUROC, which no letter can hide.

    Controls are no models; a model's second line is another reading of the same replies.
    """
    first: dict[str, Recorded] = {}
    for line in accuracy["main"]:
        first.setdefault(line["model"], line)
    found = []
    for line in (first[model] for model in accuracy["models"]):
        tasks = counted_tasks(line.get("tasks", len(TASKS)))
        found.append(Finding("accuracy stays near the 50% of guessing", f"mean of {tasks}, {who(line)}",
                             line["accuracy"], 0.5 - NEAR, 0.5 + NEAR))  # fmt: skip
        if line["auroc"]:
            found.append(Finding("(not in the paper: the same of what it knows, whichever letter it prefers)",
                                 f"AUROC of the margin, mean of {tasks}, {line['model']}",
                                 line["auroc"], 0.5 - NEAR, 0.5 + NEAR))  # fmt: skip
    return found


def _shots(recorded: Recorded) -> Finding:
    return Finding("more shots hardly help", "most shots minus fewest", _difference(recorded, "shots"), -NEAR, NEAR)


def _thinking(recorded: Recorded) -> Finding:
    difference = _difference(recorded, "chain_of_thought")
    silent = "most replies hold no answer" if recorded["no_answer"] > MOST else ""
    return Finding("a chain of thought lowers accuracy", "with minus without", difference, -1, 0, silent)


def _size(recorded: Recorded) -> list[Finding]:
    """The finding on size, where a family was asked; an untrained twin is no smaller model."""
    if "size" not in recorded["overall"]:
        return []
    first, last = recorded["members"][0], recorded["members"][-1]
    twin = "a model against its untrained twin, of one size" if first.startswith(UNTRAINED) else ""
    difference = _difference(recorded, "size")
    return [Finding("a larger model is no better", f"{last} minus {first}", difference, -1, NEAR, twin)]


def _tuning(recorded: Recorded) -> list[Finding]:
    return [
        Finding("fine-tuning gives no significant gain (tested with shots)", "tuned minus untuned, with shots",
                _difference(recorded, "tuning_with_shots"), -1, NEAR),
        Finding("(not in the paper: the same, tested as it was tuned)", "tuned minus untuned, bare text",
                _difference(recorded, "tuning"), -1, NEAR, "the paper tests with shots only"),
    ]  # fmt: skip


def _geometry(recorded: Recorded) -> list[Finding]:
    return [
        Finding("letter geometry stays near 25%", f"accuracy, {line['model']}", line, 0.25 - 2 * NEAR, 0.25 + 2 * NEAR)
        for line in recorded["letter_geometry"]
    ]


def _difference(recorded: Recorded, name: str) -> dict[str, float]:
    """Of two conditions, over all tasks."""
    overall = recorded["overall"][name]
    return {"mean": overall["difference"], "low": overall["low"], "high": overall["high"]}


def findings_table(found: list[Finding]) -> pd.DataFrame:
    """Findings as texts: the paper, what was measured, this run (95% interval), holds between, agrees."""
    return pd.DataFrame(
        {"the paper finds": finding.paper, "measured here": finding.measured,
         "this run (95%)": with_interval(finding.estimate, 3),
         "holds between": f"{finding.holds_from:g} and {finding.holds_to:g}", "agrees": finding.verdict()}
        for finding in found
    )  # fmt: skip
