"""What the tables of several models say of one: cells of paper 1 by quantity and arm, lines of paper 2.

In: results of a run, the published ones, or a folder of stored results. Out: texts, and lines of the H-Test main table.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from saelib.batch.first_page import signed
from saelib.htest.scoring.main_table import Line, main_lines
from saelib.htest.scoring.stored import NAME
from saelib.results.bootstrap import RESAMPLES
from saelib.results.text import with_interval
from saelib.run.reading import read_json, read_table
from saelib.run.stored import REMEDY
from saelib.transfer.checks import Results
from saelib.transfer.convergence import average_curves
from saelib.transfer.gains import final_changes
from saelib.transfer.savings import savings
from saelib.transfer.targets import TARGET_NAMES, TARGETS

FROM_SCRATCH = ("scratch", "control")
Cells: TypeAlias = dict[tuple[str, str], str]
"""Texts by quantity and arm."""
SAVED = "saved until level, {}"
CHANGE = "CE-loss score at the end minus scratch"
L0 = "L0 at the end against scratch"
UNTRAINED = "CE-loss score and L0 untrained"


def measured(results: Results, *, resamples: int = RESAMPLES) -> Cells:
    """What one model's transfers between neighbours show, in the order of the table.

    A target for which the results have no scores has no cells. Beside a saving stands how many SAEs get level; where
    these are fewer than half it is a bound, since the others count with their whole budget.
    """
    cells: Cells = {}
    saved = savings(results, resamples=resamples).query("distance == 1")
    for target in TARGETS:
        for line in saved[saved["target"] == target].to_dict("records"):
            cells[SAVED.format(TARGET_NAMES[target]), line["arm"]] = _saving(line)
    changed = final_changes(results, ["ce_score"], resamples=resamples).query("distance == 1")
    cells |= {(CHANGE, line["arm"]): signed(line) for line in changed.to_dict("records")}
    curves = average_curves(results, ["ce_score", "l0"], resamples=resamples).query("distance == 1")
    by_arm = curves[~curves["arm"].isin(FROM_SCRATCH)].groupby("arm", sort=False)
    cells |= {(L0, str(arm)): _sparsity(group, curves) for arm, group in by_arm}
    return cells | {(UNTRAINED, str(arm)): _untrained(group) for arm, group in by_arm}


def _saving(line: Mapping[Any, Any]) -> str:
    bound = "at most " if 2 * line["arrived"] < line["saes"] else ""
    return f"{bound}{with_interval(line, 0, percent=True)}; {line['arrived']} of {line['saes']}"


def _sparsity(arm: pd.DataFrame, curves: pd.DataFrame) -> str:
    """L0 at the end of an arm, beside that of scratch over the same layers."""
    scratch = curves[(curves["arm"] == "scratch") & (curves["direction"] == arm["direction"].iloc[0])]
    ends = [each[each["metric"] == "l0"].set_index("tokens")["mean"].sort_index().iloc[-1] for each in (arm, scratch)]
    return "{:.0f} against {:.0f}".format(*ends)


def _untrained(arm: pd.DataFrame) -> str:
    start = arm[arm["tokens"] == 0].set_index("metric")
    return f"{with_interval(start.loc['ce_score'])}, {start.loc['l0', 'mean']:.0f}"


def asked(folder: Path) -> list[Line]:
    """Lines of the main table for the models of a stored H-Test run, on the released items and on the fresh ones.

    Raises:
        DamagedFileError: a file is not what was written.
    """
    recorded = read_json(folder / "values" / "31_htest_accuracy.json", lambda found: dict(found["values"]), REMEDY)
    models = list(recorded["models"])
    ways = {row["condition"] for row in recorded["accuracy"] if row["model"] in models}
    scores = read_table(folder / NAME, remedy=REMEDY)
    lines = main_lines(scores[scores["condition"].isin(ways)])
    return sorted(lines, key=lambda line: (models.index(line["model"]), line["item_set"] != recorded["item_set"]))
