"""The experiments by preset: each column is the table of its own run."""

from pathlib import Path

import pytest

from saelib.batch.experiments import experiments_table, linked
from saelib.batch.experiments_kept import experiments_of, kept_values
from saelib.batch.models import kept_presets
from saelib.batch.notebooks import NOTEBOOKS
from saelib.run.files import write_json
from saelib.run.stored import RESULTS

DISTANCES = {"far": [[0, 0.4], [0.4, 0]], "near": [[0, 0.1], [0.1, 0]]}


def kept(results: Path, preset: str, model: str = "embedded") -> Path:
    """A preset of which one notebook's values are kept."""
    folder = results / preset
    (folder / "values").mkdir(parents=True)
    values = {"values": {"angular_distance": DISTANCES[preset]}}
    write_json(folder / "values" / "10_language_model.json", values)
    write_json(folder / "config.json", {"language_model": model})
    return folder


def test_each_preset_has_a_column_of_its_own_table(tmp_path: Path) -> None:
    folders = [kept(tmp_path, preset) for preset in DISTANCES]
    table = experiments_of(folders)
    assert [*table][-2:] == ["preset far", "preset near"]
    for folder in folders:
        alone = experiments_table(kept_values(folder))
        assert table[f"preset {folder.name}"].tolist() == alone["what agrees"].tolist()
    rows = table.set_index("notebook")
    assert rows.loc["10_language_model", "preset far"].startswith(
        "a neighbour is the closest for 2 of 2 layers; mean 0.40"
    )
    assert rows.loc["10_language_model", "preset near"].startswith(
        "a neighbour is the closest for 2 of 2 layers; mean 0.10"
    )


def test_what_a_run_was_made_without_is_not_measured(tmp_path: Path) -> None:
    table = experiments_of([kept(tmp_path, "far")])
    measured = {"", "10_language_model"}
    assert set(table.loc[~table["notebook"].isin(measured), "preset far"]) == {"not measured"}
    assert set(table.loc[table["notebook"] == "", "preset far"]) == {""}


def test_a_preset_of_the_papers_own_model_repeats_its_experiments(tmp_path: Path) -> None:
    alone = experiments_of([kept(tmp_path, "far")])
    both = experiments_of([tmp_path / "far", kept(tmp_path, "near", "EleutherAI/pythia-160m-deduped")])
    assert "✓ yes: the paper's model" not in set(alone["here"])
    assert "✓ yes: the paper's model" in set(both["here"])


def test_notebooks_are_links(tmp_path: Path) -> None:
    text = linked(experiments_of([kept(tmp_path, "far")]))
    named = {notebook.name for notebook in NOTEBOOKS if f"[`{notebook.name}`](notebooks/{notebook.name}.ipynb)" in text}
    assert {"10_language_model", "13_convergence"} <= named


@pytest.mark.skipif(not (RESULTS / "experiments.md").is_file(), reason="results/experiments.md was not made yet")
def test_the_kept_table_is_of_what_the_notebooks_recorded() -> None:
    assert (RESULTS / "experiments.md").read_text(encoding="utf-8") == linked(experiments_of(kept_presets()))
