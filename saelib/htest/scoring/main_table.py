"""The main table of H-Test: beside each accuracy stands what it may hide, one line for each who answers.

In: an `accuracy_table` with the columns of `LINE_KEYS`. Out: lines of numbers, which notebooks record (`main_lines`);
a table of texts (`main_table`); and a sentence on what the accuracy alone would hide (`hidden_sentence`). An accuracy
near 50% is a statement about letters: who always says B is right on half of the items, whatever it knows. The margin
log p(A) - log p(B) shows both: the share that is said to be A is the preference, AUROC and the accuracy at the median
margin are the knowledge.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import pandas as pd

from saelib.htest.config import CONTROL, TUNED
from saelib.htest.scoring.accuracy import mean_over_tasks
from saelib.htest.scoring.names import READERS, asked_model, shown_items, shown_model, shown_task
from saelib.htest.scoring.readings import reader_of
from saelib.htest.tasks import TASKS
from saelib.results.text import escape_markdown, with_interval

LINE_KEYS = ("model", "form", "k", "item_set")
HEADINGS = {
    "accuracy": "accuracy (95%)",
    "share_a": "says A (95%)",
    "auroc": "AUROC of the margin (95%)",
    "bias_free_accuracy": "accuracy at the median margin (95%)",
}
CALIBRATED_COLUMN = "accuracy, calibrated (95%)"  # a column where anyone was asked content-free questions
PAPER = "paper"  # the reader of the paper's protocol
ONE_LETTER = 0.95  # of a task's items with one reply
GUESSING = 0.5
NO_MARGIN = "- (no margin)"
NO_CALIBRATION = "-"

Line: TypeAlias = Mapping[str, Any]
"""What `main_lines` gives."""


def main_lines(accuracies: pd.DataFrame) -> list[dict[str, Any]]:
    """One line for each condition and reading, in the order of the table; the paper's released parser comes first.

    The reader that suits the form follows, unless it counts alike in all tasks: then one line stands for both. Keys:
    those of `LINE_KEYS`; `readers`; `items`, of all tasks; `tasks`, how many; `replies`, and `scored`, how many of them
    have the log-probabilities of all options; `share_none`; `one_letter_tasks`, where
    `ONE_LETTER` of the items or more get one reply; `auroc_above` and `auroc_below`, tasks whose interval lies above or
    below chance; for each key of `HEADINGS` the mean over tasks with its bounds (`mean`, `low`, `high`), None without
    margins; `calibrated`, the same of the accuracy after calibration; and `several_forms`, whether the model was asked
    in another form with shots too.

    Raises:
        ValueError: a task is in a condition more than once.
    """
    lines = []
    table = accuracies[accuracies["task"].isin(TASKS)]
    forms = table[table["form"] != "bare"].groupby("model")["form"].nunique()
    for key, group in table.groupby(list(LINE_KEYS), sort=False):
        condition = dict(zip(LINE_KEYS, key, strict=True)) | {"several_forms": bool(forms.get(key[0], 1) > 1)}
        for readers, rows in _readings(group, reader_of(condition["form"])):
            means = _means(rows) | {"calibrated": _calibrated(group)}
            lines.append(condition | {"readers": readers} | _counts(rows) | means)
    return lines


def _readings(group: pd.DataFrame, suited: str) -> list[tuple[list[str], pd.DataFrame]]:
    """Rows of the released parser and of the reader that suits, with the names of those that count alike."""
    tasks = group["task"].nunique()  # a reader that reads only some of them has no mean over tasks
    by_reader = {name: rows for name, rows in group.groupby("reader") if name in (PAPER, suited) and len(rows) == tasks}
    if PAPER in by_reader and suited in by_reader:
        counts = [by_reader[name].set_index("task")[["correct", "answered", "share_a"]] for name in (PAPER, suited)]
        if counts[0].equals(counts[1].reindex(counts[0].index)):
            return [([PAPER, suited], by_reader[PAPER])]
    return [([name], by_reader[name]) for name in (PAPER, suited) if name in by_reader]


def _counts(rows: pd.DataFrame) -> dict[str, float]:
    share_b = 1 - rows["share_none"] - rows["share_a"]
    one_letter = rows["share_a"].ge(ONE_LETTER) | share_b.ge(ONE_LETTER)
    return {
        "items": int(rows["items"].sum()),
        "tasks": len(rows),
        "replies": int((rows["items"] * rows["samples"]).sum()),
        "scored": int(rows["scored"].sum()),
        "share_none": float(rows["share_none"].mean()),
        "one_letter_tasks": int(one_letter.sum()),
        "auroc_above": int((rows["auroc_low"] > GUESSING).sum()),
        "auroc_below": int((rows["auroc_high"] < GUESSING).sum()),
    }


def _means(rows: pd.DataFrame) -> dict[str, dict[str, float] | None]:
    return {value: _mean(rows, value) for value in HEADINGS}


def _calibrated(group: pd.DataFrame) -> dict[str, float] | None:
    """Of all readers' rows; some of the tasks have no mean over all."""
    rows = group[group["reader"] == "calibrated"]
    return _mean(rows, "accuracy") if len(rows) == group["task"].nunique() else None


def _mean(rows: pd.DataFrame, value: str) -> dict[str, float] | None:
    mean = mean_over_tasks(rows, [], value).iloc[0]
    return None if pd.isna(mean["mean"]) else {name: float(mean[name]) for name in ("mean", "low", "high")}


def who(line: Line, several_sets: bool = False) -> str:
    """Who answers, how it is asked, and how it is read where the readings differ."""
    model, bare = line["model"], line["form"] == "bare"
    if model.startswith(CONTROL):
        return shown_model(model)
    name = "one tuned model for each task" if model.startswith(TUNED) else asked_model(model)
    parts = [name, "bare text" if bare else f"{line['k']} shots"]
    if line.get("several_forms"):
        parts.append(shown_task(line["form"]))
    if several_sets:
        parts.append(shown_items(line["item_set"]))
    if len(line["readers"]) == 1:
        silent = f", which finds no answer in {line['share_none']:.0%}" if line["share_none"] > 0.005 else ""
        parts.append(READERS[line["readers"][0]] + silent)
    return ", ".join(parts)


def main_table(lines: Sequence[Line], digits: int = 2) -> pd.DataFrame:
    """Lines as texts: who answers, accuracy, share said to be A, AUROC of the margin, accuracy at its median.

    One column more, accuracy after calibration, where anyone was asked content-free questions.
    """
    several = len({line["item_set"] for line in lines}) > 1
    calibrated = any(line.get("calibrated") for line in lines)
    counts = {line["items"] for line in lines}
    heading = "who answers" + (f" ({counts.pop():,} items)" if len(counts) == 1 else "")
    texts = [
        {heading: who(line, several) + (f", {line['items']:,} items" if counts else "")}
        | {column: with_interval(line[value], digits) if line[value] else no_margin(line)
           for value, column in HEADINGS.items()}
        | ({CALIBRATED_COLUMN: with_interval(line["calibrated"], digits) if line.get("calibrated") else NO_CALIBRATION}
           if calibrated else {})
        for line in lines
    ]  # fmt: skip
    return pd.DataFrame(texts)


def no_margin(line: Line) -> str:
    """Why a line has no margin: an API gave no log-probabilities, or left an option out on some items."""
    scored, replies = line.get("scored", 0), line.get("replies", 0)
    return f"- (margin on {scored:,} of {replies:,} only)" if 0 < scored < replies else NO_MARGIN


def hidden_sentence(line: Line, several_sets: bool = False) -> str:
    """What the margin says beside the accuracy of a line, and whether the accuracy alone would have said it."""
    accuracy, auroc, stuck = line["accuracy"], line["auroc"], line["one_letter_tasks"]
    name = escape_markdown(who(line, several_sets))
    seen = f"**{name}**: accuracy {with_interval(accuracy, 2)}, {_side(accuracy)} guessing"
    if auroc is None:
        return f"{seen}; without a margin nothing says whether a preferred letter hides more."
    same = _side(accuracy) == _side(auroc)
    always = f"it says one letter to {ONE_LETTER:.0%} of the items or more in {stuck}"
    return (
        f"{seen}; AUROC of the margin {with_interval(auroc, 2)}, {_side(auroc)} chance: the accuracy alone "
        f"{'says the same' if same else 'would hide that'}. By task, the AUROC is above chance in "
        f"{line['auroc_above']} and below it in {line['auroc_below']} of {line['tasks']} tasks; {always}"
        f"{', where accuracy is near 50% whatever it knows' if stuck else ''}."
    )


def _side(estimate: Mapping[str, float]) -> str:
    if estimate["low"] > GUESSING:
        return "above"
    return "below" if estimate["high"] < GUESSING else "indistinguishable from"
