"""The answer of a run to each paper in a few sentences, with numbers from the recorded values.

In: savings, claims, and what the notebooks of H-Test recorded. Out: sentences in Markdown.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import pandas as pd

from saelib.htest.config import CONTROL
from saelib.htest.scoring.findings import Finding
from saelib.htest.scoring.main_table import who
from saelib.htest.tasks import TASKS
from saelib.results.text import escape_markdown, with_interval
from saelib.transfer.directions import DIRECTIONS, parse_arm
from saelib.transfer.wording import arm_label

OBJECTIVE, JOINT, ALONE = "loss", "joint", "ce_score"
Lines: TypeAlias = Mapping[tuple[str, str, str], Mapping[Any, Any]]
"""Rows of a table of savings by start, target and direction."""
CARRIED = {"affine": "an affine map", "procrustes": "a rotation"}


def transfer_answer(saved: pd.DataFrame, claims: pd.DataFrame, pays_off: pd.DataFrame | None = None) -> list[str]:
    """What the run says of layer transfer.

    Args:
        saved: what `savings.savings` gave; sources farther than a neighbour are left out.
        claims: what `agreement.agreement_table` gave.
        pays_off: what `ledger.break_even` gave.
    """
    near = saved[saved["distance"] == 1]
    lines = {(line["start"], line["target"], line["direction"]): line for line in near.to_dict("records")}
    sentences = [*_of_copies(lines), *(_of_maps(lines, start) for start in CARRIED if start in set(near["start"]))]
    return [*sentences, *([_source(pays_off)] if pays_off is not None and len(pays_off) else []), _verdicts(claims)]


def _of_copies(lines: Lines) -> Iterator[str]:
    """The leading target first; then what is reached at equal sparsity, and by the score alone."""
    if objective := _both_ways(lines, "copy", OBJECTIVE):
        yield (f"An SAE that starts **as a copy** of its neighbour's finished SAE gets level with the finished scratch "
               f"SAE of its layer, in the held-out objective, with so many fewer new tokens: {objective}.")  # fmt: skip
    alone = [lines["copy", ALONE, way] for way in DIRECTIONS if ("copy", ALONE, way) in lines]
    at = " and ".join(f"{line['l0_ratio']:.2f}" for line in alone if line["arrived"])
    told = f"in CE-loss score alone, as the paper reads it, {_both_ways(lines, 'copy', ALONE)}"
    told += f", then with {at} times the L0 of scratch" if at else ""
    joint = _both_ways(lines, "copy", JOINT)
    yield f"Saved at **equal L0**, in CE-loss score: {joint}; {told}." if joint else f"Saved {told}."


def _of_maps(lines: Lines, start: str) -> str:
    """The same two targets for a source that was carried over."""
    return (f"Carried over by **{CARRIED[start]}** between the two layers, the source saves in the held-out objective "
            f"{_both_ways(lines, start, OBJECTIVE)}; at equal L0 {_both_ways(lines, start, JOINT)}.")  # fmt: skip


def _both_ways(lines: Lines, start: str, target: str) -> str:
    """Forward and backward with who arrives; empty where the target was not measured."""
    found = [lines[start, target, way] for way in DIRECTIONS if (start, target, way) in lines]
    return " and ".join(
        f"{line['direction']} **{with_interval(line, 0, percent=True)}** ({line['arrived']} of {line['saes']} arrive)"
        for line in found
    )


def _source(pays_off: pd.DataFrame) -> str:
    """How many transfers pay for a source that nobody wanted otherwise; all SAEs share the language model's pass."""
    rows = pays_off[(pays_off["target"] == OBJECTIVE) & (pays_off["language_model"] == "shared")]
    near = [line for line in rows.to_dict("records") if (arm := parse_arm(line["arm"])) and arm.distance == 1]
    told = "; ".join(f"{arm_label(line['arm'])} {_transfers(line['transfers'])}" for line in near)
    return f"With the training of the source counted, it takes so many transfers from it to pay for it: {told}."


def _transfers(number: float | None) -> str:
    return f"{number:.0f}" if number is not None and math.isfinite(number) else "never"


def _verdicts(claims: pd.DataFrame) -> str:
    counts = claims["agrees"].value_counts()
    told = f"Of {len(claims)} claims of the paper, compared on equal layers, **{counts.get('yes', 0)} agree**, "
    return told + f"{counts.get('no', 0)} do not, {counts.get('open', 0)} are open."


def htest_answer(
    accuracy: Mapping[str, Any], items: Mapping[str, Any], tuning: Mapping[str, Any], found: Sequence[Finding]
) -> list[str]:
    """What the run says of H-Test.

    Args:
        accuracy: what 31_htest_accuracy recorded.
        items: what 30_htest_items recorded.
        tuning: what 34_htest_fine_tuning recorded.
        found: the paper's findings with this run's numbers.
    """
    lines = {line["model"]: line for line in reversed(accuracy["main"])}  # the first of each stays
    sentences = [_model(lines[model]) for model in accuracy["models"]]
    shortcut = _shortcut(lines[f"{CONTROL}shortcut"], items, accuracy["item_set"])
    return [*sentences, shortcut, _tuned(tuning["overall"]), _findings(found)]


def _model(line: Mapping[str, Any]) -> str:
    """Accuracy, and what its margin shows beside it."""
    told = f"**{escape_markdown(who(line))}**: right on **{_share(line['accuracy'])}** "
    told += f"of the items, where guessing gives 50%; it says A to {_share(line['share_a'])}"
    if line["auroc"] is None:
        return told + "."
    auroc, unbiased = with_interval(line["auroc"]), _share(line["bias_free_accuracy"])
    told += f", ranks A above B with an AUROC of **{auroc}**"
    return f"{told}, and is right on {unbiased} where as many A as B are said."


def _share(value: Mapping[str, Any]) -> str:
    return with_interval(value, 1, percent=True)


def _shortcut(line: Mapping[str, Any], items: Mapping[str, Any], item_set: str) -> str:
    audited = [audit for audit in items["audit"] if audit["item_set"] == item_set and audit["task"] in TASKS]
    disputed = sum(audit[f"{split}_disagreements"] for audit in audited for split in ("dev", "test"))
    return (f"Without any language, the best cut on one number is right on **{_share(line['accuracy'])}** of the same "
            f"items ({escape_markdown(item_set)}); independent rules dispute {disputed:,} labels.")  # fmt: skip


def _tuned(overall: Mapping[str, Mapping[str, float]]) -> str:
    told = " and ".join(f"**{_change(overall[name])}** {asked}" for name, asked in
                        (("tuning", "on the bare text"), ("tuning_with_shots", "with shots")))  # fmt: skip
    return f"Fine-tuning, one model for each task, changes accuracy by {told}."


def _change(overall: Mapping[str, float]) -> str:
    difference = _share({"mean": overall["difference"], "low": overall["low"], "high": overall["high"]})
    return f"{difference}, to {overall['second']:.1%}"


def _findings(found: Sequence[Finding]) -> str:
    words = [finding.verdict().partition(":")[0] for finding in found]
    return (f"Of {len(found)} findings, **{words.count('yes')} agree**, {words.count('no')} do not, "
            f"{words.count('open')} are open, {words.count('not tested')} are not tested by this run.")  # fmt: skip
