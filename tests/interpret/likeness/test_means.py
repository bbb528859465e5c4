"""Means and their bounds: by hand, against loops over draws, and what may be missing."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from saelib.interpret.likeness.means import DRAWN, REPLICATE, means

FEW = 199


def made(layers: int = 3, replicates: int = 4, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {"arm": arm, "act_layer": layer, REPLICATE: replicate, "value": layer + 0.1 * random.standard_normal()}
        for arm in ("forward", "backward") for layer in range(layers) for replicate in range(replicates)
    )  # fmt: skip


def of_features(features: int = 30, replicates: int = 1) -> pd.DataFrame:
    random = np.random.default_rng(1)
    return pd.DataFrame(
        {"arm": "forward", "act_layer": layer, REPLICATE: replicate, DRAWN: place, "value": random.random()}
        for layer in range(4) for replicate in range(replicates) for place in range(features)
    )  # fmt: skip


def test_by_hand() -> None:
    # Layer 0: 1 and 3; layer 1: 5 and 7. Over replicates 2 and 6, over both 4.
    table = pd.DataFrame({"arm": "forward", "act_layer": [0, 0, 1, 1], REPLICATE: [0, 1, 0, 1], "value": [1, 3, 5, 7]})
    by_layer = means(table, ["arm", "act_layer"], resamples=FEW)
    assert by_layer["mean"].tolist() == [2, 6] and by_layer["count"].tolist() == [2, 2]
    (whole,) = means(table, ["arm"], resamples=FEW).to_dict("records")
    assert whole["mean"] == 4 and 3 <= whole["low"] <= whole["high"] <= 5  # of the replicates' means, 3 and 5


def test_layers_are_not_drawn_again() -> None:
    table = made().assign(value=lambda rows: rows["act_layer"] * 100 + rows[REPLICATE])
    (forward, backward) = means(table, ["arm"], resamples=FEW).to_dict("records")
    assert forward["mean"] == backward["mean"] == 101.5
    assert forward["low"] >= 100 and forward["high"] <= 103  # layers are 100 apart, replicates 1


def test_bounds_are_those_of_scipys_bootstrap_of_the_replicates() -> None:
    table = made(layers=1, replicates=12).query("arm == 'forward'")
    (found,) = means(table, ["arm"]).to_dict("records")
    wanted = stats.bootstrap((table["value"].to_numpy(),), np.mean, rng=1, method="percentile",
                             confidence_level=0.97).confidence_interval  # fmt: skip
    assert found["low"] == pytest.approx(wanted.low, abs=0.02)
    assert found["high"] == pytest.approx(wanted.high, abs=0.02)


def test_features_of_a_single_replicate_are_drawn_again() -> None:
    table = of_features()
    (found,) = means(table, ["arm"], (REPLICATE, DRAWN)).to_dict("records")
    assert found["mean"] == pytest.approx(table["value"].mean()) and found["count"] == 1
    by_place = table.groupby(DRAWN)["value"].mean()
    half = 2.05 * by_place.std(ddof=1) / np.sqrt(30)
    assert found["high"] - found["low"] == pytest.approx(2 * half, rel=0.12)


def test_both_are_drawn_again_where_there_are_both() -> None:
    table = of_features(replicates=3)
    table["value"] += 10 * table[REPLICATE]
    (found,) = means(table, ["arm"], (REPLICATE, DRAWN), resamples=FEW).to_dict("records")
    (by_features,) = means(table.query(f"{REPLICATE} == 1"), ["arm"], (REPLICATE, DRAWN), resamples=FEW).to_dict(
        "records"
    )
    assert found["high"] - found["low"] > 10 > by_features["high"] - by_features["low"]


def test_what_is_missing_is_left_out() -> None:
    table = made()
    whole = means(table, ["arm", "act_layer"], resamples=FEW)
    table.loc[table.index[0], "value"] = np.nan
    found = means(table, ["arm", "act_layer"], resamples=FEW)
    assert found["count"].tolist() == [3, *whole["count"][1:]]
    assert found["mean"][1:].tolist() == whole["mean"][1:].tolist()
    assert found["mean"][0] == pytest.approx(table["value"][1:4].mean())
    assert np.isfinite(found[["low", "high"]].to_numpy()).all()


def test_one_replicate_has_no_bounds_and_nothing_has_no_rows() -> None:
    found = means(made(replicates=1), ["arm"], resamples=FEW)
    assert found["mean"].notna().all() and found[["low", "high"]].isna().all().all()
    assert means(made().assign(value=np.nan), ["arm"]).empty
    assert [*means(made().iloc[:0], ["arm"])] == ["arm", "mean", "low", "high", "count"]


def test_groups_keep_their_order_and_missing_keys() -> None:
    table = made().assign(tokens=pd.array([None] * 24, dtype="Int64"))
    found = means(table, ["arm", "tokens"], resamples=FEW)
    assert found["arm"].tolist() == ["forward", "backward"] and found["tokens"].isna().all()
