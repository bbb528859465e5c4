"""The notebooks: how they are stored, that they run in order under papermill, and that a second run says the same."""

import ast
import os
import re
import shutil
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

import nbformat
import pytest

from saelib.batch.notebooks import NOTEBOOKS
from saelib.run.files import PROJECT
from tests.helpers.batch_project import NAMES, BatchProject

STORED = [notebook.path for notebook in NOTEBOOKS]
# Stored notebooks that train nothing, so that they run on a fresh clone in a test's time. Their cells that
# are marked `# NBVAL_CHECK_OUTPUT` must print again what is stored.
NEED_NO_RUN = [notebook.name for notebook in NOTEBOOKS if not notebook.computes]
LARGEST = 700_000  # bytes
HOME_FOLDERS = re.compile(r"(?<![\w.])/(?:home|root|Users|work|mnt|tmp)/\w|[A-Z]:\\\\Users")
NBVAL = [
    "-p",
    "tests.helpers.nbval_ipc",
    "--nbval-current-env",
    "--nbval-kernel-startup-timeout",
    "300",
    "-p",
    "no:cacheprovider",
]


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
class TestStored:
    """How a notebook lies in the repository."""

    def test_is_valid_and_not_too_large(self, path: Path) -> None:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        assert notebook.metadata.kernelspec.name == "python3"
        assert path.stat().st_size < LARGEST

    def test_was_executed_in_order_without_error(self, path: Path) -> None:
        cells = [cell for cell in code_cells(nbformat.read(path, as_version=4)) if cell.source.strip()]
        assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
        assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]

    def test_has_one_parameters_cell_of_literals(self, path: Path) -> None:
        cells = code_cells(nbformat.read(path, as_version=4))
        tagged = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
        assert len(tagged) == 1
        values = {}
        for statement in ast.parse(tagged[0].source).body:
            assert isinstance(statement, ast.Assign), ast.unparse(statement)
            (name,) = statement.targets
            values[ast.unparse(name)] = ast.literal_eval(statement.value)
        assert values["preset"] == "tiny"  # the cheap run
        assert {"run", "seed"} <= values.keys()

    def test_defines_nothing(self, path: Path) -> None:
        for cell in code_cells(nbformat.read(path, as_version=4)):
            definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
            plain = "\n".join(line for line in cell.source.splitlines() if not line.startswith("%"))
            assert not [node for node in ast.walk(ast.parse(plain)) if isinstance(node, definitions)], cell.source

    def test_names_no_folder_of_one_machine(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        for folder in (str(PROJECT), str(Path.home()), sys.prefix):
            assert folder not in text
        assert not HOME_FOLDERS.search(text), HOME_FOLDERS.search(text)


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory, runs: Path) -> Path:
    """`make reproduce PRESET=smoke` has run: the folder of that run."""
    project = BatchProject(tmp_path_factory.mktemp("smoke"))
    for path in STORED:
        shutil.copy(path, project.folder / "notebooks")
    code, printed = project.run("PRESET=smoke")
    assert code == 0, printed
    return runs / "smoke"


def test_all_notebooks_run_with_the_smoke_preset(smoke: Path) -> None:
    for name in NAMES:
        notebook = nbformat.read(smoke / "notebooks" / f"{name}.ipynb", as_version=4)
        assert 'preset = "smoke"' in "".join(cell.source for cell in code_cells(notebook))
    assert not list((smoke / "notebooks").glob("*.partial.ipynb"))


def test_every_figure_of_the_run_is_in_its_report(smoke: Path) -> None:
    page = (smoke / "report.html").read_text(encoding="utf-8")
    figures = sorted((smoke / "figures").glob("*.svg"))
    assert len(figures) > 15
    for figure in figures:
        assert b64encode(figure.read_bytes()).decode() in page, figure.name


def test_every_notebook_of_the_run_recorded_its_values(smoke: Path) -> None:
    assert sorted(path.stem for path in (smoke / "values").iterdir()) == sorted(NAMES)


def run_nbval(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", *NBVAL, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}  # the kernel's folder is the notebook's
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    first = done.stdout.partition("FAILURES")[2]  # what comes after it is often its consequence
    assert done.returncode == 0, first[:6000] + done.stdout[-1000:] + done.stderr[-2000:]


@pytest.mark.parametrize("name", NAMES)
def test_a_second_run_says_the_same(smoke: Path, name: str) -> None:
    """Every output that is text, cell by cell; what is trained is found again, not trained anew."""
    weights = {path: path.stat().st_mtime_ns for path in smoke.glob("saes/**/*.safetensors")}
    run_nbval("--nbval", smoke / "notebooks" / f"{name}.ipynb")
    assert weights
    assert {path: path.stat().st_mtime_ns for path in smoke.glob("saes/**/*.safetensors")} == weights


@pytest.mark.parametrize("name", NEED_NO_RUN)
def test_a_stored_notebook_that_needs_no_run_says_what_is_stored(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """On a fresh clone: what reads a run is asked for the repository's own results."""
    if name == "30_htest_items":
        request.getfixturevalue("official_items_cached")
    text = (PROJECT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8")
    asking = tmp_path / f"{name}.ipynb"
    asking.write_text(text.replace('"stored = False ', '"stored = True '), encoding="utf-8")
    run_nbval("--nbval-lax", asking)


def test_a_notebook_without_its_run_names_both_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path))
    with pytest.raises(AssertionError, match=r"make it with `make reproduce SEED=0`; or see .* with `stored=True`"):
        run_nbval("--nbval-lax", PROJECT / "notebooks" / "14_better_start.ipynb")
