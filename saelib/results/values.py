"""Named values that a notebook records, and where results of a run are found again.

In: values by name. Out: `runs/<run>/values/<notebook>.json`, read by tests, by other notebooks and by the report. What
is missing is an error that says in one line how to make it.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

from saelib.run.command import make_command
from saelib.run.config import Run
from saelib.run.files import PROJECT, read_json, write_json
from saelib.run.identity import INPUTS, check_inputs
from saelib.run.lock import writing

RESULTS = PROJECT / "results"


def record_values(run: Run, notebook: str, values: dict[str, Any]) -> None:
    """Keep a notebook's named values in `runs/<run>/values/<notebook>.json`.

    Infinity and NaN, which JSON lacks, become None.

    Raises:
        RunInUseError: another process is at work on the run.
    """
    with writing(run):
        content = {"config_sha256": run.config.sha256(), INPUTS: run.inputs, "values": _plain(values)}
        write_json(run.folder / "values" / f"{notebook}.json", content)


def read_values(run: Run, notebook: str) -> dict[str, Any]:
    """What a notebook recorded, from the run or, for the default run, from the stored results.

    Raises:
        FileNotFoundError: the notebook has not run; the message says how to run it.
        FileExistsError: they were made from another model or text than the run's.
    """
    name = f"values/{notebook}.json"
    for path in places(run, name):
        if path.is_file():
            content = read_json(path)
            if content["config_sha256"] == run.config.sha256():
                if path.is_relative_to(run.folder):
                    check_inputs(f"{path} was", run.inputs, content.get(INPUTS, {}))
                return dict(content["values"])
    raise missing(run, name)


def places(run: Run, name: str) -> list[Path]:
    """Where a file of the run may be: in its folder, or for the preset `tiny` among the small files in `results/`."""
    stored = [RESULTS / "tiny" / name] if run.config.preset == "tiny" else []
    return [run.folder / name, *stored]


def missing(run: Run, what: str) -> FileNotFoundError:
    """An error that says what the run lacks and how to make it."""
    config = run.config
    command = make_command(config.preset, config.run, config.seed)
    return FileNotFoundError(f"{run.folder} has no {what}; make it with `{command}`")


def _plain(value: Any) -> Any:
    """A value as JSON can hold it."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
