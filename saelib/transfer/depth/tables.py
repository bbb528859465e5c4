"""The tables of the study, read again: whole, and made for the run's config.

In: an experiment. Out: scores with their rows, and fits of the maps. Reading writes nothing.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from saelib.results.provenance import check_origin
from saelib.results.values import missing
from saelib.run.reading import read_table
from saelib.transfer.checks import Results
from saelib.transfer.depth.maps import depth_maps_path
from saelib.transfer.depth.plans import asked_by_part
from saelib.transfer.parts import EvaluationParts

if TYPE_CHECKING:
    from saelib.transfer.experiment import Experiment


def depth_parts(run_folder: Path) -> EvaluationParts:
    """`depth.parquet` and `depth_rows.parquet`, by parts."""
    return EvaluationParts(run_folder, "depth")


def read_depth(experiment: "Experiment") -> Results:
    """How the SAEs of the study were scored.

    Raises:
        FileNotFoundError: the run has not finished them; the message says how to make them.
        DamagedFileError: a file is not what was written.
        ValueError: they were not all scored on the same tokens of one model.
        FileExistsError: they were made from another model or text than the run.
    """
    parts = depth_parts(experiment.folder)
    there = parts.parts
    lacking = [part for part in asked_by_part(experiment) if part not in there] if there else []
    if lacking or not (there or parts.scores.path.is_file()):
        raise missing(experiment, f"depth.parquet{f' (without the part {lacking[0]})' if lacking else ''}")
    results = parts.together()
    if set(results.evaluation["config_sha256"]) != {experiment.config.sha256()}:
        raise missing(experiment, "depth.parquet of this config")
    check_origin(results.evaluation, parts.scores.path)
    return results


def read_depth_maps(experiment: "Experiment") -> pd.DataFrame:
    """How well the maps of the study fit.

    Raises:
        FileNotFoundError, DamagedFileError, FileExistsError, ValueError: as `read_depth`.
    """
    path = depth_maps_path(experiment.folder)
    if not path.is_file():
        raise missing(experiment, path.name)
    table = read_table(path, needed=("config_sha256", "act_layer", "r2"))
    if set(table["config_sha256"]) != {experiment.config.sha256()}:
        raise missing(experiment, f"{path.name} of this config")
    check_origin(table, path)
    return table
