"""What the rows on features and circuits say in the table of experiments: the run's numbers, and the paper's beside.

In: what 20_features and 21_circuits recorded; the published numbers. Out: a phrase for each experiment. What a run did
not measure is said to be so: a notebook that found nothing records empty lists.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import pandas as pd

from saelib.results.text import with_interval
from saelib.transfer import published
from saelib.transfer.wording import arm_label

Line: TypeAlias = Mapping[str, Any]
Values: TypeAlias = Mapping[str, Mapping[str, Any]]
NOTHING = "not measured"
COPIES = ("forward", "backward")
MEASURES = ("faithfulness", "completeness")
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
    return _beside(lines, published.published_mmcs().groupby("arm")["mmcs"].mean(), 2)


def feature_transfer(values: Values) -> str:
    """Tokens that features of the same index share, of 30; beside it another feature, drawn, and the best match."""
    lines = _first_of_arms(_lines(values, "20_features", "feature_transfer"), COPIES)
    others = [_mean(line.get(name)) for name in ("null", "best_match") for line in lines]
    theirs = published.published_feature_transfer().groupby("arm")["share"].mean()
    told = _beside(lines, theirs, 0, percent=True)
    if told == NOTHING or any(map(math.isnan, others)):
        return told
    drawn, matched = (" and ".join(f"{share:.0%}" for share in part)
                      for part in (others[: len(lines)], others[len(lines) :]))  # fmt: skip
    return f"{told}; a random feature {drawn}, the best match {matched}"


def attribution(values: Values) -> str:
    """The largest attribution of a feature at the end of training, for scratch and for copies."""
    arms = (SCRATCH, *COPIES)
    lines = _first_of_arms(_latest(_lines(values, "21_circuits", "attribution")), arms)
    theirs = pd.DataFrame(_latest(published.published_attribution().to_dict("records"))).groupby("arm")["attribution"]
    return _beside(lines, theirs.mean(), 2)


def circuits(values: Values) -> str:
    """Faithfulness and completeness at the largest circuits, mean over the tasks that the model can do."""
    tasks = _lines(values, "21_circuits", "tasks")
    done = [line["task"] for line in tasks if line.get("scored")]
    if not done:
        return f"{NOTHING}: the model does none of {len(tasks)} tasks" if tasks else NOTHING
    lines = [line for line in _lines(values, "21_circuits", "faithfulness")
             if line["task"] in done and line.get("choice", BY_EFFECT) == BY_EFFECT]  # fmt: skip
    theirs = published.published_faithfulness().rename(columns={"value": "mean"}).to_dict("records")
    told = [_measure(measure, lines, theirs) for measure in MEASURES]
    return "; ".join([f"{len(done)} of {len(tasks)} tasks are done by the model", *filter(None, told)])


def _measure(measure: str, lines: Sequence[Line], theirs: Sequence[Line]) -> str:
    """One of the two, by arm: its mean over tasks at the largest share, here and in the paper."""
    ours, papers = (_at_most(measure, found) for found in (lines, theirs))
    if ours.empty:
        return ""
    arms = [arm for arm in (SCRATCH, *COPIES) if arm in ours.index.get_level_values("arm")]
    share = ours.index.get_level_values("share").max()
    told = ", ".join(f"{arm_label(arm)} {ours.xs(arm, level='arm').iloc[0]:.2f}" for arm in arms)
    paper = ", ".join(f"{papers.xs(arm, level='arm').iloc[0]:.2f}" for arm in arms)
    return f"{measure} at {share:.1%} of the features: {told}; the paper {paper}"


def _at_most(measure: str, lines: Sequence[Line]) -> pd.Series:
    """Means over tasks by arm at the largest share of each arm, at its latest tokens where there are several."""
    rows = [line for line in lines if line["measure"] == measure and not math.isnan(_mean(line.get("mean")))]
    rows = _latest(rows) if rows and "tokens" in rows[0] else rows
    table = pd.DataFrame({name: [line[name] for line in rows] for name in ("arm", "share", "mean")})
    means = table.groupby(["arm", "share"])["mean"].mean()
    return means[means.index.get_level_values("share") == table["share"].max()]


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


def _beside(lines: Sequence[Line], theirs: "pd.Series[float]", digits: int, percent: bool = False) -> str:
    """The run's numbers by arm, then the paper's of the same arms."""
    if not lines:
        return NOTHING
    bounds = [line | {name: _mean(line.get(name)) for name in ("low", "high")} for line in map(dict, lines)]
    told = ", ".join(f"{arm_label(line['arm'])} {with_interval(line, digits, percent=percent)}" for line in bounds)
    sign = "%" if percent else "f"
    return f"{told}; the paper {', '.join(format(theirs[line['arm']], f'.{digits}{sign}') for line in lines)}"


def _mean(value: Any) -> float:
    """A number that is recorded plain, or with its interval; NaN where there is none."""
    found = value.get("mean") if isinstance(value, Mapping) else value
    return math.nan if found is None else float(found)
