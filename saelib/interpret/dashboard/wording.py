"""How readers meet features and their likeness in a notebook: tables of texts, names in words, links into the page.

In: means of `likeness.tables`, cards. Out: tables for `results.notebook.show_table`, and Markdown.
"""

import re
from collections.abc import Mapping, Sequence

import pandas as pd

from saelib.interpret.dashboard.cards import Card
from saelib.results.tables import as_markdown
from saelib.results.text import with_interval
from saelib.transfer.directions import transfer_arms
from saelib.transfer.wording import arm_label, interval_text

PAGE = "../interpret/dashboard.html"  # as it lies beside the run's executed notebooks
REFERENCES = {
    "scratch_equal": "scratch, as many tokens",
    "scratch_end": "finished scratch",
    "scratch_other": "scratch of another replicate",
    "control": "scratch, the transfers' schedule",
    "source": "its source",
    "start": "its start",
}
MEASURES = {
    "mmcs": "nearest row (MMCS)",
    "one_to_one": "one to one",
    "distinct": "rows that are a nearest one",
    "by_index_median": "median cosine",
    "kept": "kept",
    "moved": "moved",
    "reborn": "reborn",
    "own_is_nearest": "nearest to its own",
}
COMPARISONS = {
    "same_index": "same index",
    "best_match": "nearest row of the transfer",
    "scratch_match": "nearest row of scratch",
    "other_feature": "another feature (null)",
    "same_index minus other_feature": "same index, minus null",
}
COSINES = ("mmcs", "one_to_one", "distinct")
FATES = ("kept", "moved", "reborn", "by_index_median", "own_is_nearest")


def likeness_table(ends: pd.DataFrame) -> pd.DataFrame:
    """Cosines of decoder rows: a row for each arm and what it is compared with.

    Args:
        ends: `tables.ends` of means, of one choice of features.
    """
    return _wide(_without_twins(ends[ends["measure"].isin(COSINES)]), "measure", MEASURES, percent=("distinct",))


def fates_table(ends: pd.DataFrame) -> pd.DataFrame:
    """What became of the features: a row for each arm, against its source and against its start."""
    return _wide(ends[ends["measure"].isin(FATES)], "measure", MEASURES, percent=set(FATES) - {"by_index_median"})


def transfer_table(shares: pd.DataFrame) -> pd.DataFrame:
    """Shared tokens: a row for each arm, a column for each comparison.

    Args:
        shares: `tables.mean_transfer`, of the measure "share".
    """
    chosen = shares[shares["comparison"].isin([*COMPARISONS])]
    return _wide(chosen, "comparison", COMPARISONS, percent=COMPARISONS)


def cards_table(cards: Sequence[Card], page: str = PAGE) -> str:
    """Cards as a Markdown table, each row with a link to its card on the page.

    Args:
        page: its address.
    """
    lines = [{"feature": card.feature} | dict(card.summary) for card in cards]
    written = as_markdown(pd.DataFrame(lines, dtype=object))
    anchors = {str(card.feature): card.anchor for card in cards}
    return re.sub(r"^\| (\d+)(?= )", lambda found: f"| [{found[1]}]({page}#{anchors[found[1]]})", written, flags=re.M)


def _without_twins(ends: pd.DataFrame) -> pd.DataFrame:
    """Without what is said of finished scratch where that is the SAE of as many tokens: the numbers are the same."""
    keys = ["arm", "measure"]
    equal = ends[ends["reference"] == "scratch_equal"].set_index(keys)["mean"]
    theirs = pd.Series([equal.get(key) for key in zip(*(ends[name] for name in keys), strict=True)], ends.index)
    return ends[(ends["reference"] != "scratch_end") | (theirs != ends["mean"])]


def _wide(
    means: pd.DataFrame, across: str, names: Mapping[str, str], percent: "Sequence[str] | set[str] | Mapping[str, str]"
) -> pd.DataFrame:
    """Means as texts: rows in the order of arms and references, columns in that of the names."""
    texts = means.assign(text=[
        interval_text(line, percent=True) if line[across] in percent else with_interval(line)
        for line in means.to_dict("records")
    ])  # fmt: skip
    order = {"arm": _arms(means), "reference": [*REFERENCES]}
    by = [name for name in order if name in texts]
    for name in by:
        known = texts[texts[name].isin(order[name])]
        texts = known.assign(**{name: pd.Categorical(known[name], order[name])})
    wide = texts.pivot(index=by, columns=across, values="text").sort_index().fillna("-")
    wide = wide[[name for name in names if name in wide]].rename(columns=names).rename_axis(None, axis="columns")
    told = wide.reset_index().astype(str).rename(columns={"reference": "compared with"})
    return told.assign(arm=told["arm"].map(arm_label)).replace({"compared with": REFERENCES})


def _arms(table: pd.DataFrame) -> list[str]:
    known = transfer_arms(table)
    return [*known, *(arm for arm in ("scratch", "control") if arm in set(table["arm"]))]
