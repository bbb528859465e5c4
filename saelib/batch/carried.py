"""What the rows on features and circuits say in the table of experiments: the run's numbers, and the paper's beside.

In: what 20_features and 21_circuits recorded; the published numbers. Out: a phrase for each experiment. What a run did
not measure is said to be so: a notebook that found nothing records empty lists.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import pandas as pd

from saelib.interpret.circuits.tasks.library import TASKS
from saelib.results.text import thousands, with_interval
from saelib.transfer import published
from saelib.transfer.wording import arm_label

Line: TypeAlias = Mapping[str, Any]
Values: TypeAlias = Mapping[str, Mapping[str, Any]]
NOTHING = "not measured"
COPIES = ("forward", "backward")
MEASURES = ("faithfulness", "completeness")
ALIKE = 0.1  # how far the sizes of circuits, ours and the paper's, may be apart, as a share: 1.6% is its 100 of 6144
EQUALLY = "scratch of as many tokens"
SCRATCH, BY_EFFECT = "scratch", "attribution"  # how the features of a circuit are chosen, baselines otherwise


def sentences(values: Values) -> list[str]:
    """What the run says of what a transfer carries, in Markdown; nothing of what was not measured."""
    told = {
        "**Decoder rows** beside scratch of as many tokens (mean largest cosine, MMCS)": likeness(values),
        "**Tokens** that a feature shares with its source's feature of the same index": feature_transfer(values),
        "**Attribution** of the strongest feature to an answer": attribution(values),
        "**Circuits** of features": circuits(values),
    }
    return [f"{what}: {said}." for what, said in told.items() if said != NOTHING]


def likeness(values: Values) -> str:
    """MMCS of copies with scratch of as many tokens."""
    lines = _first_of_arms(_lines(values, "20_features", "mmcs"), COPIES)
    return _beside(lines, published.published_mmcs().groupby("arm")["mmcs"].mean(), 2, "over replicates", own_digits=3)


def feature_transfer(values: Values) -> str:
    """Tokens that features of the same index share, of 30; beside it another feature, drawn, and the best match."""
    lines = _first_of_arms(_lines(values, "20_features", "feature_transfer"), COPIES)
    others = [_mean(line.get(name)) for name in ("null", "best_match") for line in lines]
    theirs = published.published_feature_transfer().groupby("arm")["share"].mean()
    told = _beside(lines, theirs, 0, "over features", percent=True)
    if told == NOTHING or any(map(math.isnan, others)):
        return told
    drawn, matched = (" and ".join(f"{share:.0%}" for share in part)
                      for part in (others[: len(lines)], others[len(lines) :]))  # fmt: skip
    return f"{told}; a random feature {drawn}, the best match {matched}"


def attribution(values: Values) -> str:
    """The largest attribution of a feature at the end of training, of copies, and what it is above scratch's then."""
    lines = _first_of_arms(_latest(_lines(values, "21_circuits", "attribution")), COPIES)
    leads = {line["arm"]: line for line in _latest(_lines(values, "21_circuits", "attribution_leads"))}
    if not (lines := [line for line in lines if line["arm"] in leads]):
        return NOTHING
    table = published.published_attribution()
    ends = table[table["tokens"] == table.loc[table["arm"].isin(COPIES), "tokens"].max()]
    theirs = ends.groupby("arm")["attribution"].mean()
    ours = "; ".join(f"{_told(own, 2)}, minus {EQUALLY} at its layers {_interval(leads[own['arm']], 2)}"
                     for own in lines)  # fmt: skip
    papers = ", ".join(f"{theirs[own['arm']]:.2f}" for own in lines)
    return f"{ours}; intervals over prompts; the paper {papers}, {EQUALLY} {theirs[SCRATCH]:.2f}"


def circuits(values: Values) -> str:
    """Faithfulness and completeness at the largest circuits, of the tasks that the model does and the paper has.

    Where the paper has none of those with a score the mean is over all of these, and none of the paper's stands beside.
    """
    tasks = _lines(values, "21_circuits", "tasks")
    done = [line["task"] for line in tasks if line.get("scored")]
    if not done:
        return f"{NOTHING}: the model does none of {len(tasks)} tasks" if tasks else NOTHING
    lines = [line for line in _lines(values, "21_circuits", "faithfulness")
             if line["task"] in done and line.get("choice", BY_EFFECT) == BY_EFFECT]  # fmt: skip
    theirs = published.published_faithfulness().rename(columns={"value": "mean"}).to_dict("records")
    told = [_measure(measure, lines, theirs) for measure in MEASURES]
    rates = ", ".join(f"{TASKS[line['task']].label} {line['accuracy']:.0%}" for line in tasks
                      if line.get("accuracy") is not None)  # fmt: skip
    own = f"{len(done)} of {len(tasks)} tasks are done by the model" + (f" (right: {rates})" if rates else "")
    return "; ".join([own, *filter(None, told)])


def _measure(measure: str, lines: Sequence[Line], theirs: Sequence[Line]) -> str:
    """One of the two: copies and scratch at the same layers, over the tasks of which all of them have a number."""
    own = [line for line in lines if line["measure"] == measure]
    ours = _largest([line for line in own if line["arm"] in (line["direction"], SCRATCH)])
    wide = ours.pivot_table(index="task", columns=["direction", "arm"], values="mean", sort=False)
    if wide.empty or (wide := wide.dropna()).empty:
        return ""
    tasks = [task for task in wide.index if task in {line["task"] for line in theirs}] or [*wide.index]
    means = wide.loc[tasks].mean()
    copies = [copy for copy in COPIES if (copy, copy) in means and (copy, SCRATCH) in means]
    if not copies:
        return ""
    told = "; ".join(f"{arm_label(copy)} {means[copy, copy]:.2f}, {arm_label(SCRATCH)} {means[copy, SCRATCH]:.2f}"
                     for copy in copies)  # fmt: skip
    named = ", ".join(TASKS[task].label for task in tasks)
    size = ours["share"].max()
    share = f"{measure} at {size:.1%} of the features ({named}): {told}"
    papers = _latest([line for line in theirs if line["measure"] == measure and line["task"] in tasks])
    if not papers:
        return f"{share}; the paper has none of these tasks"
    alike = pd.DataFrame([line for line in papers if abs(line["share"] / size - 1) < ALIKE])
    if alike.empty:
        return f"{share}; the paper has no circuits of that size"
    arms = alike.groupby("arm")["mean"].mean()
    beside = ", ".join(f"{arms[copy]:.2f}" for copy in copies)
    older = thousands(alike.loc[alike["arm"] == SCRATCH, "tokens"].max())
    return f"{share}; the paper {beside}, {arm_label(SCRATCH)} ({older} tokens) {arms[SCRATCH]:.2f}"


def _largest(lines: Sequence[Line]) -> pd.DataFrame:
    """Those at the largest share that have a number."""
    columns = ("task", "direction", "arm", "share")
    table = pd.DataFrame([{name: line.get(name) for name in columns} | {"mean": _mean(line.get("mean"))}
                          for line in lines], columns=[*columns, "mean"])  # fmt: skip
    table = table[table["mean"].notna()]
    return table[table["share"] == table["share"].max()]


def _lines(values: Values, notebook: str, name: str) -> list[Line]:
    return list(values.get(notebook, {}).get(name) or [])


def _first_of_arms(lines: Iterable[Line], arms: Iterable[str]) -> list[Line]:
    """The first line of each arm that has a number, in the order of the arms."""
    found = {line["arm"]: line for line in reversed([*lines]) if not math.isnan(_mean(line.get("mean")))}
    return [found[arm] for arm in arms if arm in found]


def _latest(lines: Sequence[Line]) -> list[Line]:
    """Those of each arm at its largest count of tokens."""
    last: dict[str, int] = {}
    for line in lines:
        last[line["arm"]] = max(last.get(line["arm"], 0), line["tokens"])
    return [line for line in lines if line["tokens"] == last[line["arm"]]]


def _beside(
    lines: Sequence[Line], theirs: "pd.Series[float]", digits: int, unit: str, percent: bool = False,
    own_digits: int | None = None,
) -> str:  # fmt: skip
    """The run's numbers by arm and what their intervals are over, then the paper's of the same arms."""
    if not lines:
        return NOTHING
    told = ", ".join(_told(line, own_digits or digits, percent) for line in lines)
    sign = "%" if percent else "f"
    papers = ", ".join(format(theirs[line["arm"]], f".{digits}{sign}") for line in lines)
    return f"{told}, intervals {unit}; the paper {papers}"


def _told(line: Line, digits: int, percent: bool = False) -> str:
    """An arm and its number, with the interval."""
    return f"{arm_label(line['arm'])} {_interval(line, digits, percent)}"


def _interval(line: Line, digits: int, percent: bool = False) -> str:
    bounds = {name: _mean(line.get(name)) for name in ("low", "high")}
    return with_interval({**line, **bounds}, digits, percent=percent)


def _mean(value: Any) -> float:
    """A number that is recorded plain, or with its interval; NaN where there is none."""
    found = value.get("mean") if isinstance(value, Mapping) else value
    return math.nan if found is None else float(found)
