"""Results are found where they are, made for the same config, whole; else the message says how to make them."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from saelib.results import values
from saelib.results.provenance import write_table
from saelib.transfer.experiment import Experiment, open_experiment
from saelib.transfer.tables import check_paired, concatenate, read_results, table_of, tokens_table

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


def test_a_training_table_needs_both_phases(stored: Path) -> None:
    experiment = open_experiment(preset="smoke")
    path = experiment.folder / "training.parquet"
    write_table(table(experiment, "scratch"), path)
    with pytest.raises(FileNotFoundError, match=r"smoke has no training\.parquet with both phases"):
        read_results(experiment, "training")
    write_table(table(experiment, "scratch", "control"), path)
    assert len(read_results(experiment, "training")) == 2


def test_layers_are_whole_numbers_even_where_there_is_no_source() -> None:
    made = table_of([{"source_layer": None, "act_layer": 1, "seed": 0}, {"source_layer": 0, "act_layer": 1, "seed": 0}])
    assert made.dtypes.astype(str).to_dict() == {"source_layer": "Int64", "act_layer": "Int64", "seed": "int64"}
    assert made["source_layer"].tolist() == [pd.NA, 0]


def test_an_evaluation_on_unlike_tokens_is_refused() -> None:
    rows = pd.DataFrame({"eval_sha256": "a", "ce_clean": [1.0, 1.0 + 1e-12], "seed": [0, 1]})
    check_paired(rows)
    with pytest.raises(ValueError, match="1 sets of held-out tokens, clean losses differ by 1 nats"):
        check_paired(rows.assign(ce_clean=rows["ce_clean"] + rows["seed"]))
    with pytest.raises(ValueError, match=r"2 sets of held-out tokens.*delete the run's evaluation/ folder"):
        check_paired(rows.assign(eval_sha256=rows["seed"].astype(str)))


def test_parts_are_joined_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("transfer-2", "scratch-10", "scratch-02"):
        write_table(pd.DataFrame({"part": [name]}), tmp_path / f"{name}.parquet")
    assert concatenate(tmp_path)["part"].tolist() == ["scratch-02", "scratch-10", "transfer-2"]


def test_tokens_to_target_name_those_that_do_not_arrive() -> None:
    arms = ["forward"] * 2 + ["control"] * 2 + ["scratch"] * 2
    tokens = [1000.0, 3000.0, 9000.0, math.inf, 8000.0, 8000.0]
    needed = pd.DataFrame({"direction": "forward", "act_layer": 1, "seed": [0, 1] * 3, "arm": arms})
    needed = needed.assign(tokens_needed=tokens, reached=[math.isfinite(needed) for needed in tokens])
    row = tokens_table(needed).iloc[0]
    assert (row["transfer"], row["control"], row["scratch"]) == ("2 thousand", "1 of 2 arrive", "8 thousand")
    assert (row["direction"], row["layer"]) == ("forward", 1)
