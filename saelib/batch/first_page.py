"""What README's first page says of each paper, from a run's own numbers.

In: the results of a run, and the values that notebooks recorded. Out: small tables of texts, and sentences.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from saelib.htest.config import CONTROL
from saelib.htest.scoring.finding_tables import summary_table
from saelib.htest.scoring.main_table import Line, main_table
from saelib.results.bootstrap import RESAMPLES
from saelib.results.tables import as_markdown
from saelib.results.text import with_interval
from saelib.transfer.convergence import final_table
from saelib.transfer.gains import dominance, final_changes
from saelib.transfer.savings import leads_over_copies, savings
from saelib.transfer.tables import Results
from saelib.transfer.targets import TARGET_NAMES, TARGETS
from saelib.transfer.wording import arm_label

END = "at the end: "
CHANGES = ("ce_score", "ce_increase", "l0")
FAIR = ("loss", "joint")  # targets that do not reward a higher L0, by which a map is compared with a copy
SHOWN_CONTROLS = (f"{CONTROL}shortcut", f"{CONTROL}oracle")


def transfer_table(results: Results, weights: str = "", *, resamples: int = RESAMPLES) -> pd.DataFrame:
    """The main result of paper 1: a row for each quantity, a column for each arm of transfers between neighbours.

    Args:
        weights: what is to be known of the model's (`origin.notes_on`); it heads the first column.
        resamples: of the bootstrap.
    """
    saved = savings(results, resamples=resamples).query("distance == 1").set_index(["arm", "target"])
    ends = final_table(results, CHANGES, resamples=resamples).set_index(["arm", "direction", "distance", "metric"])[
        "mean"
    ]
    changed = final_changes(results, CHANGES, resamples=resamples).query("distance == 1").set_index(["arm", "metric"])
    leads = leads_over_copies(results, resamples=resamples).set_index(["arm", "target"])
    dominant = dominance(results)
    dominant = dominant[dominant["tokens"] == dominant["tokens"].max()].set_index("arm")
    columns = {}
    for arm in saved.index.unique("arm"):
        direction = changed.loc[(arm, "l0"), "direction"]
        l0 = [ends[name, direction, 1, "l0"] for name in (arm, "scratch")]
        columns[arm_label(arm)] = {
            **{row: text for target in TARGETS for row, text in _saving_rows(target, saved.loc[(arm, target)]).items()},
            **{
                f"more than a copy, {TARGET_NAMES[target]}": _points(leads.loc[(arm, target)])
                for target in FAIR
                if (arm, target) in leads.index
            },
            f"{END}CE-loss score, minus that of finished scratch": signed(changed.loc[(arm, "ce_score")]),
            f"{END}CE-loss increase (nats), minus that of finished scratch": signed(changed.loc[(arm, "ce_increase")]),
            f"{END}L0, against that of finished scratch": "{:.0f} against {:.0f}".format(*l0),
            f"{END}better than scratch in CE-loss score and L0 at once": "{better} of {saes} SAEs".format(
                **dominant.loc[arm]
            ),
        }
    return pd.DataFrame(columns).fillna("").rename_axis(weights).reset_index()


def _saving_rows(target: str, line: pd.Series) -> dict[str, str]:
    """What is saved until level by a target: the mean, how SAEs differ, and how many get there."""
    name = TARGET_NAMES[target]
    median = "fewer than half arrive" if math.isnan(line["median"]) else _percent(line["median"])
    spread = f"{median} ({_percent(line['lowest'])} to {_percent(line['highest'])})"
    arrived = f"{line['arrived']} of {line['saes']}"
    arrived += f", at {line['l0_ratio']:.2f} times scratch's L0" if line["arrived"] else ""
    return {
        f"new tokens saved until level, {name}": with_interval(line, 0, percent=True),
        f"SAE by SAE: median (lowest to highest); how many get level, {name}": f"{spread}; {arrived}",
    }


def _percent(share: float) -> str:
    return f"{round(share, 2) + 0.0:.0%}"  # + 0.0: no "-0%"


def _points(line: pd.Series) -> str:
    """A difference of shares, in points."""
    text = with_interval(line * 100, 0)
    return f"{text if text.startswith(('-', '0')) else f'+{text}'} points"


def signed(line: Mapping[Any, Any] | pd.Series) -> str:
    """A difference with its interval and its sign."""
    text = with_interval(line, 4)
    return text if text.startswith("-") else f"+{text}"


def htest_finding(accuracy: Mapping[str, Any]) -> str:
    """The kit's own result of paper 2, in Markdown: two sentences for each model, what they do not show, the numbers.

    Args:
        accuracy: what 31_htest_accuracy recorded; where nobody gave margins the text is empty.
    """
    kept = accuracy.get("findings", {}).values()  # earlier releases have none
    return "\n".join(
        f"{' '.join(one['sentences'])}\n\n{one['not_shown']}\n\n{as_markdown(summary_table(one))}" for one in kept
    )


def htest_table(accuracy: Mapping[str, Any], tuned: Sequence[Line]) -> pd.DataFrame:
    """The main result of paper 2: a row for each who was asked, and beside the accuracy what it may hide.

    Args:
        accuracy: what 31_htest_accuracy recorded.
        tuned: the lines of tuned models that 34_htest_fine_tuning recorded.

    Raises:
        KeyError: a control that is shown was not asked.
    """
    controls = {line["model"]: line for line in accuracy["main"]}
    models = [line for line in accuracy["main"] if line["model"] in accuracy["models"]]
    return main_table([*models, *(controls[name] for name in SHOWN_CONTROLS), *tuned])
