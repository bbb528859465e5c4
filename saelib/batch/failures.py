"""What to say after a failed batch run: which notebook stopped, at which cell, and how to go on.

In: what papermill left in `runs/<run>/notebooks/`. Out: a message.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saelib.batch.clock import State, state_of
from saelib.results.text import printable
from saelib.run.reading import DamagedFileError, read_json

PARTIAL = ".partial.ipynb"  # a notebook while it runs, and what is left of one that failed


def partial_notebooks(folder: Path) -> dict[Path, State | None]:
    """Notebooks that have not ended, and what tells whether they are written again."""
    return {path: state_of(path) for path in sorted(folder.glob(f"*{PARTIAL}"))}


def failure_report(folder: Path, earlier: Mapping[Path, State | None], command: str) -> str:
    """Which notebooks in `folder` have stopped, at which cell, and how to continue.

    Args:
        folder: `runs/<run>/notebooks`.
        earlier: `partial_notebooks` when the batch run began; those that are as they were, an earlier one left.
        command: continues the run.
    """
    stopped = [path for path, state in partial_notebooks(folder).items() if earlier.get(path) != state]
    lines = [line for path in stopped for line in _describe(path)]
    return "\n".join([*lines, f"What is finished is kept. To continue: {command}"])


def _describe(partial: Path) -> list[str]:
    """What stopped one notebook: its error, or the cell that ran when its kernel or papermill went away."""
    name = partial.name.removesuffix(PARTIAL) + ".ipynb"
    try:
        how = read_json(partial, _how_it_stopped)
    except DamagedFileError:  # papermill was killed in the middle of a line
        how = "was stopped while it was being written (killed, or is the disk full?)"
    return [f"{name} {how}", f"See {partial}"]


def _how_it_stopped(notebook: dict[str, Any]) -> str:
    """By the error of a cell, or else after the start of the last one that papermill noted."""
    stopped = "before its first cell"
    for number, cell in enumerate((cell for cell in notebook["cells"] if cell["cell_type"] == "code"), start=1):
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                said = f"{output['ename']}: {output['evalue']}".splitlines()
                return f"failed at In [{number}]: " + "\n".join(map(printable, said))  # a reply may stand in it
        if cell["metadata"]["papermill"]["start_time"]:
            stopped = f"at In [{number}]"
    return f"stopped {stopped} without an error of its own (killed, or out of memory?)"
