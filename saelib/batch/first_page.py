"""The two tables of README's first page, one for each paper, from a run's own numbers.

In: an evaluation table, and the values that notebooks recorded. Out: small tables of texts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from saelib.results.text import with_interval
from saelib.transfer.convergence import TARGET_NAMES, average_curves, savings, tokens_to_target
from saelib.transfer.directions import DIRECTIONS

SHOWN_CONTROLS = {
    "control:shortcut": "best cut on one number, such as the count of words",
    "control:oracle": "an independent rule for each task",
}
A_TUNED_MODEL = "one tuned model for each task"
TESTS = {"seen words": "other texts of the words it was tuned on", "fresh words": "texts of words it was not tuned on"}


def transfer_table(evaluation: pd.DataFrame) -> pd.DataFrame:
    """The main result of paper 1: a row for each quantity, a column for each direction."""
    return pd.DataFrame({"": list(_ROWS), **{way: _column(evaluation, way) for way in DIRECTIONS}})


_ROWS = (
    *(f"new tokens saved, until level in {name}" for name in TARGET_NAMES.values()),
    "the same by layer, lowest and highest (CE-loss score)",
    "SAEs that get level within their budget (CE-loss score)",
    "CE-loss score at the end: transfer",
    "CE-loss score: from scratch, as many new tokens",
    "CE-loss score: from scratch, finished",
    "L0 at the end: transfer against finished scratch",
)


def _column(evaluation: pd.DataFrame, way: str) -> list[str]:
    saved = savings(evaluation).set_index(["target", "direction", "arm"])
    needed = tokens_to_target(evaluation).query("arm == @way and direction == @way")
    by_layer = needed.groupby("act_layer")["saving"].mean()
    curves = average_curves(evaluation, ["ce_score", "l0"]).set_index(["metric", "direction", "arm", "tokens"])
    last = evaluation.groupby("arm")["tokens"].max()
    l0 = [f"{curves.loc[('l0', way, arm, last[arm]), 'mean']:.0f}" for arm in (way, "scratch")]
    return [
        *(with_interval(saved.loc[(target, way, way)], 0, percent=True) for target in TARGET_NAMES),
        f"{by_layer.min():.0%} and {by_layer.max():.0%}",
        f"{needed['reached'].sum()} of {len(needed)}",
        *(with_interval(curves.loc[("ce_score", way, arm, last[arm])], 4) for arm in (way, "control", "scratch")),
        " against ".join(l0),
    ]


def htest_table(accuracy: Mapping[str, Any], tuned: Sequence[Mapping[str, str]]) -> pd.DataFrame:
    """The main result of paper 2: mean accuracy of the ten tasks, a row for each who was asked.

    Args:
        accuracy: what 31_htest_accuracy recorded.
        tuned: the table of tuned models that 34_htest_fine_tuning recorded.
    """
    means = {line["model"]: with_interval(line, 3) for line in accuracy["mean_accuracy"]}
    most = max(line["k"] for line in accuracy["accuracy"])
    lines = [(f"{model}, {most} shots", means[model]) for model in accuracy["models"]]
    lines += [(shown, means[name]) for name, shown in SHOWN_CONTROLS.items()]
    lines += [(f"{A_TUNED_MODEL}, {line['prompt']}: {_shown_items(line['items'])}", line["tuned"]) for line in tuned]
    return pd.DataFrame(lines, columns=["who answers", "mean accuracy of ten tasks (95% interval)"])


def _shown_items(item_set: str) -> str:
    """The items of a test of tuned models, in words."""
    return next((shown for name, shown in TESTS.items() if item_set.endswith(name.replace(" ", "-"))), "released items")
