"""The tables of an experiment, read again: the parts of a run, whole, made for its config and checked together.

In: an experiment. Out: tidy tables in which all SAEs were trained and scored alike. Reading writes nothing; where a run
was killed before its joined tables were written, the parts say as much.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from saelib.results.parted import PartedTable
from saelib.results.provenance import check_origin
from saelib.results.values import missing
from saelib.run.lock import writing
from saelib.run.reading import read_table
from saelib.transfer.checks import Results as Results
from saelib.transfer.directions import transfer_arms
from saelib.transfer.experiment import PHASES
from saelib.transfer.finished import logs_of
from saelib.transfer.parts import SOURCE, ZERO_SHOT, EvaluationParts, part_of

if TYPE_CHECKING:
    from saelib.transfer.experiment import Experiment

SHOWN = 3  # missing parts in a message
MAP_COLUMNS = ("start", "source_layer", "act_layer", "data_seed", "tokens", "r2", "r2_back", "flops")


def read_results(experiment: "Experiment") -> Results:
    """How the SAEs of a run were scored: all parts of `evaluation/` and `evaluation_rows/`, or the joined tables alone.

    Raises:
        FileNotFoundError: the run has not finished them; the message names what it lacks, and how to make it.
        DamagedFileError: a file is not what was written.
        ValueError: the rows are not those of the evaluation, or not all scored on the same tokens of one model.
        FileExistsError: they were made from another model or text than the run.
    """
    layers, parts = experiment.config.layers, EvaluationParts(experiment.folder)
    needed = {"scratch"} if layers is not None and len(layers) == 1 else {"scratch", ZERO_SHOT}
    _check_parts(experiment, "evaluation", parts, _needed_parts(experiment, needed))
    try:
        results = parts.together()
    except FileNotFoundError:
        raise missing(experiment, "evaluation.parquet with both phases") from None
    _check_finished(experiment, results.evaluation, "evaluation", needed)
    return results


def _needed_parts(experiment: "Experiment", arms: set[str]) -> list[str]:
    """The parts of a finished evaluation with these arms."""
    phases = [part_of(phase, tokens) for phase in PHASES for tokens in experiment.phase(phase).checkpoints]
    return phases + [ZERO_SHOT] * (ZERO_SHOT in arms) + [SOURCE] * (experiment.config.source is not None)


def read_training(experiment: "Experiment") -> pd.DataFrame:
    """The training logs of both phases: the parts of `training/`, or the joined table alone.

    Raises:
        FileNotFoundError, DamagedFileError, FileExistsError, ValueError: as `read_results`.
    """
    logs = logs_of(experiment.folder)
    _check_parts(experiment, "training", logs, PHASES)
    try:
        table = logs.together()
    except FileNotFoundError:
        raise missing(experiment, "training.parquet with both phases") from None
    _check_finished(experiment, table, "training", {"scratch"})
    return table


def _check_parts(
    experiment: "Experiment", name: str, parts: EvaluationParts | PartedTable, needed: Iterable[str]
) -> None:
    """See that a run has all parts of a table that a finished one has.

    A joined table alone is believed where there are no SAEs either, as in stored results: it may be of any time.
    """
    if not parts.parts and not (experiment.folder / "saes").is_dir():
        return
    if lacking := [f"{name}/{part}.parquet" for part in needed if not parts.has(part)]:
        more = f" and {len(lacking) - SHOWN} more" if len(lacking) > SHOWN else ""
        without = f"without the parts {', '.join(lacking[:SHOWN])}{more}"
        raise missing(experiment, f"{name}.parquet with both phases ({without})")


def read_maps(experiment: "Experiment") -> pd.DataFrame:
    """The run's `maps.parquet`; empty where no transfer starts by a map.

    Raises:
        FileNotFoundError: it has fitted maps, and no table of them; the message says how to make it.
        DamagedFileError, FileExistsError: as `read_results`.
    """
    path = experiment.folder / "maps.parquet"
    if path.is_file():
        table = read_table(path, needed=("config_sha256", *MAP_COLUMNS))
        if set(table["config_sha256"]) == {experiment.config.sha256()}:
            check_origin(table, path)
            return table
    if (experiment.folder / "maps").is_dir():
        raise missing(experiment, "maps.parquet of its maps")
    return pd.DataFrame(columns=[*MAP_COLUMNS])


def join_tables(experiment: "Experiment") -> None:
    """Make the joined tables of a run anew, where they are not those of its parts.

    Raises:
        RunInUseError: another process is at work on the run.
    """
    scores, logs = EvaluationParts(experiment.folder), logs_of(experiment.folder)
    with writing(experiment):
        if scores.parts:
            scores.join()
        if logs.parts:
            logs.join(logs.parts, logs.together())


def evaluation_of(run_folder: Path) -> pd.DataFrame | None:
    """The scores in a run's folder, as far as they are there, whatever its config; None where there are none.

    Raises:
        DamagedFileError: a part is not what was written.
    """
    parts = EvaluationParts(run_folder)
    try:
        return parts.scores.together(parts.parts)
    except FileNotFoundError:
        return None


def _check_finished(experiment: "Experiment", table: pd.DataFrame, name: str, needed: set[str]) -> None:
    """See that a table was made with this config, from the run's inputs, and has the needed arms and both phases."""
    path, configs, arms = experiment.folder / f"{name}.parquet", set(table["config_sha256"]), set(table["arm"])
    # The second phase leaves transfers; where there is one layer only it leaves a control, or nothing.
    whole = arms >= needed and ("control" in arms or transfer_arms(table))
    if configs != {experiment.config.sha256()} or not whole:
        raise missing(experiment, f"{path.name} with both phases")
    check_origin(table, path)
