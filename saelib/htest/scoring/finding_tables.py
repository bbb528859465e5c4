"""What an accuracy lacks, what a fresh item changes, what a shortcut leaves: the tables of `in_words.finding_of`.

In: a finding. Out: tables of texts, task by task, with the mean of the tasks beneath.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from saelib.htest.scoring.beneath import BOUNDS
from saelib.htest.scoring.names import counted_tasks, shown_items, shown_task
from saelib.htest.scoring.tables import MEAN
from saelib.results.text import with_interval

Recorded = Mapping[str, Any]
LACKS = {
    "accuracy": "accuracy of the likelier letter (95%)",
    "share_a": "says A (95%)",
    "bias_free_accuracy": "accuracy at the median margin (95%)",
    "preference": "lost to a preferred letter (95%)",
}
IN_ALL = {
    "accuracy": "accuracy of the likelier letter (95%)",
    "share_a": "says A (95%)",
    "auroc": "AUROC of the margin (95%)",
    "preference": "lost to a preferred letter (95%)",
    "shortcut_auroc": "AUROC of one number of the text (95%)",
    "held_fixed": "margin, pairs with the same number (95%)",
    "learnt_auroc": "AUROC of letter n-grams learnt from dev items (95%)",
    "learnt_fixed": "margin, pairs in the same tenth of them (95%)",
    "both_fixed": "margin, pairs alike in both (95%)",
}
NO_PAIRS = "- (no pairs)"


def by_task(finding: Recorded, item_set: str | None = None) -> pd.DataFrame:
    """The numbers of a finding task by task, as `beneath.beneath` gave them; of one set of items where it is given."""
    rows = pd.DataFrame(finding["by_task"])
    return rows if item_set is None else rows[rows["item_set"] == item_set]


def compared(finding: Recorded) -> pd.DataFrame:
    """Released items beside fresh ones, as `beneath.against_fresh` gave them; without rows where there is one set."""
    return pd.DataFrame(finding["against_fresh_by_task"])


def lacks_table(finding: Recorded, item_set: str) -> pd.DataFrame:
    """Accuracy, and what it lacks: lost to a preferred letter, or not known."""
    rows, whole = by_task(finding, item_set), finding["in_all"][item_set]
    columns = {heading: [*_texts(rows, value), _text(whole[value])] for value, heading in LACKS.items()}
    unknown = [f"{value:.2f}" for value in (*rows["not_known"], whole["not_known"])]
    return pd.DataFrame({"task": _tasks(rows), **columns, "not known": unknown})


def shortcut_table(finding: Recorded, item_set: str) -> pd.DataFrame:
    """The margin beside the number that a shortcut goes by, and where that number is the same."""
    rows, whole = by_task(finding, item_set), finding["in_all"][item_set]
    fixed = [NO_PAIRS if pairs == 0 else text for text, pairs in
             zip(_texts(rows, "held_fixed"), rows["pairs"], strict=True)]  # fmt: skip
    return pd.DataFrame({
        "task": _tasks(rows),
        "AUROC of the margin (95%)": [*_texts(rows, "auroc"), _text(whole["auroc"])],
        "number": [*rows["feature"].fillna("-"), ""],
        "the number alone (95%)": [*_texts(rows, "shortcut_auroc"), _text(whole["shortcut_auroc"])],
        "more than the number (95%)": [*_texts(rows, "over_shortcut"), _text(whole["over_shortcut"])],
        "p, more": [*_chances(rows["over_shortcut_p"]), ""],
        "pairs with the same number (95%)": [*fixed, _counted(whole, "held_fixed")],
        "p, same number": [*_chances(rows["held_fixed_p"]), ""],
        "share of pairs": [*(f"{share:.0%}" if pd.notna(share) else "-" for share in rows["pairs"]), ""],
    })  # fmt: skip


def learner_table(finding: Recorded, item_set: str) -> pd.DataFrame:
    """The margin beside what the dev items teach a learner of character n-grams."""
    rows, whole = by_task(finding, item_set), finding["in_all"][item_set]
    headings = {"auroc": "AUROC of the margin (95%)", "learnt_auroc": "letters learnt from dev items (95%)",
                "over_learnt": "more than them (95%)", "learnt_fixed": "pairs in the same tenth (95%)",
                "both_fixed": "with the same number too (95%)"}  # fmt: skip
    columns = {heading: [*_texts(rows, value), _counted(whole, value)] for value, heading in headings.items()}
    chances = {f"p, {what}": [*_chances(rows[name]), ""] for what, name in
               (("more", "over_learnt_p"), ("same tenth", "learnt_fixed_p"), ("both", "both_fixed_p"))}  # fmt: skip
    return pd.DataFrame({"task": _tasks(rows), **columns, **chances})


def fresh_table(finding: Recorded) -> pd.DataFrame:
    """AUROC on the main set and on fresh items, task by task; without rows where there is one set only."""
    rows, whole = compared(finding), finding["against_fresh"]
    if rows.empty:
        return rows
    sets = [f"AUROC, {shown_items(finding[name])}" for name in ("item_set", "fresh_set")]
    mean = {"mean": whole["difference"], "low": whole["low"], "high": whole["high"]}
    return pd.DataFrame({
        "task": _tasks(rows),
        **{heading: [f"{value:.2f}" for value in (*rows[name], whole[name])]
           for heading, name in zip(sets, ("first", "second"), strict=True)},
        "difference (95%)": [*_texts(rows, "difference"), _text(mean)],
        "p": [*_chances(rows["p"]), f"{whole['p']:.2g} (sign-flip)"],
        f"p, {counted_tasks(len(rows))} (Holm)": [*_chances(rows["p_holm"]), ""],
    })  # fmt: skip


def summary_table(finding: Recorded) -> pd.DataFrame:
    """The numbers beneath the two sentences, all tasks in one: a column for each set of items."""
    sets = finding["in_all"]
    lines = {heading: [_counted(whole, value) for whole in sets.values()] for value, heading in IN_ALL.items()}
    lines |= {
        "says the letter that it prefers": [_preferred(whole) for whole in sets.values()],
        "tasks with an AUROC above, below chance": [f"{whole['auroc_above']}, {whole['auroc_below']}"
                                                    for whole in sets.values()],
        "not known": [f"{whole['not_known']:.2f}" for whole in sets.values()],
        "AUROC over draws of shots": [_over_draws(finding["orders"].get(name)) for name in sets],
    }  # fmt: skip
    if found := finding["against_fresh"]:
        lines |= {name: [text if item_set == finding["fresh_set"] else "" for item_set in sets]
                  for name, text in _fresh_lines(finding, found).items()}  # fmt: skip
    return pd.DataFrame([[name, *texts] for name, texts in lines.items()], columns=["", *map(shown_items, sets)])


def _fresh_lines(finding: Recorded, found: Recorded) -> dict[str, str]:
    reach = finding["reach_of_draws"]
    return {
        "AUROC less that of the first set (95%)": _text({"mean": found["difference"], **found}),
        f"p of the sign-flip test over {counted_tasks(found['tasks'])}": f"{found['p']:.2g}",
        "tasks lower, higher by themselves (Holm)": f"{len(found['lower'])}, {len(found['higher'])}",
        "draws of shots alone differ by up to (95%)": "-" if reach is None else f"{reach:.2f}",
    }


def _preferred(whole: Recorded) -> str:
    counts = ", ".join(f"{letter} in {counted_tasks(count)}" for letter, count in whole["prefers"].items() if count)
    return f"{whole['one_letter']:.2f} ({counts or 'none by its interval'})"


def _over_draws(spread: Recorded | None) -> str:
    if spread is None:
        return "- (one draw)"
    return f"{spread['mean']:.3f}, sd {spread['deviation']:.3f} ({len(spread['orders'])} draws)"


def _counted(whole: Recorded, value: str) -> str:
    """A mean, with its number of tasks where not all have the value, and what all pairs have in these."""
    if not (mean := whole[value]) or mean["count"] == whole["tasks"]:
        return _text(mean)
    all_pairs = whole["all_pairs"].get(value)
    beside = f"; all pairs there {all_pairs['mean']:.2f}" if all_pairs else ""
    return f"{_text(mean)} ({mean['count']:.0f} of {whole['tasks']} tasks{beside})"


def _tasks(rows: pd.DataFrame) -> list[str]:
    return [*map(shown_task, rows["task"]), MEAN]


def _texts(rows: pd.DataFrame, value: str) -> list[str]:
    columns = dict(zip(("mean", "low", "high"), (value, *BOUNDS[value]), strict=True))
    return [_text({name: line[column] for name, column in columns.items()}) for line in rows.to_dict("records")]


def _text(estimate: Mapping[str, float] | None) -> str:
    return "-" if estimate is None or pd.isna(estimate["mean"]) else with_interval(estimate, 2)


def _chances(values: pd.Series) -> list[str]:
    return ["-" if pd.isna(value) else f"{value:.2g}" for value in values]
