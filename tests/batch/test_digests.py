"""Digests change with cells and with the library, and with nothing else."""

from pathlib import Path

import nbformat

from saelib.batch.digests import LIBRARY, cells_digest, digest_with_sources, library_digest
from saelib.batch.notebooks import NOTEBOOKS
from saelib.run.files import PROJECT
from tests.helpers.batch_project import write_notebook


def test_a_notebooks_digest_is_of_its_cells(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    write_notebook(path)
    first = cells_digest(path)
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].execution_count = 7
    nbformat.write(notebook, path)
    assert cells_digest(path) == first
    notebook.cells[1].source += "\nx = 1"
    nbformat.write(notebook, path)
    assert cells_digest(path) != first


def test_a_digest_with_sources_changes_with_what_the_notebook_builds_on_at_any_remove(tmp_path: Path) -> None:
    """Times of files would say the same only while nobody sets the clock back."""
    for notebook in NOTEBOOKS:
        write_notebook(tmp_path / f"{notebook.name}.ipynb", "1")
    names = ("11_scratch_saes", "12_layer_transfer", "13_convergence", "30_htest_items")
    before = {name: digest_with_sources(tmp_path, name) for name in names}
    write_notebook(tmp_path / "11_scratch_saes.ipynb", "2")
    changed = {name for name in names if digest_with_sources(tmp_path, name) != before[name]}
    assert changed == {"11_scratch_saes", "12_layer_transfer", "13_convergence"}


def test_the_librarys_digest_is_of_its_sources_and_their_places(tmp_path: Path) -> None:
    (tmp_path / "library" / "__pycache__").mkdir(parents=True)
    (tmp_path / "library" / "a.py").write_text("1")
    before = library_digest(tmp_path / "library")
    (tmp_path / "library" / "__pycache__" / "a.pyc").write_text("compiled")
    assert library_digest(tmp_path / "library") == before
    (tmp_path / "library" / "a.py").rename(tmp_path / "library" / "b.py")
    assert library_digest(tmp_path / "library") != before


def test_the_library_is_all_rooms() -> None:
    """Else a change of one room would run no notebook again."""
    assert LIBRARY == PROJECT / "saelib"
    assert (LIBRARY / "batch" / "digests.py").is_file() and (LIBRARY / "sae" / "autoencoder.py").is_file()


def test_a_change_deep_inside_and_in_data_is_seen(tmp_path: Path) -> None:
    deep = tmp_path / "language" / "embedded" / "model"
    deep.mkdir(parents=True)
    (deep / "model.safetensors").write_bytes(b"1")
    before = library_digest(tmp_path)
    (deep / "model.safetensors").write_bytes(b"2")
    assert library_digest(tmp_path) != before
