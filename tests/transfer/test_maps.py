"""A phase's maps: one for each start, pair of layers and order of the data, fitted once, from the first tokens."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from saelib.run.files import sha256_of_file
from saelib.run.reading import DamagedFileError
from saelib.sae.mapping import LayerMap, fit_map
from saelib.sae.saved_maps import load_map
from saelib.transfer import maps
from saelib.transfer.experiment import Experiment
from saelib.transfer.maps import check_maps, fit_maps, map_flops, solved
from saelib.transfer.stages import train_phase
from tests.helpers.hold_run import held_by_another
from tests.transfer.conftest import OpenSmall

pytestmark = pytest.mark.usefixtures("empty_runs")


def opened(open_small: OpenSmall, **changes: object) -> Experiment:
    """Two replicates of three layers: four pairs for each start and order of the data."""
    return open_small(**{"run": "maps", "starts": ["copy", "affine", "procrustes"], "map_tokens": 512} | changes)


def test_each_start_pair_and_order_has_one_map_with_its_origin(open_small: OpenSmall) -> None:
    experiment = opened(open_small)
    table = fit_maps(experiment, experiment.plans("transfer"))
    pd.testing.assert_frame_equal(table, pd.read_parquet(experiment.folder / "maps.parquet"))
    keys = ["start", "source_layer", "act_layer", "data_seed"]
    assert set(table[keys].itertuples(index=False, name=None)) == {
        (start, source, target, seed)
        for start in ("affine", "procrustes")
        for source, target in ((0, 1), (1, 0), (1, 2), (2, 1))
        for seed in (0, 1)
    }
    assert len(table) == 16
    assert set(table["tokens"]) == {512}
    assert set(table["config_sha256"]) == {experiment.config.sha256()}
    assert table.query("start == 'affine'")[["ridge", "ridge_back"]].notna().all(axis=None)
    assert table.query("start == 'procrustes'")[["ridge", "ridge_back"]].isna().all(axis=None)
    assert table["r2"].between(0, 1).all()


def test_a_map_is_fitted_on_the_first_rows_of_its_order(open_small: OpenSmall) -> None:
    experiment = opened(open_small)
    fit_maps(experiment, experiment.plans("transfer"))
    rows = experiment.training_rows(1).take(0, 512 // experiment.config.context_length)
    source, target = experiment.model.residual_streams(torch.from_numpy(rows).long(), [2, 1]).flatten(1, 2)
    expected, found = fit_map("affine", source, target), load_map(experiment.folder / "maps" / "affine-L2-L1-data1")
    torch.testing.assert_close(found.matrix, expected.matrix, rtol=1e-3, atol=1e-4)
    assert found.r2 == pytest.approx(expected.r2, abs=1e-4)
    assert found.ridge == expected.ridge
    other = load_map(experiment.folder / "maps" / "affine-L2-L1-data0")
    assert not torch.allclose(found.matrix, other.matrix, rtol=0.05)


def test_a_damaged_map_is_fitted_again_with_a_warning_and_equal_to_the_bit(open_small: OpenSmall) -> None:
    experiment = opened(open_small)
    plans, folder = experiment.plans("transfer"), experiment.folder / "maps"
    fit_maps(experiment, plans)
    before = {path.relative_to(folder): sha256_of_file(path) for path in folder.rglob("*.*")}
    half, cut, gone = (folder / name for name in ("affine-L2-L1-data1", "affine-L0-L1-data0", "procrustes-L1-L2-data1"))
    weights = (half / "map.safetensors").read_bytes()
    (half / "map.safetensors").write_bytes(weights[:400] + bytes(len(weights) - 400))
    (cut / "map.json").write_text('{"tokens"')
    (gone / "map.safetensors").unlink()
    with pytest.warns(UserWarning, match="it is fitted again") as warned:
        fit_maps(experiment, plans)
    assert len([warning for warning in warned if "it is fitted again" in str(warning.message)]) == 3
    assert {path.relative_to(folder): sha256_of_file(path) for path in folder.rglob("*.*")} == before


def test_a_damaged_table_of_maps_names_the_remedy(open_small: OpenSmall) -> None:
    experiment = opened(open_small)
    plans, path = experiment.plans("transfer"), experiment.folder / "maps.parquet"
    table = fit_maps(experiment, plans)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DamagedFileError, match=r"maps\.parquet is no whole parquet file .*; delete it and run again"):
        fit_maps(experiment, plans)
    path.unlink()
    pd.testing.assert_frame_equal(fit_maps(experiment, plans), table)


def test_what_is_there_is_not_fitted_again(open_small: OpenSmall, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = opened(open_small)
    plans = experiment.plans("transfer")
    calls: list[str] = []
    killed = [True]

    def counted(start: str, *activations: torch.Tensor) -> LayerMap:
        calls.append(start)
        if killed[0] and len(calls) > 5:
            raise KeyboardInterrupt
        return fit_map(start, *activations)

    monkeypatch.setattr(maps, "fit_map", counted)
    with pytest.raises(KeyboardInterrupt):
        fit_maps(experiment, plans)
    before = sums(experiment)
    assert len(before) == 5
    assert not (experiment.folder / "maps.parquet").exists()
    killed[0], calls[:] = False, []
    table = fit_maps(experiment, plans)
    assert len(calls) == 11
    assert before.items() <= sums(experiment).items()
    pd.testing.assert_frame_equal(fit_maps(experiment, plans), table)
    assert len(calls) == 11
    at_once = fit_maps(opened(open_small, run="at-once"), plans)
    pd.testing.assert_frame_equal(table.drop(columns="config_sha256"), at_once.drop(columns="config_sha256"))


def sums(experiment: Experiment) -> dict[Path, str]:
    return {path: sha256_of_file(path) for path in (experiment.folder / "maps").glob("*/map.safetensors")}


def test_no_map_depends_on_the_number_of_threads(open_small: OpenSmall) -> None:
    tables = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        experiment = opened(open_small, run=f"threads-{threads}")
        fit_maps(experiment, experiment.plans("transfer"))
        tables.append({path.parent.name: digest for path, digest in sums(experiment).items()})
    assert tables[0] == tables[1]


def test_equations_are_solved_side_by_side_on_a_cpu_alone() -> None:
    here, together = threading.get_ident(), threading.Barrier(2)

    def solve(one: int, wait: bool) -> tuple[int, bool]:
        if wait:
            together.wait(timeout=60)  # passes when two are at work at once
        return one, threading.get_ident() == here

    with ThreadPoolExecutor(2) as pool:
        on_cpu = solved(pool, torch.device("cpu"), solve, [0, 1], [True, True])
        assert list(on_cpu) == [(0, False), (1, False)]
        on_gpu = solved(pool, torch.device("cuda"), solve, [0, 1], [False, False])
        assert list(on_gpu) == [(0, True), (1, True)]


def test_copies_need_no_map(open_small: OpenSmall, empty_runs: Path) -> None:
    experiment = opened(open_small, starts=["copy"], map_tokens=7)
    for phase in ("scratch", "transfer"):
        assert fit_maps(experiment, experiment.plans(phase)).empty
    assert not experiment.folder.exists()


@pytest.mark.parametrize(("map_tokens", "right"), [(100, 128), (7, 64), (1000, 1024)])
def test_too_few_tokens_or_half_rows_are_refused_before_anything_is_written(
    open_small: OpenSmall, map_tokens: int, right: int
) -> None:
    experiment = opened(open_small, map_tokens=map_tokens)
    for refuse in (check_maps, fit_maps):
        with pytest.raises(ValueError, match=f"map_tokens={map_tokens}: .* rows of 64 tokens.* {right} is right"):
            refuse(experiment, experiment.plans("transfer"))
    assert not experiment.folder.exists()


def test_what_maps_need_is_refused_before_the_first_phase(open_small: OpenSmall, tmp_path: Path) -> None:
    """Another number of tokens is another config: scratch SAEs that were trained by then would be lost."""
    there = opened(open_small).corpus.train_tokens
    assert there is not None
    for map_tokens, right in ((100, 128), (10 * there, there)):
        experiment = opened(open_small, map_tokens=map_tokens)
        with pytest.raises(ValueError, match=f"map_tokens={map_tokens}: .* {there} training tokens.* {right} is right"):
            train_phase(experiment, "scratch")
        assert not experiment.folder.exists()


def test_a_text_too_short_for_any_map_is_refused(open_small: OpenSmall, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = opened(open_small)
    short = replace(experiment.corpus, train_tokens=experiment.config.context_length - 1)
    monkeypatch.setattr(experiment, "corpus", short)
    with pytest.raises(ValueError, match=r"has 63 training tokens, .* 64 at least; use a longer text, or starts="):
        check_maps(experiment, experiment.plans("transfer"))


def test_flops_count_the_pass_and_the_covariances(open_small: OpenSmall) -> None:
    experiment = opened(open_small)
    model = experiment.model
    assert (model.d_model, experiment.config.context_length) == (32, 64)
    blocks = 3 * (2 * model.block_weights + 2 * 32 * 64)  # up to layer 2; attention sees half of the row
    covariances = 2 * 64 * 64  # of both layers' dimensions
    assert map_flops(experiment, 1, 2, 512) == map_flops(experiment, 2, 1, 512) == 512 * (blocks + covariances)


def test_a_run_in_other_hands_is_left_alone(open_small: OpenSmall) -> None:
    from saelib.run.lock import RunInUseError

    experiment = opened(open_small)
    with held_by_another(experiment.folder), pytest.raises(RunInUseError):
        fit_maps(experiment, experiment.plans("transfer"))
    assert not (experiment.folder / "maps").exists()
