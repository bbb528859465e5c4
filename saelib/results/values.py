"""Results of a run, found again: in the run's folder, or for the default run among the small tables in `results/`.

In: an experiment. Out: its tables and the values that its notebooks recorded. What is missing is an error that says
in one line how to make it.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from saelib.batch.digests import make_command
from saelib.run.files import PROJECT, read_json, write_json

if TYPE_CHECKING:
    from saelib.run.config import Run
    from saelib.transfer.experiment import Experiment

RESULTS = PROJECT / "results"
NEEDED_ARMS = {"training": {"scratch", "control"}, "evaluation": {"scratch", "control", "zero_shot"}}
CHOICE_COLUMNS = ("l1_coefficient", "learning_rate", "tokens", "ce_score", "zero_shot_ce_score", "l0", "mse")


def read_results(experiment: "Experiment", name: str = "evaluation") -> pd.DataFrame:
    """The run's `evaluation.parquet` or `training.parquet`, whole: with both phases in it.

    A run of the `tiny` preset that is not there, or not finished, is read from `results/tiny` if that was made with
    the same config.

    Raises:
        FileNotFoundError: neither place has it; the message says how to make it.
    """
    for path in _places(experiment, f"{name}.parquet"):
        if path.is_file():
            table = pd.read_parquet(path)
            same_config = set(table["config_sha256"]) == {experiment.config.sha256()}
            if same_config and set(table["arm"]) >= NEEDED_ARMS[name]:
                return table
    raise _missing(experiment, f"{name}.parquet with both phases")


def record_values(run: "Run", notebook: str, values: dict[str, Any]) -> None:
    """Keep a notebook's named values in `runs/<run>/values/<notebook>.json`; tests and the report read them.

    Infinity and NaN, which JSON lacks, become None.
    """
    content = {"config_sha256": run.config.sha256(), "values": _plain(values)}
    write_json(run.folder / "values" / f"{notebook}.json", content)


def read_values(run: "Run", notebook: str) -> dict[str, Any]:
    """What a notebook recorded, from the same places as `read_results`.

    Raises:
        FileNotFoundError: the notebook has not run; the message says how to run it.
    """
    for path in _places(run, f"values/{notebook}.json"):
        if path.is_file():
            content = read_json(path)
            if content["config_sha256"] == run.config.sha256():
                return dict(content["values"])
    raise _missing(run, f"values/{notebook}.json")


def choice_of_lambda() -> pd.DataFrame:
    """The trials from which the `tiny` preset's lambda and learning rate were chosen; empty where they are not kept."""
    path = RESULTS / "choice_of_lambda.csv"
    return pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=list(CHOICE_COLUMNS), dtype=float)


def phase_state(experiment: "Experiment", name: str) -> str:
    """One line: whether a phase's finished SAEs were found, or what will be trained now."""
    plans, tokens = experiment.plans(name), experiment.phase(name).tokens
    size = f"{len(plans)} SAEs of {tokens:,} tokens each"
    if (experiment.folder / "training" / f"{name}.parquet").is_file():
        return f"Phase {name}: found {size}, finished."
    return f"Phase {name}: {size} are trained now."


def _places(run: "Run", name: str) -> list[Path]:
    stored = [RESULTS / "tiny" / name] if run.config.preset == "tiny" else []
    return [run.folder / name, *stored]


def _missing(run: "Run", what: str) -> FileNotFoundError:
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
