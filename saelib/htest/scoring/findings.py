"""The paper's findings beside a run: each as one number with its interval, and whether they agree.

In: the values that the notebooks `31_htest_accuracy` to `35_htest_letter_geometry` recorded. Out: a table. The paper's
per-task tables are not public, so its findings stand here as statements; "near" and "hardly" are given a width, `NEAR`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import pandas as pd

from saelib.htest.config import FAMILIES, UNTRAINED
from saelib.htest.scoring.main_table import who
from saelib.htest.scoring.names import counted_tasks, shown_task
from saelib.htest.tasks import TASKS
from saelib.results.text import with_interval

NEAR = 0.05  # of accuracy, and of AUROC
MOST = 0.5  # of replies
WITH_SHOTS_ONLY = "the paper tests with shots only"
NOT_IN_THE_PAPER = "(not in the paper: the same of what it knows, whichever letter it prefers)"
NO_ANSWER = {"no_answer": " after a chain of thought", "no_answer_in_chat": " in chat"}  # shares that are recorded

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


THOUGHT = Finding("a chain of thought lowers accuracy", "with minus without", {}, -1, 0)


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
        chain_of_thought: the shares of `NO_ANSWER`, `right_of_answered`, and `chain_of_thought` in `overall`.
        fine_tuning: `tasks`, and `tuning` and `tuning_with_shots` in `overall`.
        letter_geometry: `letter_geometry`, a list of accuracies.
    """
    return [
        *_near_guessing(accuracy),
        *_shots(shots_and_size),
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
            found.append(Finding(NOT_IN_THE_PAPER,
                                 f"AUROC of the margin, mean of {tasks}, {line['model']}",
                                 line["auroc"], 0.5 - NEAR, 0.5 + NEAR))  # fmt: skip
    return found


def _shots(recorded: Recorded) -> list[Finding]:
    measured = "most shots minus fewest"
    accuracy = Finding("more shots hardly help", measured, _difference(recorded, "shots"), -NEAR, NEAR)
    return [accuracy, *_known(recorded, "shots", measured, -NEAR)]


def _known(recorded: Recorded, name: str, measured: str, holds_from: float = -1, not_tested: str = "") -> list[Finding]:
    """The same statement of the AUROC: where one letter is said to nearly all, accuracy is 50% whatever is known."""
    if not (found := recorded.get("overall_auroc", {}).get(name)):
        return []
    estimate = {"mean": found["difference"], "low": found["low"], "high": found["high"]}
    measured = f"AUROC of the margin, {measured}"
    return [Finding(NOT_IN_THE_PAPER, measured, estimate, holds_from, NEAR, not_tested)]


def _thinking(recorded: Recorded) -> Finding:
    measured = f"with minus without{counted_silence(recorded)}"
    return THOUGHT._replace(measured=measured, estimate=_difference(recorded, "chain_of_thought"),
                            not_tested=silence(recorded))  # fmt: skip


def silence(recorded: Recorded) -> str:
    """Why a chain of thought says nothing of accuracy; empty where it does.

    In chat or after it most replies hold no answer; or a guess in place of each missing one would change the verdict.

    Args:
        recorded: by notebook `33_htest_chain_of_thought`.
    """
    by_form = "no_answer_in_chat" in recorded  # an earlier release recorded the mean of both
    for name, where in NO_ANSWER.items():
        if (share := recorded.get(name, 0)) > MOST:
            return f"{share:.0%} of the replies{where if by_form else ''} hold no answer"
    seen, more = _difference(recorded, "chain_of_thought"), _more_silent(recorded) / 2  # a guess is right on half
    guessed = {name: value + more for name, value in seen.items()}
    if THOUGHT._replace(estimate=seen).verdict() == THOUGHT._replace(estimate=guessed).verdict():
        return ""
    return "a guess in place of each missing answer would change the verdict"


def counted_silence(recorded: Recorded) -> str:
    """What no answer, which counts as wrong, does to the comparison, in brackets; empty where it is alike in both."""
    if not _more_silent(recorded):
        return ""
    shares = " against ".join(f"{recorded[name]:.0%}" for name in NO_ANSWER)
    right = [recorded["right_of_answered"][form] for form in ("chain_of_thought", "chat")]
    told = " against ".join("-" if share is None else f"{share:.2f}" for share in right)
    return f" (no answer counts as wrong, {shares}; right of those with one: {told})"


def _more_silent(recorded: Recorded) -> float:
    """Replies without an answer after a thought less those in chat; 0 where they are alike, or it was not recorded."""
    after, plain = (recorded.get(name) for name in NO_ANSWER)
    return 0.0 if after is None or plain is None or abs(after - plain) <= NEAR else after - plain


def _size(recorded: Recorded) -> list[Finding]:
    """The finding on size, where a family was asked."""
    if "size" not in recorded["overall"]:
        return []
    first, last = recorded["members"][0], recorded["members"][-1]
    difference, reason = _difference(recorded, "size"), no_sizes(recorded["members"])
    accuracy = Finding("a larger model is no better", f"{last} minus {first}", difference, -1, NEAR, reason)
    return [accuracy, *_known(recorded, "size", f"{last} minus {first}", not_tested=reason)]


def no_sizes(members: Sequence[str]) -> str:
    """Why the last of some models less the first says nothing of size; empty where it does."""
    first, last = members[0], members[-1]
    if first.removeprefix(UNTRAINED) == last.removeprefix(UNTRAINED):
        return "a model against its untrained twin, of one size"
    sizes = next((family for family in FAMILIES.values() if {*members} <= {*family}), None)
    if sizes is None:
        return "not of one family"
    return "" if sizes.index(first) < sizes.index(last) else "the larger model stands first"


def _tuning(recorded: Recorded) -> list[Finding]:
    tasks = f", {told}" if (told := tuned_tasks(recorded)) else ""
    shots, bare = (f"tuned minus untuned, {how}{tasks}" for how in ("with shots", "bare text"))
    return [
        Finding("fine-tuning gives no significant gain (tested with shots)", shots,
                _difference(recorded, "tuning_with_shots"), -1, NEAR),
        *_known(recorded, "tuning_with_shots", shots),
        Finding("(not in the paper: the same, tested as it was tuned)", bare,
                _difference(recorded, "tuning"), -1, NEAR, WITH_SHOTS_ONLY),
        *_known(recorded, "tuning", bare, not_tested=WITH_SHOTS_ONLY),
    ]  # fmt: skip


def tuned_tasks(recorded: Recorded) -> str:
    """On which tasks models were tuned, where not on all ten: "2 tasks: palindrome, rhyme"; empty else.

    Args:
        recorded: by notebook `34_htest_fine_tuning`; earlier releases tuned on all and do not say it.
    """
    tasks = recorded.get("tasks", [*TASKS])
    return "" if len(tasks) == len(TASKS) else f"{counted_tasks(len(tasks))}: {', '.join(map(shown_task, tasks))}"


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
