"""Ignorance, a preferred letter, or a shortcut: what a run says of it in two sentences, and what it does not show.

In: what notebook `31_htest_accuracy` recorded of one model (`finding_of`). Out: sentences that are written from the
numbers; each outcome has words of its own, a negative and an open one too. Counts, p-values and what the shortcuts
reach stand in the table beneath (`finding_tables.summary_table`).
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from saelib.htest.scoring.beneath import GUESSING, against_fresh, beneath, difference_in_all, in_all
from saelib.htest.scoring.findings import NEAR
from saelib.htest.scoring.names import asked_model, counted_tasks, shown_items, shown_task
from saelib.htest.scoring.orders import over_orders, reach_of_draws
from saelib.results.text import escape_markdown, with_interval

FORMS = {"completion": "completing the pattern", "chat": "in chat"}
NUMBER, LETTERS = "one number of the text", "letter n-grams"  # the two shortcuts
CERTAIN = 0.05

Recorded = Mapping[str, Any]


def finding_of(
    readings: pd.DataFrame, numbers: pd.DataFrame, fresh_set: str | None, shuffled: pd.DataFrame | None = None
) -> dict[str, Any] | None:
    """What a notebook records of one condition; None where no task of the main set has all its margins.

    Keys: `model`, `form`, `k`, `item_set` (the main one), `fresh_set`; `in_all` by set of items, `against_fresh`
    over all tasks (None where one of the sets is not there), and both by task; `orders` by set of items, and
    `reach_of_draws`, how far their draws of shots alone may take the two sets apart (None where it is not known).

    Args:
        readings: of one condition, the main set of items first.
        numbers: what `shortcut_numbers` gave.
        fresh_set: the set of generated items, if there is one.
        shuffled: readings of the same items behind as many shots in other orders.
    """
    table, item_set = beneath(readings, numbers), readings["item_set"].iloc[0]
    if item_set not in set(table["item_set"]):
        return None
    compared = against_fresh(readings, item_set, fresh_set) if fresh_set not in (None, item_set) else pd.DataFrame()
    orders = over_orders(pd.concat([readings, shuffled])) if shuffled is not None and len(shuffled) else {}
    return {
        "model": readings["model"].iloc[0],
        "form": readings["form"].iloc[0],
        "k": int(readings["k"].iloc[0]),
        "item_set": item_set,
        "fresh_set": fresh_set,
        "in_all": in_all(table),
        "against_fresh": difference_in_all(compared),
        "by_task": table.to_dict("records"),
        "against_fresh_by_task": compared.to_dict("records"),
        "orders": orders,
        "reach_of_draws": reach_of_draws(orders, item_set, fresh_set),
    }


def finding_sentences(finding: Recorded) -> list[str]:
    """Two sentences for a first page: what the accuracy hides, and how far that carries."""
    return [_hidden(finding), _carries(finding)]


def _hidden(finding: Recorded) -> str:
    """Ignorance, or a preferred letter. The accuracy is the likelier letter's, in every form of prompt."""
    main = finding["in_all"][finding["item_set"]]
    accuracy = main["accuracy"]
    how = FORMS.get(finding["form"], finding["form"])
    start = (
        f"{escape_markdown(asked_model(finding['model']))}, {how} with {finding['k']} shots, is right on "
        f"{with_interval(accuracy, 2)} of the {shown_items(finding['item_set'])} by its likelier letter, "
        f"{_where(accuracy)}"
    )
    if main["auroc"]["low"] <= GUESSING:
        return f"{start}, and {_unknown(main)}."
    joint = "yet" if _is_near(accuracy) or accuracy["high"] < GUESSING else "and"
    return f"{start}, {joint} its margin tells A from B ({_ranked(main, main['auroc_below'])}): {_preferred(main)}."


def _unknown(main: Recorded) -> str:
    """Where the mean AUROC is not above chance: below it, near it, or open; single tasks may be."""
    auroc, told = main["auroc"], _ranked(main, main["auroc_above"] + main["auroc_below"])
    if not (auroc["high"] < GUESSING or _is_near(auroc)):
        return f"it is open whether its margin tells A from B ({told})"
    against = "runs against the labels" if auroc["high"] < GUESSING else "is near chance"
    hides = "what it knows differs by task" if main["auroc_above"] else "no preferred letter hides knowledge"
    return f"its margin {against} ({told}): {hides}"


def _ranked(main: Recorded, differ: int) -> str:
    """The AUROC, and where tasks differ how many lie above and below chance: a mean hides that."""
    counts = f"; above chance in {counted_tasks(main['auroc_above'])}, below in {main['auroc_below']}" if differ else ""
    return f"AUROC {with_interval(main['auroc'], 2)}{counts}"


def _preferred(main: Recorded) -> str:
    """What a preferred letter costs; it is named where all tasks that prefer one prefer the same."""
    if main["preference"]["low"] <= 0:
        return "a preferred letter costs nothing that can be measured"
    prefers = {letter: count for letter, count in main["prefers"].items() if count}
    letter = f"its preference for {next(iter(prefers))}" if len(prefers) == 1 else "a preferred letter"
    by_task = ", ".join(f"{name} in {counted_tasks(count)}" for name, count in prefers.items())
    return f"{main['preference']['mean']:.2f} is lost to {letter}{f' ({by_task})' if len(prefers) > 1 else ''}"


def _where(accuracy: Mapping[str, float]) -> str:
    if _is_near(accuracy):
        return "near guessing"
    if accuracy["low"] > GUESSING:
        return "above guessing"
    return "below guessing" if accuracy["high"] < GUESSING else "which may be guessing"


def _is_near(estimate: Mapping[str, float]) -> bool:
    return estimate["low"] >= GUESSING - NEAR and estimate["high"] <= GUESSING + NEAR


def _carries(finding: Recorded) -> str:
    """To fresh items, and to items that shortcuts cannot tell apart."""
    return f"{_on_fresh(finding)}; {_against_shortcuts(finding)}."


def _on_fresh(finding: Recorded) -> str:
    if (found := finding["against_fresh"]) is None:
        return "There is no second set of items to set beside these"
    if not _differs(found):
        signed = with_interval({"mean": found["difference"], "low": found["low"], "high": found["high"]}, 2)
        return f"On fresh items it is open whether the AUROC is another one ({signed}), {_draws(finding)}"
    falls, ends = found["high"] < 0, sorted((abs(found["low"]), abs(found["high"])))
    change = with_interval({"mean": abs(found["difference"]), "low": ends[0], "high": ends[1]}, 2)
    most = found["most"]["task"]
    where = f", most in {shown_task(most)}" if falls and most in found["lower"] else ""
    if against := found["higher" if falls else "lower"]:
        where += f" ({'higher' if falls else 'lower'} in {', '.join(map(shown_task, against))})"
    tasks = f" in these {counted_tasks(found['tasks'])} (that others would show it is open: p = {found['p']:.2g})"
    start = f"On fresh items the AUROC is {change} {'lower' if falls else 'higher'}"
    return f"{start}{'' if found['p'] < CERTAIN else tasks}{where}, {_draws(finding)}"


def _differs(found: Recorded) -> bool:
    return bool(found["high"] < 0 or found["low"] > 0)


def _draws(finding: Recorded) -> str:
    """What a draw of shots has to do with it: the interval is over items alone."""
    reach, found = finding["reach_of_draws"], finding["against_fresh"]
    if reach is None:
        return "each set behind one draw of shots"
    if not _differs(found):
        return f"and draws of shots alone move it by up to {reach:.2f}"
    return f"{'more than' if abs(found['difference']) > reach else 'which'} draws of shots alone may do ({reach:.2f})"


def _against_shortcuts(finding: Recorded) -> str:
    """What the margin has among items that two shortcuts cannot tell apart."""
    main, items = finding["in_all"][finding["item_set"]], shown_items(finding["item_set"])
    if main["shortcut_auroc"] is None or main["learnt_auroc"] is None:
        return "no shortcut could be set beside the margin"
    if main["auroc"]["low"] <= GUESSING:
        return "no shortcut is held against a margin that is not clearly above chance"
    fixed = {"number": (NUMBER, main["held_fixed"]), "n-grams": (LETTERS, main["learnt_fixed"])}
    enough = {short: names for short, names in fixed.items() if _may_be_nothing(names[1])}
    if enough:
        left = " and ".join(_left(items, main, *names) for names in enough.values())
        return f"{left}: what it knows may be the {' or the '.join(enough)} alone"
    if _may_be_nothing(main["both_fixed"]):
        if main["over_learnt"]["low"] <= 0:  # a copy of the n-grams with noise has a little over 50% inside a tenth
            return f"on {items} it is not clearly better than {LETTERS}: what it knows may be the n-grams alone"
        return f"neither {NUMBER} nor {LETTERS} alone is all that it knows, both together may be"
    return f"{_left(items, main, f'{NUMBER} and {LETTERS}', main['both_fixed'])}: more than these two explain"


def _may_be_nothing(value: Mapping[str, float] | None) -> bool:
    """Whether chance may be all that is left, or nothing could be compared."""
    return not value or value["low"] <= GUESSING


def _left(items: str, main: Recorded, alike: str, value: Mapping[str, float] | None) -> str:
    if not value:
        return f"no {items} with other labels are alike in {alike}"
    some = f" ({value['count']:.0f} of {main['tasks']} tasks)" if value["count"] < main["tasks"] else ""
    return f"among {items} alike in {alike}{some} it is {with_interval(value, 2)}"


def not_shown(finding: Recorded) -> str:
    """What the two sentences leave open."""
    found, reach = finding["against_fresh"], finding["reach_of_draws"]
    open_ = ["what it would do on tasks of another kind: the intervals are over items of these ones",
             "which rule or shortcut the margin goes by: one that tells as much need not be the one"]  # fmt: skip
    if found is not None and found["high"] < 0 and abs(found["difference"]) > (reach or 0):
        open_.insert(0, "why fresh items are harder (released ones may have been read in training, or be easier)")
    if reach is None:
        open_.append("what another draw of shots would change: each set of items was asked behind one")
    return f"Not shown: {'; '.join(open_)}; nor is one model, of one size, any other."
