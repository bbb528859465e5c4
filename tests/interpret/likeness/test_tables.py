"""What the tables say: by hand on tables that somebody made up, with the paper's numbers beside them."""

import itertools

import numpy as np
import pandas as pd
import pytest

from saelib.interpret.likeness.means import means
from saelib.interpret.likeness.tables import (
    KEYS,
    beside_the_papers,
    ends,
    feature_values,
    likeness_by_layer,
    likeness_values,
    mean_likeness,
    mean_transfer,
    transfer_by_layer,
)
from saelib.transfer.published import MODEL
from tests.helpers.tidy_likeness import likeness_table, transfer_table

FEW = 99


def one(table: pd.DataFrame, **wanted: object) -> pd.Series:
    for name, value in wanted.items():
        table = table[table[name] == value]
    (row,) = table.index
    return table.loc[row]


def test_means_are_over_layers_and_replicates() -> None:
    table = likeness_table()
    who = {"arm": "forward", "tokens": 2000, "reference": "scratch_end", "features": "all", "measure": "mmcs"}
    values = table.loc[(table[list(who)] == list(who.values())).all(axis="columns"), "value"]
    found = one(mean_likeness(table, resamples=FEW), **who)
    assert found["mean"] == pytest.approx(values.mean()) and found["count"] == 3
    assert found["low"] <= found["mean"] <= found["high"]
    by_layer = likeness_by_layer(table, resamples=FEW)
    mine = by_layer[(by_layer[list(who)] == list(who.values())).all(axis="columns")]
    assert mine["act_layer"].tolist() == [1, 2, 3]
    assert mine["mean"].mean() == pytest.approx(found["mean"])
    assert "angular_distance" not in set(by_layer["measure"])  # of layers, not of SAEs


@pytest.mark.parametrize(("replicates", "is_bounded"), [(1, False), (2, False), (3, True), (4, True)])
def test_of_two_replicates_the_others_are_one_pair_and_have_no_bounds(replicates: int, is_bounded: bool) -> None:
    table = likeness_table(replicates=replicates)
    for found in (mean_likeness(table, resamples=FEW), likeness_by_layer(table, resamples=FEW)):
        is_other = found["reference"] == "scratch_other"
        assert "scratch" in set(found.loc[is_other, "arm"]) and found["mean"].notna().all()
        assert (found.loc[is_other, ["low", "high"]].notna() == is_bounded).all(axis=None)
        assert (found.loc[~is_other, ["low", "high"]].notna() == (replicates > 1)).all(axis=None)
    plain = means(table[table["seed"].notna()], KEYS, resamples=FEW)
    kept = mean_likeness(table, resamples=FEW)
    pd.testing.assert_series_equal(kept["mean"], plain["mean"])
    if is_bounded:
        pd.testing.assert_frame_equal(kept, plain, check_exact=True)


def test_ends_are_those_of_each_arm() -> None:
    table = mean_likeness(likeness_table(), resamples=FEW)
    assert set(ends(table).loc[ends(table)["arm"] == "forward", "tokens"]) == {2000}


def test_shares_by_hand() -> None:
    # Two features of ten and ten logit tokens and ten maximal ones: 6 + 3 + 0 and 9 + 9 + 3 of 30: 0.3 and 0.7.
    table = transfer_table(layers=1, features=2, arms=("forward",)).query("comparison == 'same_index'")
    table = table.assign(shared_top=[6, 9], shared_bottom=[3, 9], shared_maximal=[0, 3], shared_counted=[0, 8])
    found = mean_transfer(table, resamples=FEW)
    told = found.set_index("measure")["mean"].to_dict()
    assert told == pytest.approx(
        {"share": 0.5, "shared_top": 7.5, "shared_bottom": 6, "shared_maximal": 1.5, "shared_counted": 4}
    )
    share = one(found, measure="share")
    assert 0.3 <= share["low"] < 0.5 < share["high"] <= 0.7


def test_a_lead_is_taken_feature_by_feature() -> None:
    table = transfer_table()
    found = mean_transfer(table, resamples=FEW)
    mine = {name: one(found, arm="forward", comparison=name, measure="share")["mean"]
            for name in ("same_index", "other_feature", "same_index minus other_feature")}  # fmt: skip
    difference = mine["same_index"] - mine["other_feature"]
    assert mine["same_index minus other_feature"] == pytest.approx(difference)


def test_the_place_of_a_feature_is_that_among_those_of_its_source() -> None:
    found = feature_values(transfer_table(features=5))
    for _, part in found.groupby(["arm", "act_layer", "comparison", "measure"]):
        assert part.sort_values("feature")["drawn"].tolist() == [1, 2, 3, 4, 5]


def test_layers_have_their_own_means() -> None:
    table = transfer_table()
    found = transfer_by_layer(table, resamples=FEW)
    for arm, layer in itertools.product(("forward", "backward"), (1, 2)):
        row = one(found, arm=arm, act_layer=layer, comparison="same_index", measure="shared_top")
        chosen = table[(table["arm"] == arm) & (table["act_layer"] == layer) & (table["comparison"] == "same_index")]
        assert row["mean"] == pytest.approx(chosen["shared_top"].mean())
        assert row["source_layer"] == layer + (1 if arm == "backward" else -1)


def test_recorded_values_stand_beside_the_papers() -> None:
    values = likeness_values(likeness_table(), transfer_table(), "another/model")
    assert {line["arm"] for line in values["mmcs"]} == {"forward", "backward"}
    assert all(np.isfinite([line["mean"], line["low"], line["high"]]).all() for line in values["mmcs"])
    assert [line["mean"] for line in values["mmcs_published"]] == pytest.approx([0.8115, 0.7946], abs=5e-5)
    for line in values["feature_transfer"]:
        assert line["null"] < line["mean"] < line["high"] and line["best_match"] > line["null"]
    assert [line["mean"] for line in values["feature_transfer_published"]] == pytest.approx([0.3031, 0.2878], abs=5e-5)
    shares = pd.DataFrame(values["moved"]).groupby("arm")["mean"].sum()
    assert shares.tolist() == pytest.approx([1, 1])


PAPERS = f"EleutherAI/{MODEL}"


def by_hand(table: pd.DataFrame, column: str, layers: set[int], arm: str) -> float:
    return float(table.loc[(table["arm"] == arm) & table[column].isin(layers), "value"].mean())


def test_beside_the_papers_mean_stands_that_of_its_layers() -> None:
    likeness, transfer = likeness_table(layers=range(12), replicates=1), transfer_table(layers=12)
    values = likeness_values(likeness, transfer, PAPERS)
    decoders = likeness.query("features == 'all' and measure == 'mmcs' and reference == 'scratch_equal'")
    same = transfer[transfer["comparison"] == "same_index"]
    same = same.assign(value=same[["shared_top", "shared_bottom", "shared_maximal"]].sum(axis="columns") / 30)
    at = set(range(1, 11))
    for line in values["mmcs"]:
        assert line["mean"] == pytest.approx(by_hand(decoders, "act_layer", at, line["arm"]))
    for line in values["feature_transfer"]:
        mine = by_hand(same, "source_layer", at, line["arm"])
        assert line["mean"] == pytest.approx(mine)
        assert mine != pytest.approx(by_hand(same, "act_layer", at, line["arm"]), abs=1e-4)
    means = {line["arm"]: line["mean"] for line in likeness_values(likeness, transfer, "other")["feature_transfer"]}
    assert means["forward"] == pytest.approx(same.loc[same["arm"] == "forward", "value"].mean())


def test_of_the_papers_model_layers_0_and_11_are_not_in_the_mean_of_mmcs() -> None:
    outer = likeness_table(layers=(0, 1, 2), replicates=1)
    # 0.8 at layer 0, 0.75 at 1, 0.7 at 2: of the paper's layers 0.725, of all three 0.75.
    for model, mean in ((PAPERS, 0.725), ("another/model", 0.75)):
        values = likeness_values(outer, transfer_table(), model)
        assert [line["mean"] for line in values["mmcs"]] == pytest.approx([mean, mean])
        assert len(values["moved"]) == 6  # of all layers: the paper has no such number


def test_tables_of_the_papers_layers_keep_all_comparisons() -> None:
    likeness, transfer = beside_the_papers(likeness_table(layers=range(12)), transfer_table(layers=12), PAPERS)
    assert sorted(set(likeness["act_layer"].dropna())) == [*range(1, 11)]
    ends_at = transfer.groupby("arm")["act_layer"].unique()
    assert {arm: sorted(layers) for arm, layers in ends_at.items()} == {
        "forward": [*range(2, 12)], "backward": [*range(1, 10)],  # no transfer to layer 0 in this table
    }  # fmt: skip
    assert transfer["comparison"].nunique() == 4
