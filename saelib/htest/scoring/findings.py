"""The paper's findings beside a run: each as one number with its interval, and whether they agree.

In: the values that notebooks 07 and 08 recorded. Out: a table. The paper's per-task tables are not public, so its
findings stand here as statements; "near" and "hardly" are given a width, `NEAR`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from saelib.htest.config import UNTRAINED
from saelib.results.notebook import with_interval

NEAR = 0.05  # of accuracy
MOST = 0.5  # of replies


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


def findings(accuracy: Mapping[str, Any], ablations: Mapping[str, Any]) -> list[Finding]:
    """The paper's findings with this run's numbers.

    Args:
        accuracy: what notebook 07 recorded.
        ablations: what notebook 08 recorded.
    """
    differences = {name: _estimate(value) for name, value in ablations["overall"].items()}
    found = [
        Finding("accuracy stays near the 50% of guessing", f"mean of ten tasks, {line['model']}",
                line, 0.5 - NEAR, 0.5 + NEAR)
        for line in accuracy["mean_accuracy"] if line["model"] in accuracy["models"]
    ]  # fmt: skip
    return [
        *found,
        Finding("more shots hardly help", "most shots minus fewest", differences["shots"], -NEAR, NEAR),
        Finding("a chain of thought lowers accuracy", "with minus without", differences["chain_of_thought"], -1, 0,
                "most replies hold no answer" if ablations["no_answer"] > MOST else ""),
        *_size(ablations, differences),
        Finding("fine-tuning gives no significant gain (tested with shots)", "tuned minus untuned, with shots",
                differences["tuning_with_shots"], -1, NEAR),
        Finding("(not in the paper: the same, tested as it was tuned)", "tuned minus untuned, bare text",
                differences["tuning"], -1, NEAR, "the paper tests with shots only"),
        *(Finding("letter geometry stays near 25%", f"accuracy, {line['model']}", line,
                  0.25 - 2 * NEAR, 0.25 + 2 * NEAR)
          for line in ablations["letter_geometry"]),
    ]  # fmt: skip


def _size(ablations: Mapping[str, Any], differences: Mapping[str, Mapping[str, float]]) -> list[Finding]:
    """The finding on size, where a family was asked; an untrained twin is no smaller model."""
    if "size" not in differences:
        return []
    first, last = ablations["members"][0], ablations["members"][-1]
    twin = "a model against its untrained twin, of one size" if first.startswith(UNTRAINED) else ""
    return [Finding("a larger model is no better", f"{last} minus {first}", differences["size"], -1, NEAR, twin)]


def findings_table(found: list[Finding]) -> pd.DataFrame:
    """Findings as texts: the paper, what was measured, this run (95% interval), holds between, agrees."""
    return pd.DataFrame(
        {"the paper finds": finding.paper, "measured here": finding.measured,
         "this run (95%)": with_interval(finding.estimate, 3),
         "holds between": f"{finding.holds_from:g} and {finding.holds_to:g}", "agrees": finding.verdict()}
        for finding in found
    )  # fmt: skip


def _estimate(overall: Mapping[str, float]) -> dict[str, float]:
    return {"mean": overall["difference"], "low": overall["low"], "high": overall["high"]}
