"""Values come back as they were recorded, for the same config; else the message says how to make them."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from saelib.results.figures import figure, new_figure, save_figure
from saelib.results.provenance import write_table
from saelib.results.tables import write_tables
from saelib.results.values import missing, read_values, record_values
from saelib.run import stored
from saelib.run.config import RunConfig
from saelib.run.files import write_json
from saelib.run.lock import RunInUseError
from saelib.run.pinned import PinnedRun
from saelib.run.reading import DamagedFileError, read_json
from tests.helpers.hold_run import held_by_another
from tests.helpers.small_run import SmallRun
from tests.helpers.small_world import files_below


@figure("line", "A line")
def draw_line() -> Figure:
    drawn, panels = new_figure(3, 2)
    panels[0][0].plot([1, 2])
    return drawn


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
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the repository keeps of the preset tiny: values of one notebook, and a table that says by which commit."""
    monkeypatch.setattr(stored, "RESULTS", tmp_path / "results")
    folder = tmp_path / "results" / "tiny"
    sha256 = SmallRun(tmp_path / "runs" / "tiny").config.sha256()
    write_json(folder / "values" / "13_convergence.json", {"config_sha256": sha256, "values": {"x": 1}})
    write_table(pd.DataFrame({"commit": ["c" * 40] * 2}), folder / "htest.parquet")
    return folder


@pytest.mark.parametrize(
    ("changes", "same"),
    [({}, True), ({"run": "other"}, True), ({"seed": 1}, False), ({"preset": "smoke"}, False)],
)  # fmt: skip
def test_stored_values_stand_in_for_nothing_and_are_named_where_they_are_of_the_same_config(
    kept: Path, tmp_path: Path, changes: dict[str, Any], same: bool
) -> None:
    with pytest.raises(FileNotFoundError, match="make it with `make reproduce") as absent:
        read_values(SmallRun(tmp_path / "runs" / "tiny", **changes), "13_convergence")
    assert ("; or see what the repository keeps of this config with `stored=True`" in str(absent.value)) is same


def test_stored_values_are_read_where_they_are_asked_for_and_say_whose_they_are(
    kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = PinnedRun(RunConfig(preset="tiny", run="any", seed=0, stored=True))
    run.check()
    run.introduce()
    said = "stored results of the repository, made by commit cccccccccccc"
    assert run.caveat == said
    assert capsys.readouterr().out == f"{kept}: {said}; nothing is computed.\n"
    assert read_values(run, "13_convergence") == {"x": 1}
    with pytest.raises(FileNotFoundError, match=r"tiny, the stored results of the repository, has no values/90_report"):
        read_values(run, "90_report")


@pytest.mark.parametrize("changes", [{"seed": 1}, {"preset": "smoke"}])
def test_stored_results_of_another_config_are_refused(kept: Path, changes: dict[str, Any]) -> None:
    run = PinnedRun(RunConfig(preset="tiny", run="any", seed=0, stored=True).replace(**changes))
    with pytest.raises(FileNotFoundError, match=r"no results of this config; the repository keeps those of .* tiny as"):
        run.check()


def test_stored_results_are_never_written_to(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path / "runs"))
    run = PinnedRun(RunConfig(preset="tiny", run="any", seed=0, stored=True))
    before = files_below(tmp_path)
    record_values(run, "13_convergence", {"x": 2})
    assert write_tables(run, "a", pd.DataFrame({"x": [1]})) == []
    shown = save_figure(run, draw_line())
    assert shown.alt == f"A line; {run.caveat}"
    assert files_below(tmp_path) == before
    with pytest.raises(PermissionError, match="tiny holds the stored results of the repository.*leave out stored=True"):
        run.claim()


def test_asking_for_stored_results_makes_no_other_run() -> None:
    config = RunConfig(preset="tiny", run="any", seed=0)
    assert config.replace(stored=True).sha256() == config.sha256()
    assert config.replace(stored=True).as_dict() == config.as_dict()


@pytest.mark.parametrize("content", ["[]", "{}", '{"config_sha256": 1, "values": 2}', "nope", "\xff"])
def test_a_file_without_recorded_values_is_refused_by_name(run: SmallRun, content: str) -> None:
    path = run.folder / "values" / "13_convergence.json"
    path.parent.mkdir(parents=True)
    path.write_text(content, encoding="latin-1")
    with pytest.raises(DamagedFileError, match=r"13_convergence\.json is not .*delete it and run again"):
        read_values(run, "13_convergence")


def test_what_is_recorded_is_json_that_everybody_reads(run: SmallRun) -> None:
    record_values(run, "13_convergence", {"nan": np.array([math.nan, -math.inf]), "count": np.int64(2)})
    text = (run.folder / "values" / "13_convergence.json").read_text()

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    assert json.loads(text, parse_constant=refuse)["values"] == {"nan": [None, None], "count": 2}


@pytest.mark.parametrize("name", ["../evil", "a/b", "..", ""])
def test_values_that_would_be_kept_elsewhere_are_refused(run: SmallRun, name: str) -> None:
    for call in (lambda: record_values(run, name, {}), lambda: read_values(run, name)):
        with pytest.raises(ValueError, match="^notebook=.*: use letters, digits"):
            call()
    assert not run.folder.exists()
