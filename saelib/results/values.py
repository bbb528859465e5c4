"""Named values that a notebook records, and where results of a run are found again.

In: values by name. Out: `runs/<run>/values/<notebook>.json`, read by tests, by other notebooks and by the report. What
is missing is an error that says how to make it, and how to see what the repository keeps.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

from saelib.run.command import make_command
from saelib.run.config import Run
from saelib.run.files import path_part, write_json
from saelib.run.identity import INPUTS, check_inputs
from saelib.run.lock import writing
from saelib.run.reading import read_json
from saelib.run.stored import is_stored


def record_values(run: Run, notebook: str, values: dict[str, Any]) -> None:
    """Keep a notebook's named values in `runs/<run>/values/<notebook>.json`.

    Infinity and NaN, which JSON lacks, become None. Stored results stay as they are.

    Raises:
        ValueError: no file can be called like the notebook.
        RunInUseError: another process is at work on the run.
    """
    path = _place(run, notebook)
    if run.config.stored:
        return
    with writing(run):
        content = {"config_sha256": run.config.sha256(), INPUTS: run.inputs, "values": _plain(values)}
        write_json(path, content)


def read_values(run: Run, notebook: str) -> dict[str, Any]:
    """What a notebook recorded in the run's folder.

    Raises:
        FileNotFoundError: the notebook has not run; the message says how to run it.
        FileExistsError: they were made from another model or text than the run's.
        DamagedFileError: the file holds no recorded values.
    """
    path = _place(run, notebook)
    if path.is_file():
        sha256, inputs, values = read_json(path, _recorded)
        if sha256 == run.config.sha256():
            check_inputs(f"{path} was", run.inputs, inputs)
            return values
    raise missing(run, f"values/{notebook}.json")


def _place(run: Run, notebook: str) -> Path:
    return run.folder / "values" / f"{path_part(notebook, 'notebook')}.json"


def _recorded(content: dict[str, Any]) -> tuple[str, dict[str, str], dict[str, Any]]:
    """What `record_values` wrote: of which config, from which inputs, and the values."""
    return str(content["config_sha256"]), dict(content.get(INPUTS, {})), dict(content["values"])


def missing(run: Run, what: str) -> FileNotFoundError:
    """An error that says what the run lacks, how to make it, and how to see the repository's own, if it keeps that."""
    config = run.config
    if config.stored:
        return FileNotFoundError(f"{run.folder}, the stored results of the repository, has no {what}")
    kept = "; or see what the repository keeps of this config with `stored=True`" if is_stored(config) else ""
    command = make_command(config.preset, config.run, config.seed)
    return FileNotFoundError(f"{run.folder} has no {what}; make it with `{command}`{kept}")


def _plain(value: Any) -> Any:
    """A value as JSON can hold it."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
