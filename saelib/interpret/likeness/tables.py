"""What the tables of likeness and of feature transfer say: means with intervals, over layers and by layer.

In: `likeness.parquet` and `feature_transfer.parquet` of a run. Out: tidy tables (mean, low, high, count), and the
values that a notebook records.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from saelib.interpret.likeness.means import DRAWN, REPLICATE, means
from saelib.interpret.published_layers import at_published_layers
from saelib.results.bootstrap import RESAMPLES
from saelib.transfer.published import published_feature_transfer, published_mmcs

COUNTED = ("shared_top", "shared_bottom", "shared_maximal")  # that paper 1 adds up
NULL = "other_feature"
LEADS = {f"same_index minus {other}": ("same_index", other) for other in (NULL, "scratch_match")}
KEYS = ("arm", "tokens", "reference", "features", "measure")
MOVED = ("kept", "moved", "reborn")
FEWEST = 3  # replicates for bounds against another one: from here on each one's next makes another pair


def mean_likeness(likeness: pd.DataFrame, *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Means over layers and replicates: arm, tokens, reference, features, measure, mean, low, high, count.

    Note: against another replicate ("scratch_other") bounds are NaN below three replicates. Of two, each is the other's
    next one, so that scratch has one pair of SAEs, told twice; of three, each SAE is in two of the three pairs.
    """
    return _means_of_saes(likeness, KEYS, seed=seed, resamples=resamples)


def likeness_by_layer(likeness: pd.DataFrame, *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Means over replicates, with the columns of `mean_likeness` and act_layer."""
    return _means_of_saes(likeness, [*KEYS, "act_layer"], seed=seed, resamples=resamples)


def ends(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of finished SAEs: those of an arm at its largest token count."""
    return table[table["tokens"] == table.groupby("arm")["tokens"].transform("max")]


def mean_transfer(table: pd.DataFrame, *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Means over features, layers and replicates: arm, comparison, measure, mean, low, high, count.

    The measures are "share" (of the tokens that could be shared: of 30 in the paper), the three counts that it is made
    of, and "shared_counted". A comparison may be a difference of two, feature by feature.
    """
    return _means_of_transfer(table, ["arm", "comparison", "measure"], seed=seed, resamples=resamples)


def transfer_by_layer(table: pd.DataFrame, *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Means over features and replicates, with the columns of `mean_transfer` and act_layer, source_layer."""
    by = ["arm", "comparison", "measure", "act_layer", "source_layer"]
    return _means_of_transfer(table, by, seed=seed, resamples=resamples)


def beside_the_papers(
    likeness: pd.DataFrame, transfer: pd.DataFrame, language_model: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of both tables whose means stand beside the paper's: of its own model, at its layers alone."""
    return (
        at_published_layers(likeness, published_mmcs(), "act_layer", language_model),
        at_published_layers(transfer, published_feature_transfer(), "source_layer", language_model),
    )


def likeness_values(likeness: pd.DataFrame, transfer: pd.DataFrame, language_model: str) -> dict[str, Any]:
    """What a notebook records: MMCS and feature transfer by arm, beside the paper's, and what moved."""
    at_papers, shared = beside_the_papers(likeness, transfer, language_model)
    told, nearest, shares = ends(mean_likeness(likeness)), ends(mean_likeness(at_papers)), mean_transfer(shared)
    of_all = nearest[nearest["features"] == "all"]
    mmcs = of_all[(of_all["measure"] == "mmcs") & (of_all["reference"] == "scratch_equal")]
    moved = told[(told["features"] == "alive") & (told["reference"] == "source") & told["measure"].isin(MOVED)]
    same = shares[shares["measure"] == "share"].set_index(["arm", "comparison"])["mean"]
    lines = _records(shares[(shares["measure"] == "share") & (shares["comparison"] == "same_index")])

    def beside(line: dict[str, Any], comparison: str) -> float | None:
        found = same.get((line["arm"], comparison))
        return None if found is None else float(found)

    return {
        "mmcs": _records(mmcs),
        "mmcs_published": _published(published_mmcs(), "mmcs"),
        "feature_transfer": [
            line | {"null": beside(line, NULL), "best_match": beside(line, "best_match")} for line in lines
        ],
        "feature_transfer_published": _published(published_feature_transfer(), "share"),
        "moved": _records(moved, ("arm", "measure")),
    }


def _published(table: pd.DataFrame, column: str) -> list[dict[str, Any]]:
    found = table.groupby("arm", sort=False)[column].mean()
    return [{"arm": arm, "mean": float(mean)} for arm, mean in found.items()]


def _records(table: pd.DataFrame, keys: Sequence[str] = ("arm",)) -> list[dict[str, Any]]:
    return [dict(line) for line in table[[*keys, "mean", "low", "high"]].to_dict("records")]


def _means_of_saes(likeness: pd.DataFrame, by: Sequence[str], *, seed: int, resamples: int) -> pd.DataFrame:
    found = means(likeness[likeness[REPLICATE].notna()], by, seed=seed, resamples=resamples)
    is_one_pair = (found["reference"] == "scratch_other") & (found["count"] < FEWEST)
    return found.assign(**{bound: found[bound].mask(is_one_pair) for bound in ("low", "high")})


def _means_of_transfer(table: pd.DataFrame, by: Sequence[str], *, seed: int, resamples: int) -> pd.DataFrame:
    return means(feature_values(table), by, (REPLICATE, DRAWN), seed=seed, resamples=resamples)


def feature_values(table: pd.DataFrame) -> pd.DataFrame:
    """One row for each feature, comparison and measure, differences of comparisons too.

    Returns:
        arm, act_layer, source_layer, seed, feature, drawn (its place among those of its source), comparison, measure,
        value.
    """
    keys = ["arm", "act_layer", "source_layer", "seed", "feature"]
    counts = [*COUNTED, "shared_counted"]
    wide = table.assign(share=table[[*COUNTED]].sum(axis="columns") / table["out_of"])
    long = wide.melt([*keys, "comparison"], ["share", *counts], "measure")
    apart = long.pivot(index=[*keys, "measure"], columns="comparison", values="value")
    for name, (one, other) in LEADS.items():
        if {one, other} <= set(apart):
            apart[name] = apart[one] - apart[other]
    found = apart.rename_axis(columns="comparison").reset_index().melt([*keys, "measure"], var_name="comparison")
    places = found.groupby(["arm", "act_layer", "seed"])["feature"].rank(method="dense").astype(int)
    return found.assign(**{DRAWN: places}).sort_values(["comparison", "measure", *keys], kind="stable")
