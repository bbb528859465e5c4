"""Values come back as they were recorded, for the same config; else the message says how to make them."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saelib.results import values
from saelib.results.values import missing, places, read_values, record_values
from saelib.run.files import read_json, write_json
from saelib.run.lock import RunInUseError
from tests.helpers.hold_run import held_by_another
from tests.helpers.small_run import SmallRun


@pytest.fixture
def run(tmp_path: Path) -> SmallRun:
    return SmallRun(tmp_path / "runs" / "mine", preset="smoke")


def test_values_come_back_as_they_were_recorded(run: SmallRun) -> None:
    given = {"mean": np.float64(0.5), "matrix": np.eye(2), "never": math.inf, "by_arm": {1: np.int64(3)}, "none": None}
    record_values(run, "13_convergence", given)
    wanted = {"mean": 0.5, "matrix": [[1, 0], [0, 1]], "never": None, "by_arm": {"1": 3}, "none": None}
    assert read_values(run, "13_convergence") == wanted
    written = run.folder / "values" / "13_convergence.json"
    assert read_json(written) == {"config_sha256": run.config.sha256(), "inputs": {}, "values": wanted}


def test_values_made_from_another_content_than_the_run_are_not_read(run: SmallRun) -> None:
    run.inputs["corpus"] = "1" * 64
    record_values(run, "13_convergence", {"x": 1})
    assert read_values(run, "13_convergence") == {"x": 1}
    run.inputs["corpus"] = "2" * 64
    with pytest.raises(FileExistsError, match=r"convergence\.json was made from another content \(corpus was 2222"):
        read_values(run, "13_convergence")


def test_recording_claims_the_folder(run: SmallRun) -> None:
    record_values(run, "13_convergence", {})
    assert read_json(run.folder / "config.json") == run.config.as_dict() | {"inputs": {}}
    with pytest.raises(FileExistsError, match="seed was 0, is 1"):
        record_values(SmallRun(run.folder, preset="smoke", seed=1), "13_convergence", {"x": 1})
    assert read_values(run, "13_convergence") == {}


def test_nothing_is_recorded_beside_another_process(run: SmallRun) -> None:
    with held_by_another(run.folder) as other:
        with pytest.raises(RunInUseError, match=f"process {other.pid}"):
            record_values(run, "13_convergence", {"x": 1})
        assert not run.folder.exists()


def test_what_is_missing_is_named_with_the_command_that_makes_it(run: SmallRun) -> None:
    record_values(run, "13_convergence", {"x": 1})
    with pytest.raises(FileNotFoundError) as absent:
        read_values(run, "10_language_model")
    command = "`make reproduce PRESET=smoke RUN=mine SEED=0`"
    assert str(absent.value) == f"{run.folder} has no values/10_language_model.json; make it with {command}"
    assert "has no table" in str(missing(run, "table"))


def test_values_of_another_config_are_no_values(run: SmallRun) -> None:
    record_values(run, "13_convergence", {"x": 1})
    with pytest.raises(FileNotFoundError, match="13_convergence"):
        read_values(SmallRun(run.folder, preset="smoke", seed=1), "13_convergence")


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for stored results."""
    monkeypatch.setattr(values, "RESULTS", tmp_path / "results")
    return tmp_path / "results" / "tiny"


@pytest.mark.parametrize(
    ("changes", "found"),
    [({}, True), ({"run": "other"}, True), ({"seed": 1}, False), ({"preset": "smoke"}, False)],
)  # fmt: skip
def test_stored_values_stand_in_for_the_default_config_alone(
    stored: Path, tmp_path: Path, changes: dict[str, Any], found: bool
) -> None:
    sha256 = SmallRun(tmp_path / "runs" / "tiny").config.sha256()
    write_json(stored / "values" / "13_convergence.json", {"config_sha256": sha256, "values": {"x": 1}})
    run = SmallRun(tmp_path / "runs" / "tiny", **changes)
    if found:
        assert read_values(run, "13_convergence") == {"x": 1}
    else:
        with pytest.raises(FileNotFoundError):
            read_values(run, "13_convergence")


def test_the_runs_own_values_come_first(stored: Path, tmp_path: Path) -> None:
    run = SmallRun(tmp_path / "runs" / "tiny")
    record_values(run, "13_convergence", {"x": 1})
    write_json(stored / "values" / "13_convergence.json", {"config_sha256": run.config.sha256(), "values": {"x": 2}})
    assert read_values(run, "13_convergence") == {"x": 1}
    assert places(run, "a.parquet") == [run.folder / "a.parquet", stored / "a.parquet"]


def test_what_is_recorded_is_json_that_everybody_reads(run: SmallRun) -> None:
    record_values(run, "13_convergence", {"nan": np.array([math.nan, -math.inf]), "count": np.int64(2)})
    text = (run.folder / "values" / "13_convergence.json").read_text()

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    assert json.loads(text, parse_constant=refuse)["values"] == {"nan": [None, None], "count": 2}
