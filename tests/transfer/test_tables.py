"""Results are found where they are, made for the same config, whole; else the message says how to make them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from saelib.results import values
from saelib.results.provenance import write_table
from saelib.transfer.experiment import Experiment, open_experiment
from saelib.transfer.tables import (
    Results,
    check_finite,
    check_paired,
    check_rows,
    concatenate,
    read_results,
    read_training,
    table_of,
)

EVERY_ARM = ("scratch", "forward", "backward", "control", "zero_shot")


@pytest.fixture
def stored(empty_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for runs, and one for stored results."""
    monkeypatch.setattr(values, "RESULTS", tmp_path / "results")
    return tmp_path / "results" / "tiny"


def table(experiment: Experiment, *arms: str) -> pd.DataFrame:
    return pd.DataFrame({"arm": arms, "config_sha256": experiment.config.sha256()})


def test_the_runs_own_table_comes_first(stored: Path) -> None:
    experiment = open_experiment()
    write_table(table(experiment, *EVERY_ARM, "scratch"), experiment.folder / "evaluation.parquet")
    write_table(table(experiment, *EVERY_ARM), stored / "evaluation.parquet")
    assert len(read_results(experiment).evaluation) == 6


def test_an_unfinished_default_run_is_read_from_the_stored_tables(stored: Path) -> None:
    experiment = open_experiment()
    write_table(table(experiment, "scratch"), experiment.folder / "evaluation.parquet")
    write_table(table(experiment, *EVERY_ARM), stored / "evaluation.parquet")
    assert len(read_results(experiment).evaluation) == 5


@pytest.mark.parametrize("changes", [{"l1_coefficient": 0.123}, {"seed": 7}, {"preset": "smoke"}])
def test_stored_tables_never_stand_in_for_another_config(stored: Path, changes: dict[str, Any]) -> None:
    write_table(table(open_experiment(), *EVERY_ARM), stored / "evaluation.parquet")
    with pytest.raises(FileNotFoundError, match=r"mine has no evaluation\.parquet .* `make reproduce .*RUN=mine"):
        read_results(open_experiment(run="mine", **changes))


def test_a_training_table_needs_both_phases(stored: Path) -> None:
    experiment = open_experiment(preset="smoke")
    path = experiment.folder / "training.parquet"
    write_table(table(experiment, "scratch"), path)
    with pytest.raises(FileNotFoundError, match=r"smoke has no training\.parquet with both phases"):
        read_training(experiment)
    for second in (["control"], ["backward_affine"]):
        write_table(table(experiment, "scratch", *second), path)
        assert len(read_training(experiment)) == 2


@pytest.mark.parametrize("lacking", [{"scratch"}, {"zero_shot"}, {"forward", "backward", "control"}])
def test_an_evaluation_needs_all_that_a_run_scores(stored: Path, lacking: set[str]) -> None:
    experiment = open_experiment(preset="smoke")
    path = experiment.folder / "evaluation.parquet"
    write_table(table(experiment, *(arm for arm in EVERY_ARM if arm not in lacking)), path)
    with pytest.raises(FileNotFoundError, match=r"smoke has no evaluation\.parquet with both phases"):
        read_results(experiment)
    write_table(table(experiment, "scratch", "forward_2", "zero_shot"), path)
    assert len(read_results(experiment).evaluation) == 3


SCORED = {"sae_sha256": ["s"] * 5, "act_layer": [0, 1, 2, 0, 0], "mse": [2.0, 4.0, 1 / 3, 2.0, 2.0]}
ROWS = pd.DataFrame({"sae_sha256": "s", "act_layer": [0, 0, 1, 1, 2, 2], "row": [0, 1] * 3,
                     "mse": np.array([1, 3, 8, 0, 1 / 3, 1 / 3], np.float32)})  # fmt: skip


@pytest.mark.parametrize("where", ["run", "stored"])
def test_rows_are_read_from_beside_the_evaluation_and_never_from_elsewhere(stored: Path, where: str) -> None:
    experiment = open_experiment()
    places = {"run": experiment.folder, "stored": stored}
    write_table(table(experiment, *EVERY_ARM).assign(**SCORED), places[where] / "evaluation.parquet")
    beside, elsewhere = places.pop(where), *places.values()
    write_table(ROWS, elsewhere / "evaluation_rows.parquet")
    assert read_results(experiment).rows is None
    write_table(ROWS, beside / "evaluation_rows.parquet")
    rows = read_results(experiment).rows
    assert rows is not None
    pd.testing.assert_frame_equal(rows, ROWS)


@pytest.mark.parametrize(
    "rows",
    [
        ROWS.assign(mse=ROWS["mse"] * np.float32(1.0001)),
        ROWS[ROWS["act_layer"] < 2],
        ROWS[1:],
        ROWS.assign(act_layer=0),
    ],
    ids=["others", "a reading lacks", "a row lacks", "layers mixed"],
)
def test_rows_of_another_evaluation_are_refused(rows: pd.DataFrame) -> None:
    evaluation = pd.DataFrame(SCORED)
    check_rows(Results(evaluation, ROWS))
    with pytest.raises(ValueError, match=r"is not of this evaluation\.parquet.* mse .*delete the run's evaluation/"):
        check_rows(Results(evaluation, rows))


def test_layers_are_whole_numbers_even_where_there_is_no_source() -> None:
    made = table_of([{"source_layer": None, "act_layer": 1, "seed": 0}, {"source_layer": 0, "act_layer": 1, "seed": 0}])
    assert made.dtypes.astype(str).to_dict() == {"source_layer": "Int64", "act_layer": "Int64", "seed": "int64"}
    assert made["source_layer"].tolist() == [pd.NA, 0]


def test_an_evaluation_on_unlike_tokens_is_refused() -> None:
    rows = pd.DataFrame({"eval_sha256": "a", "ce_clean": [1.0, 1.0 + 1e-12], "seed": [0, 1]})
    check_paired(rows)
    with pytest.raises(ValueError, match="other versions or on other machines: clean losses differ by 1 nats; delete"):
        check_paired(rows.assign(ce_clean=rows["ce_clean"] + rows["seed"]))
    with pytest.raises(ValueError, match=r"2 sets of held-out tokens: the text has changed .*; name another run"):
        check_paired(rows.assign(eval_sha256=rows["seed"].astype(str)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_refused_with_their_sae(value: float) -> None:
    keys = {"arm": "forward", "sae_layer": 2, "act_layer": 2, "seed": [0, 1], "tokens": 64}
    scores = pd.DataFrame({**keys, "mse": [1.0, 2.0], "ce_spliced": [3.0, 4.0], "explained_variance": np.nan})
    check_finite(scores)  # a layer that does not vary has no variance to explain
    with pytest.raises(ValueError, match=rf"forward L2 seed 1 at 64 tokens.* has ce_spliced={value} .*'float32'"):
        check_finite(scores.assign(ce_spliced=[3.0, value]))


def test_parts_are_joined_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("transfer-2", "scratch-10", "scratch-02"):
        write_table(pd.DataFrame({"part": [name]}), tmp_path / f"{name}.parquet")
    assert concatenate(tmp_path)["part"].tolist() == ["scratch-02", "scratch-10", "transfer-2"]
