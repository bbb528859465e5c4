"""The table of feature transfer: against the profiles themselves, token by token, and resumed."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from saelib.interpret.features import profiles
from saelib.interpret.features.profiles import Profile, living_features, make_profiles, read_profile, source_sample
from saelib.interpret.interpretation import Interpretation
from saelib.interpret.likeness import transfer_study
from saelib.interpret.likeness.tables import mean_transfer
from saelib.interpret.likeness.transfer_study import (
    COMPARISONS,
    feature_transfer_state,
    make_feature_transfer,
    others,
    paired,
)
from saelib.run.files import write_json
from tests.helpers.dead_features import mark_dead
from tests.helpers.small_interpretations import D_SAE
from tests.interpret.conftest import CopyInterpretation

COUNTS = ["shared_top", "shared_bottom", "shared_maximal", "shared_counted"]


@pytest.fixture(scope="module")
def table(interpretation: Interpretation) -> pd.DataFrame:
    return make_feature_transfer(interpretation)


def peaks(profile: Profile, rows: np.ndarray, feature: int) -> list[int]:
    """Tokens at the strongest positions, read off the rows themselves."""
    contexts = profile.contexts_of(feature)
    return [int(rows[place]) for place in zip(contexts["row"], contexts["position"], strict=True)]


def test_every_transfer_has_its_features_in_every_comparison(
    interpretation: Interpretation, table: pd.DataFrame
) -> None:
    lineages = interpretation.lineages()
    groups = table.groupby(["arm", "act_layer", "seed", "comparison"])
    assert len(groups) == len(lineages) * len(COMPARISONS)
    for lineage in lineages:
        mine = table[(table["arm"] == lineage.arm) & (table["act_layer"] == lineage.act_layer)]
        sample = source_sample(interpretation, lineage.source).tolist()
        for name in COMPARISONS:
            assert mine.loc[mine["comparison"] == name, "feature"].tolist() == sample
    assert (table["out_of"] == 2 * 10 + 4).all()  # ten logit tokens at either end, four contexts


def test_shared_tokens_are_those_of_the_profiles(interpretation: Interpretation, table: pd.DataFrame) -> None:
    lineage = next(one for one in interpretation.lineages() if one.arm == "forward_affine" and one.act_layer == 2)
    whose = {"same_index": lineage.transferred, "best_match": lineage.transferred,
             "other_feature": lineage.transferred, "scratch_match": lineage.scratch}  # fmt: skip
    chosen = table[(table["arm"] == "forward_affine") & (table["act_layer"] == 2)]
    profiles = {one: read_profile(interpretation, one) for one in lineage}
    mine, rows = profiles[lineage.source], interpretation.rows()
    for row in chosen.to_dict("records"):
        theirs = profiles[whose[row["comparison"]]]
        for end in ("top", "bottom"):
            both = np.intersect1d(
                mine.features.at[row["feature"], f"{end}_ids"], theirs.features.at[row["other"], f"{end}_ids"]
            )
            assert row[f"shared_{end}"] == len(both)
        one, other = peaks(mine, rows, row["feature"]), peaks(theirs, rows, row["other"])
        assert row["shared_maximal"] == len(set(one) & set(other))
        assert row["shared_counted"] == sum(min(one.count(token), other.count(token)) for token in set(one))


def test_matches_are_the_nearest_rows_and_the_null_is_another_feature(
    interpretation: Interpretation, table: pd.DataFrame
) -> None:
    lineage = next(one for one in interpretation.lineages() if one.arm == "backward" and one.act_layer == 0)
    decoders = {one: interpretation.sae(one).W_dec.numpy() for one in lineage}
    chosen = table[(table["arm"] == "backward") & (table["act_layer"] == 0)]
    rows = {name: part.set_index("feature") for name, part in chosen.groupby("comparison")}
    for name, subject in (("best_match", lineage.transferred), ("scratch_match", lineage.scratch)):
        dead = ~living_features(interpretation, subject)
        for feature, other in rows[name]["other"].items():
            cosines = np.where(dead, -2, decoders[subject] @ decoders[lineage.source][feature])
            assert other == int(np.argmax(cosines))
            assert rows[name].at[feature, "cosine"] == pytest.approx(cosines.max(), abs=1e-5)
    assert (rows["same_index"]["other"] == rows["same_index"].index).all()
    assert (rows["other_feature"]["other"] != rows["other_feature"].index).all()
    assert set(rows["other_feature"]["other"]) == set(rows["other_feature"].index)
    alive = living_features(interpretation, lineage.transferred)[rows["same_index"].index]
    assert (rows["best_match"]["cosine"] >= rows["same_index"]["cosine"] - 1e-6)[alive].all()


def test_the_row_of_a_dead_feature_is_no_match(copy_interpretation: CopyInterpretation) -> None:
    copy = copy_interpretation(feature_arms=["forward"], feature_layers=[1])
    (lineage,) = copy.lineages()
    make_profiles(copy)
    sample = source_sample(copy, lineage.source)
    before = paired(copy, lineage, sample)
    for name, subject in (("best_match", lineage.transferred), ("scratch_match", lineage.scratch)):
        mark_dead(copy, subject, before[name].places)
    after = paired(copy, lineage, sample)
    for name in ("best_match", "scratch_match"):
        assert not set(after[name].places) & set(before[name].places)
        assert (after[name].cosines <= before[name].cosines + 1e-6).all()
    assert (after["same_index"].places == sample).all()  # what died at its own index shares what it shares


def test_others_are_drawn_by_the_seed_and_never_the_same() -> None:
    sample = np.array([3, 5, 8, 13])
    for seed in range(50):
        found = others(sample, seed)
        assert (found != sample).all() and sorted(found) == sample.tolist()
    assert (others(sample, 1) == others(sample, 1)).all()
    assert len({tuple(others(sample, seed)) for seed in range(50)}) > 3


def test_all_living_features_where_all_are_asked_for(copy_interpretation: CopyInterpretation) -> None:
    copy = copy_interpretation(features=None, feature_arms=["forward"], feature_layers=[1])
    found = make_feature_transfer(copy)
    alive = ~read_profile(copy, copy.lineages()[0].source).features["dead"]
    assert found["feature"].nunique() == alive.sum() <= D_SAE


def test_one_feature_alone_has_no_null(copy_interpretation: CopyInterpretation) -> None:
    copy = copy_interpretation(features=1, feature_arms=["forward"], feature_layers=[1])
    found = make_feature_transfer(copy)
    assert found["comparison"].tolist() == ["same_index", "best_match", "scratch_match"]
    told = set(mean_transfer(found, resamples=9)["comparison"])
    assert told == {"same_index", "best_match", "scratch_match", "same_index minus scratch_match"}


def test_the_joined_table_alone_is_read_where_it_is_all_that_is_kept(
    interpretation: Interpretation, table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saelib.run.stored.RESULTS", tmp_path)
    config = interpretation.config.replace(stored=True)
    kept = tmp_path / "smoke"
    (kept / "interpret").mkdir(parents=True)
    shutil.copy(interpretation.interpret_folder / "feature_transfer.parquet", kept / "interpret")
    write_json(kept / "values" / "20_features.json", {"config_sha256": config.sha256()})
    stored = Interpretation(config, interpretation.experiment)
    pd.testing.assert_frame_equal(make_feature_transfer(stored), table)
    assert feature_transfer_state(stored) == "Feature transfer: stored results."


def test_what_is_there_is_not_made_again(
    interpretation: Interpretation, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert feature_transfer_state(interpretation).endswith("found, finished.")
    monkeypatch.setattr(transfer_study, "_prepared", lambda *_: pytest.fail("made again"))
    pd.testing.assert_frame_equal(make_feature_transfer(interpretation), table)


def test_a_call_that_ended_early_goes_on(
    table: pd.DataFrame, copy_interpretation: CopyInterpretation, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = copy_interpretation(feature_arms=["backward"])
    compared, calls = transfer_study._compared, []

    def ends_at_the_second(*asked: object) -> list[dict[str, object]]:
        calls.append(asked)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return compared(*asked)  # type: ignore[arg-type]

    monkeypatch.setattr(transfer_study, "_compared", ends_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        make_feature_transfer(copy)
    assert feature_transfer_state(copy) == "Feature transfer: 1 of 2 parts are made now."
    again, wanted = make_feature_transfer(copy), table[table["arm"] == "backward"].reset_index(drop=True)
    assert len(calls) == 3
    pd.testing.assert_frame_equal(again[["feature", "other", *COUNTS]], wanted[["feature", "other", *COUNTS]])


def test_a_source_whose_features_are_all_dead_has_no_rows_and_the_columns(
    table: pd.DataFrame, copy_interpretation: CopyInterpretation
) -> None:
    copy = copy_interpretation(feature_arms=["forward"])
    make_profiles(copy)
    dead, alive = sorted(copy.lineages(), key=lambda one: one.act_layer)
    mark_dead(copy, dead.source, range(D_SAE))
    found = make_feature_transfer(copy)
    assert set(found["act_layer"]) == {alive.act_layer}
    assert found.dtypes.equals(table.dtypes)
    assert copy.table("feature_transfer").read(dead.transferred.part).columns.tolist() == table.columns.tolist()


def test_where_every_transfer_diverged_the_table_has_its_columns_and_no_rows(
    table: pd.DataFrame, copy_interpretation: CopyInterpretation, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = copy_interpretation(feature_arms=["forward"])
    monkeypatch.setattr(Interpretation, "has_diverged", lambda *_: True)
    found = make_feature_transfer(copy)
    assert found.empty
    assert set(table.columns) - set(found.columns) == set(table.columns[table.columns.get_loc("out_of") + 1 :])


def test_without_logit_tokens_only_contexts_can_be_shared(
    copy_interpretation: CopyInterpretation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(model: object) -> None:
        raise ValueError("a head that is not one matrix")

    monkeypatch.setattr(profiles, "unembedding", refused)
    copy = copy_interpretation(feature_arms=["forward"], feature_layers=[1])
    with pytest.warns(UserWarning, match="not one matrix"):
        found = make_feature_transfer(copy)
    assert (found[["shared_top", "shared_bottom"]] == 0).all(axis=None)
    assert (found["out_of"] == copy.config.top_contexts).all()
