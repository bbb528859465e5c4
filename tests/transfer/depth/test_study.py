"""The study as a stage: what it scores, that this is what a plain computation gives, and how it is gone on with."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from saelib.run.reading import DamagedFileError, read_json_object
from saelib.sae.evaluation import evaluate
from saelib.sae.folder import load_sae
from saelib.sae.mapping import fit_map, map_sae
from saelib.sae.saved_maps import load_map
from saelib.sae.training.divergence import note_divergence
from saelib.transfer.checks import Results
from saelib.transfer.depth import plans, study
from saelib.transfer.depth.scores import row_variances, score_part
from saelib.transfer.depth.study import depth_state, mapped_sae, run_depth
from saelib.transfer.depth.tables import read_depth, read_depth_maps
from saelib.transfer.experiment import Experiment
from saelib.transfer.stages import evaluate_phase, train_phase
from tests.transfer.conftest import OpenSmall
from tests.transfer.depth.conftest import ASKED

METRICS = ["ce_score", "explained_variance", "mse", "l0", "l1", "dead_latents", "loss"]


def test_every_arm_layer_budget_and_replicate_is_scored_once(deep: Experiment, scores: Results) -> None:
    keys = ["arm", "act_layer", "budget", "seed", "l1_multiple"]
    table = scores.evaluation
    wanted = {
        (arm, layer, budget, seed, multiple)
        for budget in (1024, 2048)
        for seed in (0, 1)
        for arm, layers, multiples in (("copy", (0, 1, 2), (1,)), ("affine", (0, 1, 2), (1,)), ("tuned", (2,), (1,)),
                                       ("group", (0, 1), (1,)), ("scratch", (0, 1, 2), (0.5, 1, 2)))
        for layer in layers
        for multiple in multiples
    }  # fmt: skip
    assert set(table[keys].itertuples(index=False, name=None)) == wanted
    assert len(table) == len(wanted)
    assert (table["distance"] == table["act_layer"]).all()  # the source is layer 0
    assert set(table["config_sha256"]) == {deep.config.sha256()}
    assert table[METRICS].notna().all(axis=None)


def test_at_distance_0_a_copy_is_the_scratch_sae_with_the_scores_of_the_run_s_own_evaluation(
    deep: Experiment, scores: Results
) -> None:
    own = evaluate_phase(deep, "scratch").query("act_layer == 0 and tokens > 0").set_index(["tokens", "seed"])
    here = scores.evaluation.query("act_layer == 0 and l1_multiple == 1").set_index(["budget", "seed"])
    for arm in ("copy", "scratch"):
        pd.testing.assert_frame_equal(
            here[here["arm"] == arm].sort_index()[METRICS], own.sort_index()[METRICS], check_names=False, rtol=1e-9
        )
    assert (here[here["arm"] == "copy"]["sae_sha256"].sort_index() == own["sae_sha256"].sort_index()).all()


def test_a_map_to_the_own_layer_is_the_identity(deep: Experiment, scores: Results) -> None:
    """But for directions in which the stream does not vary: the model's streams are centred."""
    identity = load_map(deep.folder / "depth_maps" / "affine-L0-L0-data1")
    centred = torch.eye(32) - 1 / 32
    torch.testing.assert_close(identity.matrix, centred, atol=1e-4, rtol=0)
    torch.testing.assert_close(identity.back_matrix, centred, atol=1e-4, rtol=0)
    assert identity.r2 == pytest.approx(1, abs=1e-6)
    here = scores.evaluation.query("act_layer == 0 and l1_multiple == 1").set_index(["budget", "seed"])
    affine, copy = (here[here["arm"] == arm].sort_index() for arm in ("affine", "copy"))
    np.testing.assert_allclose(affine["ce_spliced"], copy["ce_spliced"], atol=1e-4)
    np.testing.assert_allclose(affine["l0"], copy["l0"], atol=0.05)


@pytest.mark.parametrize(("layer", "seed", "budget"), [(1, 0, 1024), (2, 1, 2048)])
def test_a_mapped_sae_is_scored_as_by_a_map_fitted_on_whole_streams(
    deep: Experiment, scores: Results, layer: int, seed: int, budget: int
) -> None:
    rows = deep.training_rows(seed).take(0, 512 // 64)
    source, target = deep.model.residual_streams(torch.from_numpy(rows).long(), [0, layer]).flatten(1, 2)
    sae = load_sae(deep.folder / "saes" / "scratch" / "L0" / f"seed{seed}" / str(budget))
    mapped = map_sae(sae, fit_map("affine", source, target))
    (plain,) = evaluate([(mapped, layer)], deep.model, deep.corpus.held_out, 8)
    (row,) = scores.evaluation.query(
        "arm == 'affine' and act_layer == @layer and seed == @seed and budget == @budget"
    ).to_dict("records")
    for name, value in plain.metrics().items():
        assert row[name] == pytest.approx(value, rel=2e-3, abs=2e-4), name
    assert row["loss"] == pytest.approx(row["mse"] + deep.config.l1_coefficient * row["l1"])
    kept = mapped_sae(deep, layer, seed, budget)
    torch.testing.assert_close(kept.W_dec, mapped.W_dec, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(kept.b_enc, mapped.b_enc, rtol=1e-3, atol=1e-3)


def test_a_short_training_begins_at_the_mapped_sae_with_the_tokens_that_were_asked_for(deep: Experiment) -> None:
    folder = deep.folder / "saes" / "depth_tuned_2048" / "L2" / "seed1"
    assert sorted(path.name for path in folder.iterdir()) == ["0", "1024"]
    start, mapped = load_sae(folder / "0"), mapped_sae(deep, 2, 1)
    for name, weights in start.named_parameters():
        assert torch.equal(weights, dict(mapped.named_parameters())[name]), name
    lineage = read_json_object(folder / "1024" / "lineage.json")
    assert (lineage["source_layer"], lineage["source_tokens"], lineage["tokens"]) == (0, 2048, 1024)
    assert not torch.equal(load_sae(folder / "1024").W_dec, start.W_dec)


def test_scratch_saes_of_the_run_are_not_trained_again(deep: Experiment) -> None:
    saes = deep.folder / "saes"
    assert sorted(path.name for path in (saes / "depth_scratch_1").iterdir()) == ["L2"]
    assert sorted(path.name for path in (saes / "depth_scratch_0.5").iterdir()) == ["L0", "L1", "L2"]
    lambdas = {
        multiple: read_json_object(saes / f"depth_scratch_{multiple}" / "L2" / "seed0" / "2048" / "lineage.json")
        for multiple in ("0.5", "1", "2")
    }
    assert [lineage["l1_coefficient"] for lineage in lambdas.values()] == [0.5, 1.0, 2.0]


def test_scratch_saes_that_end_before_the_run_s_are_equal_to_these_at_equal_tokens(
    open_small: OpenSmall, empty_runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit, though λ grows over half of the shorter training."""
    short = ASKED | {"depth_budgets": [1024], "depth_l1_multiples": [1.0], "depth_fine_tuning": None,
                     "depth_group": None, "l1_warm_up_share": 0.25, "sae_seeds": 1}  # fmt: skip
    experiment = open_small(run="short", **short)
    train_phase(experiment, "scratch")
    monkeypatch.setattr(plans, "_is_own", lambda *_: False)
    run_depth(experiment)
    folders = [experiment.folder / "saes" / arm / "L1" / "seed0" for arm in ("depth_scratch_1", "scratch")]
    again, own = (load_sae(folder / "1024") for folder in folders)
    for name, weights in own.named_parameters():
        assert torch.equal(weights, dict(again.named_parameters())[name]), name
    assert sorted(path.name for path in folders[0].iterdir()) == ["0", "1024"]


def test_the_fits_of_all_maps_are_a_table(deep: Experiment) -> None:
    table = read_depth_maps(deep)
    assert set(table[["source_layer", "act_layer", "data_seed"]].itertuples(index=False, name=None)) == {
        (0, layer, seed) for layer in range(3) for seed in range(2)
    }
    assert set(table["tokens"]) == {512}
    assert table.groupby("act_layer")["r2"].mean().is_monotonic_decreasing


def test_a_study_that_is_finished_is_read_back(deep: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("computed again")

    for name in ("score_part", "fit_depth_maps", "train_passes"):
        monkeypatch.setattr(study, name, never)
    again, stored = run_depth(deep), read_depth(deep)
    pd.testing.assert_frame_equal(again.evaluation, stored.evaluation)
    assert (deep.folder / "depth.parquet").is_file() and (deep.folder / "depth_rows.parquet").is_file()
    assert depth_state(deep).endswith("found, finished.")


def test_joined_tables_alone_are_enough_as_in_stored_results(
    deep: Experiment, open_small: OpenSmall, empty_runs: Path
) -> None:
    empty_runs.joinpath("deep").mkdir(parents=True)
    for name in ("config.json", "depth.parquet", "depth_rows.parquet", "depth_maps.parquet"):
        shutil.copy(deep.folder / name, empty_runs / "deep" / name)
    alone, whole = open_small(run="deep", **ASKED), read_depth(deep)
    pd.testing.assert_frame_equal(read_depth(alone).evaluation, whole.evaluation)
    assert read_depth(alone).rows is not None
    pd.testing.assert_frame_equal(read_depth_maps(alone), read_depth_maps(deep))


def test_tables_of_another_config_are_not_read(deep: Experiment, open_small: OpenSmall, empty_runs: Path) -> None:
    empty_runs.joinpath("other").mkdir(parents=True)
    for name in ("depth.parquet", "depth_rows.parquet", "depth_maps.parquet"):
        shutil.copy(deep.folder / name, empty_runs / "other" / name)
    other = open_small(run="other", **ASKED | {"seed": 1})
    for read, name in ((read_depth, "depth.parquet"), (read_depth_maps, "depth_maps.parquet")):
        with pytest.raises(FileNotFoundError, match=f"has no {name} of this config"):
            read(other)


def test_variances_are_those_of_whole_streams_and_of_the_scores(deep: Experiment, scores: Results) -> None:
    tokens = torch.from_numpy(deep.corpus.held_out).long()
    streams = deep.model.residual_streams(tokens, [0, 1, 2]).double()
    wanted = (streams - streams.mean((1, 2), keepdim=True)).square().sum(-1).mean(-1)
    found = row_variances(deep, [0, 1, 2])
    np.testing.assert_allclose([found[layer] for layer in range(3)], wanted, rtol=1e-9)
    table = scores.evaluation
    np.testing.assert_allclose(table["variance"], table["mse"] / (1 - table["explained_variance"]), rtol=1e-5)
    assert scores.rows is not None
    np.testing.assert_allclose(scores.rows["variance"], wanted[scores.rows["act_layer"], scores.rows["row"]], rtol=1e-6)


def test_an_sae_that_changed_between_two_calls_is_refused(open_small: OpenSmall, empty_runs: Path) -> None:
    experiment = open_small(run="changed", **ASKED | {"depth_fine_tuning": None, "depth_group": None, "sae_seeds": 1})
    train_phase(experiment, "scratch")
    run_depth(experiment)
    for name in ("depth", "depth_rows"):
        (experiment.folder / name / "layers-002-002.parquet").unlink()
    one, other = (experiment.folder / "depth_maps" / f"affine-L0-L{layer}-data0" for layer in (0, 1))
    for path in other.iterdir():
        shutil.copy(path, one / path.name)
    with pytest.raises(ValueError, match=r"layers-000-001.* has no score of .*affine-L0-L0-data0 as it is now"):
        run_depth(experiment)


class Killed(BaseException):
    """What no part of the library catches."""


def test_an_interrupted_study_goes_on_with_the_part_that_is_missing(
    open_small: OpenSmall, scores: Results, empty_runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "LAYERS_PER_PART", 1)
    experiment, made = open_small(run="deep", **ASKED), score_part
    train_phase(experiment, "scratch")
    seen: list[int] = []

    def killed(experiment: Experiment, asked: Sequence[plans.DepthSae], *others: Any) -> Results:
        seen.append(asked[0].act_layer)
        if len(seen) == 2:
            raise Killed
        return made(experiment, asked, *others)

    monkeypatch.setattr(study, "score_part", killed)
    with pytest.raises(Killed):
        run_depth(experiment)
    assert "2 of 3 parts are made now" in depth_state(experiment)
    with pytest.raises(FileNotFoundError, match="layers-001-001"):
        read_depth(experiment)
    table = run_depth(experiment).evaluation
    assert seen == [0, 1, 1, 2]
    assert sorted(path.stem for path in (experiment.folder / "depth").glob("*.parquet")) == [
        "layers-000-000", "layers-001-001", "layers-002-002",
    ]  # fmt: skip
    columns = [name for name in scores.evaluation if name not in ("commit", "inputs")]
    pd.testing.assert_frame_equal(table[columns], scores.evaluation[columns], rtol=1e-6)


def test_a_part_of_other_saes_is_refused(deep: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    others = {part: asked[::-1] for part, asked in plans.asked_by_part(deep).items()}
    monkeypatch.setattr(study, "asked_by_part", lambda _: others)
    with pytest.raises(DamagedFileError, match=r"layers-000-001\.parquet holds rows of other SAEs"):
        run_depth(deep)


def test_what_diverged_has_no_scores_and_the_others_do(open_small: OpenSmall, empty_runs: Path) -> None:
    experiment = open_small(run="lost", **ASKED | {"depth_fine_tuning": None, "depth_group": None})
    train_phase(experiment, "scratch")
    note_divergence(experiment.folder / "saes" / "scratch" / "L0" / "seed1", {}, 6, 2048)
    table = run_depth(experiment).evaluation
    lost = table[table["diverged_at_step"].notna()]
    assert set(lost["budget"]) == {2048} and set(lost["seed"]) == {1}
    assert set(lost["arm"]) == {"copy", "affine", "scratch"}
    assert lost[METRICS].isna().all(axis=None)
    assert table[table["diverged_at_step"].isna()][METRICS].notna().all(axis=None)


def test_fewer_held_out_rows_are_spread_over_all(open_small: OpenSmall, empty_runs: Path) -> None:
    few = ASKED | {"depth_fine_tuning": None, "depth_group": None, "depth_scratch_layers": None, "depth_rows": 3,
                   "depth_l1_multiples": [1.0]}  # fmt: skip
    experiment = open_small(run="few", **few)
    train_phase(experiment, "scratch")
    results = run_depth(experiment)
    assert set(results.evaluation["eval_tokens"]) == {3 * 64}
    assert results.rows is not None and set(results.rows["row"]) == {0, 1, 2}
    whole = evaluate_phase(experiment, "scratch")
    rows = pd.read_parquet(experiment.folder / "evaluation_rows.parquet").query("act_layer == 0 and row in (0, 3, 7)")
    sae = whole.query("act_layer == 0 and tokens == 2048 and seed == 0")["sae_sha256"].iloc[0]
    expected = rows[rows["sae_sha256"] == sae]["mse"].mean()
    found = results.evaluation.query("arm == 'copy' and act_layer == 0 and budget == 2048 and seed == 0")["mse"].iloc[0]
    assert found == pytest.approx(expected, rel=1e-5)


def test_without_a_source_there_is_no_study(open_small: OpenSmall, empty_runs: Path) -> None:
    experiment = open_small(run="none")
    assert "asks for no study of distance" in depth_state(experiment)
    with pytest.raises(ValueError, match="depth_source=None: name the layer"):
        run_depth(experiment)
    assert not experiment.folder.exists()


def test_untrained_scratch_saes_are_missed_before_anything_is_written(open_small: OpenSmall, empty_runs: Path) -> None:
    experiment = open_small(run="early", **ASKED)
    with pytest.raises(FileNotFoundError, match=r"scratch.*train_phase"):
        run_depth(experiment)
    assert not experiment.folder.exists()


def test_mapped_saes_are_of_the_study_s_layers_replicates_and_budgets(deep: Experiment) -> None:
    for wrong, message in (
        ((3,), "layer=3"),
        ((1, 7), "seed=7"),
        ((1, 0, 512), "tokens=512: this run has tokens 1024"),
    ):
        with pytest.raises(ValueError, match=message):
            mapped_sae(deep, *wrong)
