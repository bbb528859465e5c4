"""The notebook of features on a small run: everything is said and recorded; of stored results what they have."""

import json
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest

from saelib.interpret.interpretation import Interpretation
from saelib.results.values import record_values
from saelib.run.files import PROJECT
from saelib.run.lock import writing
from saelib.transfer import stages
from tests.helpers.small_interpretations import small_parameters
from tests.interpret.conftest import CopyInterpretation

NAME = "20_features"
CELLS = [cell for cell in nbformat.read(PROJECT / "notebooks" / f"{NAME}.ipynb", as_version=4).cells
         if cell.cell_type == "code" and "parameters" not in cell.metadata.get("tags", [])]  # fmt: skip


def run_cells(parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the notebook displays with these parameters, in this process."""
    shown: list[Any] = []
    monkeypatch.setattr("IPython.display.display", lambda output, **_: shown.append(output))
    namespace: dict[str, Any] = {**parameters, "display": shown.append}
    for cell in CELLS:
        exec(compile(cell.source, cell.id, "exec"), namespace)
    return shown


@pytest.fixture
def evaluated(copy_interpretation: CopyInterpretation) -> tuple[Interpretation, dict[str, Any]]:
    """A run that is trained and scored, and the parameters that open it."""
    interpretation = copy_interpretation()
    config = interpretation.experiment.config
    for phase in ("scratch", "transfer"):
        stages.evaluate_phase(interpretation.experiment, phase)
    stages.evaluate_zero_shot(interpretation.experiment)
    return interpretation, small_parameters(Path(config.corpus), Path(config.language_model)) | {"run": config.run}


def stored(interpretation: Interpretation, results: Path) -> None:
    """Keep of a run what the repository would keep: its small tables and its values."""
    record_values(interpretation.experiment, "12_layer_transfer", {})
    with writing(interpretation):
        kept = results / interpretation.config.preset
        shutil.copytree(interpretation.folder / "values", kept / "values")
        for path in (*interpretation.folder.glob("*.parquet"), interpretation.folder / "config.json"):
            shutil.copy(path, kept)
        (kept / "interpret").mkdir()
        for path in (
            *interpretation.interpret_folder.glob("*.parquet"),
            interpretation.interpret_folder / "config.json",
        ):
            shutil.copy(path, kept / "interpret")


def test_it_runs_says_and_records_and_stored_results_say_the_same(
    evaluated: tuple[Interpretation, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interpretation, parameters = evaluated
    shown = run_cells(parameters, monkeypatch)
    said = [output.data for output in shown if hasattr(output, "_repr_markdown_")]
    assert sum("✓" in text for text in said) >= 6
    assert any("(../interpret/dashboard.html#feature-" in text for text in said)
    assert (interpretation.interpret_folder / "dashboard.html").is_file()
    recorded = json.loads((interpretation.folder / "values" / f"{NAME}.json").read_text(encoding="utf-8"))["values"]
    arms = {"forward", "forward_affine", "backward", "backward_affine"}
    for name in ("mmcs", "feature_transfer", "moved"):
        assert {line["arm"] for line in recorded[name]} == arms
        assert all({"mean", "low", "high"} <= set(line) for line in recorded[name])
    assert {"null", "best_match"} <= set(recorded["feature_transfer"][0])
    assert {line["arm"] for line in recorded["mmcs_published"]} == {"forward", "backward"}

    monkeypatch.setattr("saelib.run.stored.RESULTS", tmp_path / "results")
    stored(interpretation, tmp_path / "results")
    again = [output.data for output in run_cells(parameters | {"stored": True}, monkeypatch)
             if hasattr(output, "_repr_markdown_")]  # fmt: skip
    assert any("The repository keeps no features one by one" in text for text in again)
    numbers = [text for text in said if text.startswith("Seen, forward")]
    assert numbers
    assert [text for text in again if text.startswith("Seen, forward")] == numbers
    assert not (tmp_path / "results" / "smoke" / "interpret" / "dashboard.html").exists()
