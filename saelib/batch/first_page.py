"""The two tables of README's first page, one for each paper, from a run's own numbers.

In: an evaluation table, and the values that notebooks recorded. Out: small tables of texts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from saelib.htest.ablations.tuned_models import FRESH_WORDS, SEEN_WORDS, item_set_of
from saelib.htest.config import CONTROL
from saelib.htest.items.official import OFFICIAL_SET
from saelib.results.text import with_interval
from saelib.transfer.convergence import TARGET_NAMES, average_curves, savings, tokens_to_target
from saelib.transfer.directions import DIRECTIONS

SHOWN_CONTROLS = {
    f"{CONTROL}shortcut": "best cut on one number, such as the count of words",
    f"{CONTROL}oracle": "an independent rule for each task",
}
A_TUNED_MODEL = "one tuned model for each task"
SHOWN_ITEMS = {
    item_set_of(SEEN_WORDS): "other texts of the words it was tuned on",
    item_set_of(FRESH_WORDS): "texts of words it was not tuned on",
    OFFICIAL_SET: "released items",
}


def transfer_table(evaluation: pd.DataFrame) -> pd.DataFrame:
    """The main result of paper 1: a row for each quantity, a column for each direction."""
    columns = {direction: _column(evaluation, direction) for direction in DIRECTIONS}
    return pd.DataFrame(columns).rename_axis("").reset_index()


def _column(evaluation: pd.DataFrame, direction: str) -> dict[str, str]:
    """What one direction has to say, by the name of the row."""
    saved = savings(evaluation).set_index(["target", "direction", "arm"])
    needed = tokens_to_target(evaluation).query("arm == @direction and direction == @direction")
    by_layer = needed.groupby("act_layer")["saving"].mean()
    curves = average_curves(evaluation, ["ce_score", "l0"]).set_index(["metric", "direction", "arm", "tokens"])
    last = evaluation.groupby("arm")["tokens"].max()
    ends = {arm: curves.loc[("ce_score", direction, arm, last[arm])] for arm in (direction, "control", "scratch")}
    l0 = [f"{curves.loc[('l0', direction, arm, last[arm]), 'mean']:.0f}" for arm in (direction, "scratch")]
    return {
        **{f"new tokens saved, until level in {name}": with_interval(saved.loc[(target, direction, direction)], 0, True)
           for target, name in TARGET_NAMES.items()},
        "the same by layer, lowest and highest (CE-loss score)": f"{by_layer.min():.0%} and {by_layer.max():.0%}",
        "SAEs that get level within their budget (CE-loss score)": f"{needed['reached'].sum()} of {len(needed)}",
        "CE-loss score at the end: transfer": with_interval(ends[direction], 4),
        "CE-loss score: from scratch, as many new tokens": with_interval(ends["control"], 4),
        "CE-loss score: from scratch, finished": with_interval(ends["scratch"], 4),
        "L0 at the end: transfer against finished scratch": " against ".join(l0),
    }  # fmt: skip


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
    lines += [
        (f"{A_TUNED_MODEL}, {line['prompt']}: {SHOWN_ITEMS.get(line['items'], line['items'])}", line["tuned"])
        for line in tuned
    ]
    return pd.DataFrame(lines, columns=["who answers", "mean accuracy of ten tasks (95% interval)"])
