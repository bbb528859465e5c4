"""Results are found where they are, made for the same config, whole; else the message says how to make them."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from saelib.results import values as results
from saelib.results.provenance import write_table
from saelib.results.values import choice_of_lambda, phase_state, read_results, read_values, record_values
from saelib.run.files import read_json
from saelib.transfer.experiment import Experiment, open_experiment


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for runs, and one for stored results."""
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    return tmp_path / "results" / "tiny"


def table(experiment: Experiment, *arms: str) -> pd.DataFrame:
    return pd.DataFrame({"arm": arms, "config_sha256": experiment.config.sha256()})


EVERY_ARM = ("scratch", "forward", "backward", "control", "zero_shot")


def test_the_runs_own_table_comes_first(stored: Path) -> None:
    experiment = open_experiment()
    write_table(table(experiment, *EVERY_ARM, "scratch"), experiment.folder / "evaluation.parquet")
    write_table(table(experiment, *EVERY_ARM), stored / "evaluation.parquet")
    assert len(read_results(experiment)) == 6


def test_an_unfinished_default_run_is_read_from_the_stored_tables(stored: Path) -> None:
    experiment = open_experiment()
    write_table(table(experiment, "scratch"), experiment.folder / "evaluation.parquet")
    write_table(table(experiment, *EVERY_ARM), stored / "evaluation.parquet")
    assert len(read_results(experiment)) == 5


@pytest.mark.parametrize("changes", [{"l1_coefficient": 0.123}, {"seed": 7}, {"preset": "smoke"}])
def test_stored_tables_never_stand_in_for_another_config(stored: Path, changes: dict[str, Any]) -> None:
    write_table(table(open_experiment(), *EVERY_ARM), stored / "evaluation.parquet")
    with pytest.raises(FileNotFoundError, match=r"mine has no evaluation\.parquet .* `make reproduce .*RUN=mine"):
        read_results(open_experiment(run="mine", **changes))


def test_values_come_back_as_they_were_recorded(stored: Path) -> None:
    experiment = open_experiment(preset="smoke")
    values = {"mean": np.float64(0.5), "matrix": np.eye(2), "never": math.inf, "by_arm": {1: np.int64(3)}, "none": None}
    record_values(experiment, "04_convergence", values)
    wanted = {"mean": 0.5, "matrix": [[1, 0], [0, 1]], "never": None, "by_arm": {"1": 3}, "none": None}
    assert read_values(experiment, "04_convergence") == wanted
    assert (
        read_json(experiment.folder / "values" / "04_convergence.json")["config_sha256"] == experiment.config.sha256()
    )
    with pytest.raises(FileNotFoundError, match="01_language_model"):
        read_values(experiment, "01_language_model")


def test_the_trials_of_lambda_may_be_missing(stored: Path) -> None:
    assert choice_of_lambda().empty
    stored.parent.mkdir()
    (stored.parent / "choice_of_lambda.csv").write_text("l1_coefficient,l0\n1.0,80\n")
    assert choice_of_lambda()["l0"].tolist() == [80]


def test_the_state_of_a_phase(stored: Path, random_model_folder: Path) -> None:
    experiment = open_experiment(preset="smoke", language_model=str(random_model_folder))
    assert phase_state(experiment, "scratch") == "Phase scratch: 6 SAEs of 8,192 tokens each are trained now."
    write_table(table(experiment, "scratch"), experiment.folder / "training" / "scratch.parquet")
    assert phase_state(experiment, "scratch").endswith("found 6 SAEs of 8,192 tokens each, finished.")
