"""Results are found where they are, made for the same config, whole; else the message says how to make them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from saelib.results.provenance import write_table
from saelib.run import stored as stored_results
from saelib.run.files import write_json
from saelib.run.lock import writing
from saelib.run.reading import DamagedFileError
from saelib.transfer.experiment import Experiment, open_experiment
from saelib.transfer.stages import evaluate_phase, phase_state, train_phase
from saelib.transfer.tables import evaluation_of, read_maps, read_results, read_training

EVERY_ARM = ("scratch", "forward", "backward", "control", "zero_shot")
SCORED = {"sae_sha256": ["s"] * 5, "act_layer": [0, 1, 2, 0, 0], "mse": [2.0, 4.0, 1 / 3, 2.0, 2.0]}
ROWS = pd.DataFrame({"sae_sha256": "s", "act_layer": [0, 0, 1, 1, 2, 2], "row": [0, 1] * 3,
                     "mse": np.array([1, 3, 8, 0, 1 / 3, 1 / 3], np.float32)})  # fmt: skip


@pytest.fixture
def kept(empty_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for runs; and results that the repository keeps of the preset tiny."""
    monkeypatch.setattr(stored_results, "RESULTS", tmp_path / "results")
    folder = tmp_path / "results" / "tiny"
    write_json(folder / "values" / "10_language_model.json", {"config_sha256": open_experiment().config.sha256()})
    return folder


def table(experiment: Experiment, *arms: str) -> pd.DataFrame:
    return pd.DataFrame({"arm": arms, "config_sha256": experiment.config.sha256(), "commit": "c" * 40})


def test_stored_tables_never_stand_in_for_a_run(kept: Path) -> None:
    """Not for one that is not there, nor for one that is not finished."""
    experiment = open_experiment()
    write_table(table(experiment, *EVERY_ARM), kept / "evaluation.parquet")
    for _ in range(2):
        with pytest.raises(FileNotFoundError, match=r"no evaluation\.parquet .*reproduce SEED=0`; or .* `stored=True`"):
            read_results(experiment)
        write_table(table(experiment, "scratch"), experiment.folder / "evaluation.parquet")


def test_stored_tables_are_read_where_they_are_asked_for(kept: Path, empty_runs: Path) -> None:
    stored = open_experiment(stored=True)
    write_table(table(stored, *EVERY_ARM).assign(**SCORED), kept / "evaluation.parquet")
    write_table(ROWS, kept / "evaluation_rows.parquet")
    log = table(stored, "scratch", "forward").assign(phase=["scratch", "transfer"])
    write_table(log, kept / "training.parquet")
    results = read_results(stored)
    assert len(results.evaluation) == 5
    assert results.rows is not None and len(results.rows) == 6
    assert read_training(stored)["arm"].tolist() == ["scratch", "forward"]
    assert train_phase(stored, "transfer")["arm"].tolist() == ["forward"]
    assert read_maps(stored).empty
    assert stored.caveat == "stored results of the repository, made by commit cccccccccccc"
    with pytest.raises(FileNotFoundError, match="holds no SAEs, only numbers; leave out stored=True"):
        stored.sae("scratch", 1)
    assert not empty_runs.exists() or not any(path.is_file() for path in (empty_runs / "tiny").rglob("*"))


def test_scores_of_a_phase_are_those_that_are_stored(kept: Path) -> None:
    stored = open_experiment(stored=True)
    asked = [{"arm": "scratch", "sae_layer": layer, "act_layer": layer, "seed": seed, "tokens": tokens}
             for tokens in stored.config.scratch.checkpoints for layer in stored.layers
             for seed in stored.config.seeds]  # fmt: skip
    others = [{"arm": arm, "sae_layer": 0, "act_layer": 1, "seed": 0, "tokens": 0} for arm in ("forward", "zero_shot")]
    rows = pd.DataFrame([*others, *asked[::-1]])
    write_table(
        rows.assign(config_sha256=stored.config.sha256(), mse=np.arange(len(rows))), kept / "evaluation.parquet"
    )
    scores = evaluate_phase(stored, "scratch")
    assert scores["mse"].tolist() == [*range(len(rows) - 1, 1, -1)]
    assert [*scores] == [*rows, "config_sha256", "mse"]
    assert phase_state(stored, "scratch").startswith("Phase scratch: stored results of ")


@pytest.mark.parametrize("changes", [{"l1_coefficient": 0.123}, {"seed": 7}, {"preset": "smoke"}])
def test_stored_tables_are_those_of_one_config(kept: Path, changes: dict[str, Any]) -> None:
    write_table(table(open_experiment(), *EVERY_ARM), kept / "evaluation.parquet")
    with pytest.raises(FileNotFoundError, match="has no results of this config"):
        open_experiment(stored=True, **changes)
    with pytest.raises(
        FileNotFoundError, match=r"mine has no evaluation\.parquet .* `make reproduce .*RUN=mine"
    ) as error:
        read_results(open_experiment(run="mine", **changes))
    assert "stored=True" not in str(error.value)


def test_a_training_table_needs_both_phases(kept: Path) -> None:
    experiment = open_experiment(preset="smoke")
    path = experiment.folder / "training.parquet"
    write_table(table(experiment, "scratch"), path)
    with pytest.raises(FileNotFoundError, match=r"smoke has no training\.parquet with both phases"):
        read_training(experiment)
    for second in (["control"], ["backward_affine"]):
        write_table(table(experiment, "scratch", *second), path)
        assert len(read_training(experiment)) == 2


@pytest.mark.parametrize("lacking", [{"scratch"}, {"zero_shot"}, {"forward", "backward", "control"}])
def test_an_evaluation_needs_all_that_a_run_scores(kept: Path, lacking: set[str]) -> None:
    experiment = open_experiment(preset="smoke")
    path = experiment.folder / "evaluation.parquet"
    write_table(table(experiment, *(arm for arm in EVERY_ARM if arm not in lacking)), path)
    with pytest.raises(FileNotFoundError, match=r"smoke has no evaluation\.parquet with both phases"):
        read_results(experiment)
    write_table(table(experiment, "scratch", "forward_2", "zero_shot"), path)
    assert len(read_results(experiment).evaluation) == 3


def test_rows_are_read_from_beside_the_evaluation(kept: Path) -> None:
    experiment = open_experiment()
    write_table(table(experiment, *EVERY_ARM).assign(**SCORED), experiment.folder / "evaluation.parquet")
    write_table(ROWS, kept / "evaluation_rows.parquet")
    assert read_results(experiment).rows is None
    write_table(ROWS, experiment.folder / "evaluation_rows.parquet")
    rows = read_results(experiment).rows
    assert rows is not None
    pd.testing.assert_frame_equal(rows, ROWS)


@pytest.mark.parametrize(
    ("name", "read", "lacks"),
    [("evaluation", read_results, "arm"), ("training", read_training, "arm"), ("maps", read_maps, "config_sha256")],
)
def test_a_table_of_another_kind_is_named(kept: Path, name: str, read: Any, lacks: str) -> None:
    experiment = open_experiment()
    write_table(pd.DataFrame({"x": [1]}), experiment.folder / f"{name}.parquet")
    with pytest.raises(DamagedFileError, match=rf"tiny/{name}\.parquet is another table: it has no column {lacks}"):
        read(experiment)


def test_stored_tables_that_are_cut_are_named_and_nothing_is_written_beside_them(kept: Path) -> None:
    path = kept / "evaluation.parquet"
    write_table(table(open_experiment(), *EVERY_ARM).assign(**SCORED), path)
    before = sorted(kept.parent.rglob("*"))
    with pytest.raises(PermissionError, match="leave out stored=True"), writing(open_experiment(stored=True)):
        pass
    assert sorted(kept.parent.rglob("*")) == before
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DamagedFileError, match=rf"{path} is no whole parquet file .*`git restore results`"):
        open_experiment(stored=True)


def test_maps_without_a_table_are_no_run_without_maps(kept: Path) -> None:
    experiment = open_experiment()
    assert read_maps(experiment).empty
    (experiment.folder / "maps" / "affine-L0-L1-data0").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"has no maps\.parquet of its maps; make it with"):
        read_maps(experiment)


def test_what_a_folder_has_of_scores_is_read_whatever_its_run(kept: Path, tmp_path: Path) -> None:
    assert evaluation_of(tmp_path) is None
    write_table(pd.DataFrame({"arm": ["scratch"], "config_sha256": "c"}), tmp_path / "evaluation.parquet")
    assert evaluation_of(tmp_path)["arm"].tolist() == ["scratch"]  # type: ignore[index]
