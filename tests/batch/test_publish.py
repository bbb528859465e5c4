"""What README shows is kept from a finished run, whole or not at all."""

import shutil
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from saelib.batch import publish as publishing
from saelib.batch.first_page import SHOWN_CONTROLS
from saelib.batch.notebooks import NOTEBOOKS
from saelib.batch.publish import NEEDED, publish, shown_figures
from saelib.htest.items.official import OFFICIAL_SET
from saelib.htest.scoring.main_table import HEADINGS
from saelib.htest.study import open_study
from saelib.interpret.interpretation import open_interpretation
from saelib.results.parted import PartedTable
from saelib.results.provenance import write_table
from saelib.results.values import read_values, record_values
from saelib.run.config import Run
from saelib.transfer.experiment import PHASES, Experiment, open_experiment
from saelib.transfer.parts import ZERO_SHOT, EvaluationParts, part_of
from saelib.transfer.tables import read_results
from tests.batch.test_experiments import values
from tests.helpers.kept import keep_scores
from tests.helpers.made_runs import made_results

ESTIMATES = {value: {"mean": 0.5, "low": 0.4, "high": 0.6} for value in HEADINGS}
LINES = [{"model": name, "form": "completion", "k": 50, "item_set": OFFICIAL_SET, "readers": ["paper", "likelier"],
          "items": 2000, **ESTIMATES} for name in ("embedded", *SHOWN_CONTROLS)]  # fmt: skip
SMALL = values()
VALUES: dict[str, dict[str, Any]] = {
    **SMALL,
    "10_language_model": SMALL["10_language_model"] | {"parameters": 1000},
    "30_htest_items": {"items_sha256": {OFFICIAL_SET: "0" * 64}},
    "31_htest_accuracy": {"models": ["embedded"], "main": LINES},
    "34_htest_fine_tuning": SMALL["34_htest_fine_tuning"] | {"tuned": [LINES[0] | {"model": "tuned:embedded"}]},
}


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    """A run of the preset "smoke" with everything that is published; its numbers are made up."""
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(publishing, "read_scores", lambda _: None)  # of replies, of which there are none
    experiment, study = open_experiment(preset="smoke"), open_study(preset="smoke")
    runs: dict[str, Run] = {"transfer": experiment, "interpret": open_interpretation(preset="smoke"), "htest": study}
    made = made_results(["forward", "backward"], layers=2, replicates=2, rows=4)
    evaluation = made.evaluation.assign(config_sha256=experiment.config.sha256())
    assert made.rows is not None
    for name in ("evaluation", "training", "maps", "depth"):
        write_table(evaluation, experiment.folder / f"{name}.parquet")
    asked = keep_scores(experiment.folder, ["embedded"])
    write_table(made.rows, experiment.folder / "evaluation_rows.parquet")
    for notebook in NOTEBOOKS:
        values = VALUES.get(notebook.name, {})
        if notebook.name == "31_htest_accuracy":
            values = asked | values
        record_values(runs[notebook.configs[0]], notebook.name, values)
    for name in ("likeness", "features", "contexts"):
        table = PartedTable(experiment.folder / "interpret" / name)
        for part in ("one", "two"):
            table.write(part, pd.DataFrame({"value": [1.0]}))
            table.join(table.parts, table.together())
    for place in ("tables/a.md", "figures/a.png", "figures/a.svg", "figures/of_an_older_notebook.png",
                  "resume_points/large.safetensors", "interpret/dashboard.html"):  # fmt: skip
        (experiment.folder / place).parent.mkdir(exist_ok=True)
        (experiment.folder / place).write_text("x")
    execute(experiment.folder, "20_features", "a")
    return experiment


def execute(run: Path, name: str, *figures: str) -> None:
    """Put an executed notebook where a batch run leaves it, in which these figures are shown."""
    outputs = [new_output("display_data", {"image/png": ""}, metadata={"image/png": {"name": figure, "alt": ""}})
               for figure in figures]  # fmt: skip
    path = run / "notebooks" / f"{name}.ipynb"
    path.parent.mkdir(exist_ok=True)
    nbformat.write(new_notebook(cells=[new_code_cell("", outputs=outputs)]), path)


def test_small_files_are_kept_and_large_ones_are_not(
    finished: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = tmp_path / "results" / "smoke"
    results.mkdir(parents=True)
    (results / "of_an_older_run.md").write_text("x")
    assert publish("smoke", results=results.parent) == results
    kept = {path.relative_to(results).as_posix() for path in results.rglob("*") if path.is_file()}
    assert kept == {
        *NEEDED, "depth.parquet", "savings.csv", "transfer.md", "htest.md", "tables/a.md",
        "figures/a.png", "interpret/config.json", "interpret/likeness.parquet",
        *(f"values/{notebook.name}.json" for notebook in NOTEBOOKS),
    }  # fmt: skip
    pd.testing.assert_frame_equal(
        pd.read_parquet(results / "evaluation.parquet"), pd.read_parquet(finished.folder / "evaluation.parquet")
    )
    assert "forward: copy" in (results / "transfer.md").read_text(encoding="utf-8")
    assert "0.50 (0.40 to 0.60)" in (results / "htest.md").read_text(encoding="utf-8")
    monkeypatch.setattr(publishing, "htest_finding", lambda accuracy: f"asked: {accuracy['models']}")
    publish("smoke", results=results.parent)
    assert (results / "htest_finding.md").read_text(encoding="utf-8") == "asked: ['embedded']"
    assert "preset smoke" in (results.parent / "models.md").read_text(encoding="utf-8")


def test_figures_that_no_notebook_of_the_run_shows_are_not_published(finished: Experiment, tmp_path: Path) -> None:
    execute(finished.folder, "90_report", "a", "of_an_older_notebook")
    execute(finished.folder, "99_of_nobody", "b")
    assert shown_figures(finished.folder) == ["a", "of_an_older_notebook"]
    execute(finished.folder, "90_report")
    assert shown_figures(finished.folder) == ["a"]
    shutil.rmtree(finished.folder / "notebooks")
    with pytest.raises(FileNotFoundError, match="notebooks has no executed notebook"):
        publish("smoke", results=tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_small_tables_of_interpretation_are_made_of_their_parts_first(finished: Experiment, tmp_path: Path) -> None:
    write_table(pd.DataFrame({"value": [3.0]}), finished.folder / "interpret" / "likeness.parquet")
    publish("smoke", results=tmp_path / "results")
    kept = pd.read_parquet(tmp_path / "results" / "smoke" / "interpret" / "likeness.parquet")
    assert kept["value"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    "name", ["10_language_model", "20_features", "21_circuits", "35_htest_letter_geometry", "90_report"]
)
def test_a_run_whose_notebook_is_missing_is_not_published(finished: Experiment, tmp_path: Path, name: str) -> None:
    (finished.folder / "values" / f"{name}.json").unlink()
    with pytest.raises(FileNotFoundError, match=f"values/{name}"):
        publish("smoke", results=tmp_path / "results")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("name", NEEDED)
def test_a_run_that_lacks_a_table_is_not_published(finished: Experiment, tmp_path: Path, name: str) -> None:
    (finished.folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=name.partition(".")[0]):
        publish("smoke", results=tmp_path / "results")
    assert not (tmp_path / "results").exists()


@pytest.mark.usefixtures("finished")
def test_a_run_without_the_released_items_is_not_published(tmp_path: Path) -> None:
    record_values(open_study(preset="smoke"), "30_htest_items", {"items_sha256": {"fresh-2": "0" * 64}})
    with pytest.raises(FileNotFoundError, match="no official H-Test items"):
        publish("smoke", results=tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_joined_tables_that_a_killed_run_left_old_are_made_of_its_parts_first(
    finished: Experiment, tmp_path: Path
) -> None:
    evaluation, rows = (
        pd.read_parquet(finished.folder / f"{name}.parquet") for name in ("evaluation", "evaluation_rows")
    )
    parts = EvaluationParts(finished.folder)
    names = [part_of(phase, tokens) for phase in PHASES for tokens in finished.phase(phase).checkpoints]
    for name in [*names, ZERO_SHOT]:  # the numbers are all in one part, which is as good
        parts.rows.write(name, rows if name == ZERO_SHOT else rows[:0])
        parts.scores.write(name, evaluation if name == ZERO_SHOT else evaluation[:0])
    write_table(evaluation[:-1], finished.folder / "evaluation.parquet")
    publish("smoke", results=tmp_path / "results")
    kept = pd.read_parquet(tmp_path / "results" / "smoke" / "evaluation.parquet")
    assert len(kept) == len(evaluation)


def test_what_is_published_is_shown_as_stored(
    finished: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of any preset, and in place of a run of that name."""
    publish("smoke", results=tmp_path / "results")
    monkeypatch.setattr("saelib.run.stored.RESULTS", tmp_path / "results")
    shutil.rmtree(finished.folder)
    stored, study = open_experiment(preset="smoke", stored=True), open_study(preset="smoke", stored=True)
    looked_at = open_interpretation(preset="smoke", stored=True)
    assert len(looked_at.table("likeness").together()) == 2 and read_values(looked_at, "21_circuits") == {}
    assert stored.folder == study.folder == tmp_path / "results" / "smoke"
    assert len(read_results(stored).evaluation) and read_values(study, "31_htest_accuracy")["models"] == ["embedded"]


@pytest.mark.usefixtures("finished")
def test_a_run_that_differs_from_its_preset_is_not_published_under_its_name(tmp_path: Path) -> None:
    mine = open_experiment(preset="smoke", run="published", l1_coefficient=3.0)
    mine.claim()
    with pytest.raises(FileExistsError, match="l1_coefficient was 3.0"):
        publish("smoke", run="published", results=tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_the_command_line_takes_preset_and_run_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[tuple[str, str]] = []
    monkeypatch.setattr(publishing, "publish", lambda preset, run: calls.append((preset, run)))
    for names in ({}, {"PRESET": "smoke"}, {"PRESET": "smoke", "RUN": "published"}):
        for name in ("PRESET", "RUN", "SEED", "TRANSFER", "INTERPRET", "HTEST"):
            monkeypatch.setenv(name, names.get(name, ""))
        publishing.main()
    assert calls == [("tiny", "tiny"), ("smoke", "smoke"), ("smoke", "published")]
    monkeypatch.setenv("PRESET", "huge")
    with pytest.raises(SystemExit, match="preset='huge' is unknown"):
        publishing.main()
