"""A copy of the project's batch files in another folder, so that a test's batch run touches nothing in this one.

Also small notebooks to put there in place of the real ones.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from saelib.batch.notebooks import NOTEBOOKS
from saelib.run.files import PROJECT

NAMES = tuple(notebook.name for notebook in NOTEBOOKS)
PARAMETERS = 'preset = "tiny"\nrun = "tiny"\nseed = 0'
BODY = """\
import json
from ipykernel.connect import get_connection_info
print(repr(preset), repr(run), repr(seed), json.loads(get_connection_info())["transport"])"""
MAY_TAKE = 300  # seconds; a busy machine starts a kernel slowly
# `make test` runs this: what that make tells a make inside it, and settings of the user's shell, are not for this one.
NOT_FOR_A_TEST = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "PRESET", "RUN", "SEED", "TRANSFER",
                  "INTERPRET", "HTEST", "CORES", "SNAKEMAKE", "TORCH", "PYTHON", "MODELS", "DRY"}  # fmt: skip


def environment_of_a_test() -> dict[str, str]:
    """The environment, without what changes a batch run."""
    return {name: value for name, value in os.environ.items() if name not in NOT_FOR_A_TEST}


class BatchProject:
    """Makefile, Snakefile and notebooks in `folder`, run with this Python in place of `.venv`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "notebooks").mkdir(parents=True)
        for name in ("Makefile", "Snakefile"):
            shutil.copy(PROJECT / name, folder)

    def start(self, *settings: str, snakemake: str = "") -> subprocess.Popen[str]:
        """Start `make reproduce` in a process group of its own, with more options for Snakemake."""
        return subprocess.Popen(
            ["make", "--no-print-directory", "-o", ".venv/.ready", "reproduce", *settings,
             f"BIN={Path(sys.executable).parent}", f"SNAKEMAKE={snakemake}"],
            cwd=self.folder,
            env=environment_of_a_test() | {"PYTHONPATH": str(PROJECT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )  # fmt: skip

    def run(self, *settings: str, snakemake: str = "") -> tuple[int, str]:
        """Run to the end; exit code, and everything that was printed."""
        with self.start(*settings, snakemake=snakemake) as process:
            printed, _ = process.communicate()
        return process.returncode, printed


def write_notebook(path: Path, body: str = BODY) -> None:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    parameters = new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
    cells = [new_markdown_cell("# A notebook"), parameters, new_code_cell(body)]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)


def printed_by(notebook: Path) -> str:
    cells = nbformat.read(notebook, as_version=4).cells
    return "".join(output.get("text", "") for cell in cells for output in cell.get("outputs", []))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + MAY_TAKE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
