"""The answer of a run to each paper in a few sentences, with numbers from the recorded values.

In: savings, claims, and what the notebooks of H-Test recorded. Out: sentences in Markdown.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import pandas as pd

from saelib.htest.config import CONTROL
from saelib.htest.scoring.findings import Finding, tuned_tasks
from saelib.htest.scoring.main_table import who
from saelib.htest.tasks import TASKS
from saelib.language.origin import notes_on
from saelib.results.text import escape_markdown, with_interval
from saelib.transfer.directions import DIRECTIONS, parse_arm
from saelib.transfer.targets import TARGET_NAMES
from saelib.transfer.wording import arm_label

OBJECTIVE, JOINT, ALONE = "loss", "joint", "ce_score"
Lines: TypeAlias = Mapping[tuple[str, str, str], Mapping[Any, Any]]
"""Rows of a table of savings by start, target and direction."""
CARRIED = {"affine": "an affine map", "procrustes": "a rotation"}
NEIGHBOUR, ELSEWHERE = "the neighbour's finished SAE", "an SAE from elsewhere"  # what transfers start from


def answer_title(paper: str, models: Iterable[str]) -> str:
    """The head of an answer, in Markdown, with what is to be known of the weights that its numbers are of."""
    notes = notes_on(models)
    return f"**{paper}**" + (f" ({escape_markdown(notes)})" if notes else "")


def transfer_answer(
    saved: pd.DataFrame,
    claims: pd.DataFrame,
    pays_off: pd.DataFrame | None = None,
    leads: pd.DataFrame | None = None,
    source: str | None = None,
) -> list[str]:
    """What the run says of layer transfer.

    Args:
        saved: what `savings.savings` gave; sources farther than a neighbour are left out.
        claims: what `agreement.agreement_table` gave.
        pays_off: what `ledger.break_even` gave.
        leads: what `savings.leads_over_copies` gave.
        source: the config's; where there is one, transfers do not start from their neighbours.
    """
    near = saved[saved["distance"] == 1]
    lines = {(line["start"], line["target"], line["direction"]): line for line in near.to_dict("records")}
    whose = NEIGHBOUR if source is None else ELSEWHERE
    sentences = [
        *_of_copies(lines, whose),
        *(_of_maps(lines, start) for start in CARRIED if start in set(near["start"])),
    ]
    if leads is not None and len(leads):
        nearest = leads[leads["distance"] == 1]
        sentences += [_of_leads(nearest, start) for start in CARRIED if start in set(nearest["start"])]
    return [*sentences, *([_source(pays_off)] if pays_off is not None and len(pays_off) else []), _verdicts(claims)]


def _of_copies(lines: Lines, whose: str) -> Iterator[str]:
    """The leading target first; then what is reached at equal sparsity, and by the score alone."""
    if objective := _both_ways(lines, "copy", OBJECTIVE):
        yield (f"A start **as a copy** of {whose} saves this share of the new tokens, until level "
               f"with the layer's own finished scratch SAE in the **held-out objective**: {objective}.")  # fmt: skip
    if joint := _both_ways(lines, "copy", JOINT):
        yield f"Until level in **{TARGET_NAMES[JOINT]}** than scratch: {joint}."
    if alone := _both_ways(lines, "copy", ALONE):
        yield f"Until level in CE-loss score alone, as the paper reads it, whatever the L0: {alone}."


def _of_maps(lines: Lines, start: str) -> str:
    """The two targets that do not reward a higher L0, for a source that was carried over."""
    told = f"A start that is carried over by **{CARRIED[start]}** between the two layers saves, in the held-out "
    told += f"objective: {_both_ways(lines, start, OBJECTIVE)}"
    joint = _both_ways(lines, start, JOINT)
    return f"{told}; in {TARGET_NAMES[JOINT]}: {joint}." if joint else f"{told}."


def _both_ways(lines: Lines, start: str, target: str) -> str:
    """Forward and backward with who arrives, and with which L0; empty where the target was not measured."""
    found = [lines[start, target, way] for way in DIRECTIONS if (start, target, way) in lines]
    return " and ".join(
        f"{line['direction']} **{with_interval(line, 0, percent=True)}** ({arrivals(line)})" for line in found
    )


def arrivals(line: Mapping[Any, Any]) -> str:
    """Where the L0 of a row of `savings.savings` stands when its SAEs arrive, and how many do, where not all."""
    told = [f"{line['arrived']} of {line['saes']} SAEs get there"] if line["arrived"] < line["saes"] else []
    told += [f"at {line['l0_ratio']:.2f} times scratch's L0"] if line["arrived"] else []
    return ", ".join(told)


def _of_leads(leads: pd.DataFrame, start: str) -> str:
    """What a map saves more than a copy of the same source, and whether the run can tell them apart."""
    told = []
    for target in (OBJECTIVE, JOINT):
        rows = leads[(leads["start"] == start) & (leads["target"] == target)].to_dict("records")
        if rows:
            points = [{name: 100 * row[name] for name in ("mean", "low", "high")} for row in rows]
            numbers = " and ".join(f"{row['direction']} {with_interval(point, 0)} points"
                                   for row, point in zip(rows, points, strict=True))  # fmt: skip
            told.append(f"in {'the ' * (target == OBJECTIVE)}{TARGET_NAMES[target]} **{_compared(rows)}** ({numbers})")
    return f"Against a copy of the same source, {CARRIED[start]} saves {'; '.join(told)}."


def _compared(rows: Sequence[Mapping[Any, Any]]) -> str:
    """More, less, or neither as far as the intervals say, of all rows together."""
    if all(row["low"] > 0 for row in rows):
        return "more"
    if all(row["high"] < 0 for row in rows):
        return "less"
    if all(row["low"] <= 0 <= row["high"] for row in rows):
        return "neither more nor less, as far as this run can tell"
    return "more or less by direction" if all(math.isfinite(row["low"]) for row in rows) else "this much more"


def _source(pays_off: pd.DataFrame) -> str:
    """How many transfers pay for a source that nobody wanted otherwise; all SAEs share the language model's pass."""
    rows = pays_off[pays_off["language_model"] == "shared"]
    near = [line for line in rows.to_dict("records") if (arm := parse_arm(line["arm"])) and arm.distance == 1]
    told = {
        target: "; ".join(f"{arm_label(line['arm'])} {_transfers(line['transfers'])}"
                          for line in near if line["target"] == target)
        for target in (OBJECTIVE, JOINT)
    }  # fmt: skip
    also = f"; in CE-loss score at no more L0 by {told[JOINT]}" if told[JOINT] else ""
    return ("A source that was trained only to be one is paid for by this number of transfers from it: in the held-out "
            f"objective by {told[OBJECTIVE]}{also}.")  # fmt: skip


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
    cut = lines.get(f"{CONTROL}shortcut", {})  # a set without dev items has none of its own
    shortcut = [_shortcut(cut, items, accuracy["item_set"])] if cut.get("item_set") == accuracy["item_set"] else []
    return [*sentences, *_beneath(accuracy), *shortcut, _tuned(tuning), _findings(found)]


def _beneath(accuracy: Mapping[str, Any]) -> list[str]:
    """What each accuracy hides and what that does not show, as notebook 31 said it; nothing in earlier releases."""
    kept = [one for model, one in accuracy.get("findings", {}).items() if model in accuracy["models"]]
    return [told for one in kept for told in (" ".join(one["sentences"]), one["not_shown"])]


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


def _tuned(tuning: Mapping[str, Any]) -> str:
    told = " and ".join(f"**{_change(tuning['overall'][name])}** {asked}" for name, asked in
                        (("tuning", "on the bare text"), ("tuning_with_shots", "with shots")))  # fmt: skip
    few = f" ({tasks})" if (tasks := tuned_tasks(tuning)) else ""
    return f"Fine-tuning, one model for each task{few}, changes accuracy by {told}."


def _change(overall: Mapping[str, float]) -> str:
    points = {"mean": overall["difference"], "low": overall["low"], "high": overall["high"]}
    difference = with_interval({name: 100 * value for name, value in points.items()}, 1)
    return f"{difference} points, to {overall['second']:.1%}"


def _findings(found: Sequence[Finding]) -> str:
    words = [finding.verdict().partition(":")[0] for finding in found]
    return (f"Of {len(found)} findings, **{words.count('yes')} agree**, {words.count('no')} do not, "
            f"{words.count('open')} are open, {words.count('not tested')} are not tested by this run.")  # fmt: skip
