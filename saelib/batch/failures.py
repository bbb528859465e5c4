"""What to say after a failed batch run: which notebook stopped, at which cell, and how to go on.

In: what papermill left in `runs/<run>/notebooks/`. Out: a message.
"""

import json
from pathlib import Path

PARTIAL = ".partial.ipynb"  # a notebook while it runs, and what is left of one that failed


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
    try:
        notebook = json.loads(partial.read_text(encoding="utf-8"))
    except ValueError:  # papermill was killed in the middle of a line
        return [f"{name} was stopped while it was being written (killed, or is the disk full?)", f"See {partial}"]
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    stopped = "before its first cell"
    for number, cell in enumerate(cells, start=1):
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                return [f"{name} failed at In [{number}]: {output['ename']}: {output['evalue']}", f"See {partial}"]
        if cell["metadata"]["papermill"]["start_time"]:
            stopped = f"at In [{number}]"
    return [f"{name} stopped {stopped} without an error of its own (killed, or out of memory?)", f"See {partial}"]
