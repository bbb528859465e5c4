"""Digests change with cells and with the library, and with nothing else."""

from pathlib import Path

import nbformat

from saelib.batch.digests import LIBRARY, cells_digest, library_digest
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
