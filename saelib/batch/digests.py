"""The Python half of the Snakefile: what a notebook depends on, and what to say after a failure.

In: the notebooks, the library's files, and what papermill left in `runs/<run>/notebooks/`. Out: digests and messages.
"""

import hashlib
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saelib.run.files import sha256_of_file

LIBRARY = Path(__file__).parents[1]  # the whole of saelib/
PARTIAL = ".partial.ipynb"  # a notebook while it runs, and what is left of one that failed


def cells_digest(notebook: Path) -> str:
    """SHA-256 of a notebook's cells without their outputs: running a notebook does not change it."""
    cells = [
        (cell["cell_type"], cell["source"], cell["metadata"].get("tags", []))
        for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    ]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


def library_digest(folder: Path = LIBRARY) -> str:
    """SHA-256 of the library: its sources, its tables, and the language model that ships with it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    sums = [(path.relative_to(folder).as_posix(), sha256_of_file(path)) for path in files]
    return hashlib.sha256(json.dumps(sums).encode()).hexdigest()


def make_command(preset: str, run: str, seed: int | None, htest: Mapping[str, Any] | None = None) -> str:
    """The shortest command that starts this run or goes on with it.

    Args:
        htest: overrides of the H-Test config.
    """
    settings = {"PRESET": (preset, "tiny"), "RUN": (run, preset), "SEED": (str(seed), "None"),
                "HTEST": (json.dumps(htest or {}), "{}")}  # fmt: skip
    chosen = [f"{name}={shlex.quote(value)}" for name, (value, default) in settings.items() if value != default]
    return " ".join(["make reproduce", *chosen])


def failure_report(folder: Path, since: float, command: str) -> str:
    """Which notebooks in `folder` stopped after the time `since`, at which cell, and how to continue.

    Args:
        folder: `runs/<run>/notebooks`.
        since: seconds since the epoch; what is older was left by an earlier run.
        command: continues the run.
    """
    stopped = [path for path in sorted(folder.glob(f"*{PARTIAL}")) if path.stat().st_mtime >= since]
    lines = [line for path in stopped for line in _describe(path)]
    return "\n".join([*lines, f"What is finished is kept. To continue: {command}"])


def _describe(partial: Path) -> list[str]:
    """What stopped one notebook: its error, or the cell that ran when its kernel or papermill went away."""
    name = partial.name.removesuffix(PARTIAL) + ".ipynb"
    cells = [cell for cell in json.loads(partial.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    stopped = "before its first cell"
    for number, cell in enumerate(cells, start=1):
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                return [f"{name} failed at In [{number}]: {output['ename']}: {output['evalue']}", f"See {partial}"]
        if cell["metadata"]["papermill"]["start_time"]:
            stopped = f"at In [{number}]"
    return [f"{name} stopped {stopped} without an error of its own (killed, or out of memory?)", f"See {partial}"]
