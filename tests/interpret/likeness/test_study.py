"""The table of likeness: who is compared with whom, its numbers by other ways, and that nothing is made twice."""

import gc
import itertools
import weakref

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from saelib.interpret.interpretation import Interpretation
from saelib.interpret.likeness import streams, study
from saelib.interpret.likeness.compare import Line
from saelib.interpret.likeness.partners import groups_of, references, start_of
from saelib.interpret.likeness.streams import alive_features, layer_distances, read_streams, rows_read, tokens_read
from saelib.interpret.likeness.study import likeness_state, make_likeness
from saelib.interpret.subjects import Subject
from saelib.language.residuals import angular_distance, residual_geometry
from tests.helpers.small_interpretations import D_SAE
from tests.interpret.conftest import CopyInterpretation

KEYS = ["arm", "act_layer", "source_layer", "seed", "tokens", "reference", "features", "measure"]


@pytest.fixture(scope="module")
def table(interpretation: Interpretation) -> pd.DataFrame:
    return make_likeness(interpretation)


def value(table: pd.DataFrame, **wanted: object) -> float:
    found = table
    for name, one in ({"features": "all"} | wanted).items():
        found = found[found[name] == one]
    (only,) = found["value"]
    return float(only)


def rows(interpretation: Interpretation, arm: str, layer: int, seed: int = 0, tokens: int = 2048) -> np.ndarray:
    decoder = interpretation.sae(Subject(arm, layer, layer, seed, tokens)).W_dec.double().numpy()
    return decoder / np.linalg.norm(decoder, axis=1, keepdims=True)


def test_every_transfer_of_every_replicate_is_compared(interpretation: Interpretation, table: pd.DataFrame) -> None:
    assert not table.duplicated(KEYS).any() and table["sae_sha256"].notna().all()
    transfers = table[table["direction"].notna() & (table["tokens"] == 2048)]
    assert len(transfers[["arm", "act_layer", "seed"]].drop_duplicates()) == 2 * 2 * 2 * 2  # way, start, layers, seeds
    assert set(transfers["reference"]) == {"scratch_equal", "scratch_end", "scratch_other", "source", "start"}
    others = table[table["direction"].isna()].groupby("arm")["reference"].unique()
    assert {arm: set(names) for arm, names in others.items()} == {
        "layers": {"layers"}, "scratch": {"scratch_other"}, "random": {"scratch_end"},
    }  # fmt: skip
    assert (table.loc[(table["features"] == "all") & table["seed"].notna(), "n"] == D_SAE).all()


def test_mmcs_and_the_pairing_are_those_of_numpy_and_scipy(interpretation: Interpretation, table: pd.DataFrame) -> None:
    cosines = rows(interpretation, "forward", 1) @ rows(interpretation, "scratch", 1).T
    who = {"arm": "forward", "act_layer": 1, "seed": 0, "tokens": 2048, "reference": "scratch_end"}
    assert value(table, **who, measure="mmcs") == pytest.approx(cosines.max(axis=1).mean(), abs=1e-6)
    pairs = linear_sum_assignment(cosines, maximize=True)
    assert value(table, **who, measure="one_to_one") == pytest.approx(cosines[pairs].mean(), abs=1e-6)
    assert value(table, **who, measure="distinct") == len(set(cosines.argmax(axis=1))) / D_SAE
    same = who | {"reference": "scratch_equal"}  # the same SAE under another name: both have seen 2048 tokens
    assert value(table, **same, measure="mmcs") == value(table, **who, measure="mmcs")


def test_another_replicate_is_the_next_one(interpretation: Interpretation, table: pd.DataFrame) -> None:
    cosines = rows(interpretation, "scratch", 2, seed=1) @ rows(interpretation, "scratch", 2, seed=0).T
    who = {"arm": "scratch", "act_layer": 2, "seed": 1, "reference": "scratch_other", "measure": "mmcs"}
    assert value(table, **who) == pytest.approx(cosines.max(axis=1).mean(), abs=1e-6)
    one = Subject("scratch", 2, 2, 1, 2048)
    assert references(interpretation, one) == {"scratch_other": Subject("scratch", 2, 2, 0, 2048)}


def test_features_have_moved_from_those_of_the_same_index(interpretation: Interpretation, table: pd.DataFrame) -> None:
    cosines = (rows(interpretation, "backward", 0) * rows(interpretation, "scratch", 1)).sum(axis=1)
    who = {"arm": "backward", "act_layer": 0, "seed": 0, "reference": "source"}
    assert value(table, **who, measure="by_index") == pytest.approx(cosines.mean(), abs=1e-6)
    assert value(table, **who, measure="kept") == pytest.approx((cosines >= 0.9).mean())
    threshold = max(value(table, **who, measure=name) for name in ("null_other", "null_directions"))
    reborn = ((cosines <= threshold) & (cosines < 0.9)).mean()
    assert value(table, **who, measure="reborn") == pytest.approx(reborn)
    assert sum(value(table, **who, measure=name) for name in ("kept", "moved", "reborn")) == pytest.approx(1)


def test_a_copy_starts_as_its_source_and_a_mapped_one_does_not(
    interpretation: Interpretation, table: pd.DataFrame
) -> None:
    who = {"act_layer": 1, "seed": 0, "measure": "by_index"}
    copy = [value(table, **who, arm="forward", reference=name) for name in ("source", "start")]
    assert copy[0] == pytest.approx(copy[1], abs=1e-6)
    mapped = [value(table, **who, arm="forward_affine", reference=name) for name in ("source", "start")]
    assert mapped[0] != pytest.approx(mapped[1], abs=1e-3)
    untrained = rows(interpretation, "scratch", 0) @ rows(interpretation, "scratch", 1).T
    start = {"arm": "forward", "act_layer": 1, "seed": 0, "tokens": 0, "reference": "scratch_end", "measure": "mmcs"}
    assert value(table, **start) == pytest.approx(untrained.max(axis=1).mean(), abs=1e-6)


def test_living_features_are_those_that_fire_on_held_out_text(
    interpretation: Interpretation, table: pd.DataFrame
) -> None:
    one = Subject("forward", 1, 1, 0, 2048)
    tokens = torch.from_numpy(rows_read(interpretation)).long()
    stream = interpretation.model.residual_streams(tokens, [1])[0, :, interpretation.skipped :].flatten(0, 1)
    with torch.no_grad():
        fires = (interpretation.sae(one).encode(stream) > 0).any(0)
    assert alive_features(interpretation.sae(one), read_streams(interpretation, [1])[1]).equal(fires)
    chosen = table[(table["arm"] == "forward") & (table["act_layer"] == 1) & (table["seed"] == 0)]
    chosen = chosen[(chosen["tokens"] == 2048) & (chosen["features"] == "alive")]
    assert set(chosen["n"]) == {int(fires.sum())}


def test_distances_of_layers_are_those_of_the_residual_geometry(
    interpretation: Interpretation, table: pd.DataFrame
) -> None:
    found = residual_geometry(interpretation.model, rows_read(interpretation), [0, 1, 2], 4, interpretation.skipped)
    told = table[table["measure"] == "angular_distance"]
    assert len(told) == 6
    for row in told.to_dict("records"):
        wanted = found.angular_distance[row["act_layer"], row["source_layer"]]
        assert row["value"] == pytest.approx(wanted, abs=1e-6)


def test_layer_by_layer_the_text_gives_the_bits_that_all_layers_at_once_give(interpretation: Interpretation) -> None:
    tokens = torch.from_numpy(rows_read(interpretation)).long()
    batches = tokens.split(interpretation.experiment.config.evaluation_batch_rows)
    assert len(batches) > 1
    with torch.no_grad():
        parts = [interpretation.model.residual_streams(one, [0, 1, 2])[:, :, interpretation.skipped :]
                 for one in batches]  # fmt: skip
    whole = torch.cat([part.flatten(1, 2).float() for part in parts], dim=1)
    together = read_streams(interpretation, [0, 1, 2])
    for layer in range(3):
        assert read_streams(interpretation, [layer])[layer].equal(whole[layer]) and together[layer].equal(whole[layer])
    assert tokens_read(interpretation) == whole.shape[1]
    pairs = itertools.combinations(range(3), 2)
    wanted = {pair: float(angular_distance(*(whole[one].double() for one in pair)).mean()) for pair in pairs}
    assert layer_distances(interpretation, [2, 0, 1, 0]) == wanted


@pytest.mark.parametrize(("layers", "passes"), [(0, None), (1, None), (2, None), (3, 1)])
def test_no_more_layers_are_held_than_fit(
    copy_interpretation: CopyInterpretation, monkeypatch: pytest.MonkeyPatch, layers: int, passes: int | None
) -> None:
    read: list[list[weakref.ref[torch.Tensor]]] = []
    copy = copy_interpretation()

    def held() -> int:
        return sum(one() is not None for group in read for one in group)

    def watched(interpretation: Interpretation, wanted: list[int]) -> dict[int, torch.Tensor]:
        assert held() == 0  # those before are gone, without a garbage collection
        found = read_streams(interpretation, wanted)
        read.append([*map(weakref.ref, found.values())])
        assert held() <= max(1, layers)
        return found

    monkeypatch.setattr(streams, "read_streams", watched)
    monkeypatch.setattr(streams, "HELD", layers * 4 * tokens_read(copy) * copy.model.d_model)
    gc.disable()
    try:
        make_likeness(copy)
    finally:
        gc.enable()
    assert held() == 0
    assert len(read) == passes if passes else len(read) > 1


def test_distances_hold_a_batch_of_each_layer(interpretation: Interpretation, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: set[int] = set()

    def watched(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        sizes.update(vectors.untyped_storage().nbytes() // vectors.element_size() for vectors in (one, other))
        return angular_distance(one, other)

    monkeypatch.setattr(streams, "angular_distance", watched)
    layer_distances(interpretation, [0, 1, 2])
    rows = interpretation.experiment.config.evaluation_batch_rows
    a_batch = rows * interpretation.experiment.corpus.held_out.shape[1] * interpretation.model.d_model
    assert max(sizes) <= a_batch < tokens_read(interpretation) * interpretation.model.d_model


def test_what_is_there_is_not_made_again(
    interpretation: Interpretation, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert likeness_state(interpretation).endswith("found, finished.")
    monkeypatch.setattr(study, "_Judge", lambda *_: pytest.fail("made again"))
    pd.testing.assert_frame_equal(make_likeness(interpretation), table)


def test_a_call_that_ended_early_goes_on(
    table: pd.DataFrame, copy_interpretation: CopyInterpretation, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = copy_interpretation()
    whole = study._Judge.lines
    calls: list[str] = []

    def ends_at_the_third(judge: study._Judge) -> list[Line]:
        calls.append("")
        if len(calls) == 3:
            raise KeyboardInterrupt
        return whole(judge)

    monkeypatch.setattr(study._Judge, "lines", ends_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        make_likeness(copy)
    parts = len(groups_of(copy)) + 1
    assert f"{parts - 3} of {parts} parts" in likeness_state(copy)
    again = make_likeness(copy)
    assert len(calls) == 3 + parts - 3
    pd.testing.assert_frame_equal(again[[*KEYS, "value"]], table[[*KEYS, "value"]])


def test_another_sae_in_the_same_place_is_refused(copy_interpretation: CopyInterpretation) -> None:
    copy = copy_interpretation(feature_arms=["forward"])
    make_likeness(copy)
    group = groups_of(copy)["forward-L1"]
    place, other = copy.folder_of(group.lineages[0].transferred), copy.folder_of(group.lineages[0].scratch)
    for name in ("sae_weights.safetensors", "cfg.json"):
        (place / name).write_bytes((other / name).read_bytes())
    fresh = copy_interpretation_of(copy)
    with pytest.raises(ValueError, match=r"forward-L1.parquet was made of another SAE"):
        make_likeness(fresh)


def copy_interpretation_of(copy: Interpretation) -> Interpretation:
    """Opened anew: sums of files are remembered."""
    return Interpretation(copy.config, copy.experiment)


def test_the_start_of_a_transfer_is_its_first_checkpoint(interpretation: Interpretation) -> None:
    lineage = interpretation.all_lineages()[0]
    assert start_of(interpretation, lineage).tokens == 0
