"""The tables of an experiment: made, joined, checked, and read again.

In: rows of results, and the parquet files of a run. Out: tidy tables in which all SAEs were scored alike.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from saelib.results.provenance import check_origin
from saelib.results.values import missing, places
from saelib.transfer.directions import transfer_arms

if TYPE_CHECKING:
    from saelib.transfer.experiment import Experiment

CLEAN_LOSS_TOLERANCE = 1e-9  # nats; the clean pass is the same computation in every part of an evaluation
SAME_MEAN = 1e-5  # relative and absolute: rows are kept in float32
MEANS = ("ce_clean", "ce_spliced", "ce_zero", "ce_mean", "kl", "mse", "l0", "l1")  # over tokens: always numbers
READING = ["sae_sha256", "act_layer"]  # the columns that say what was scored


class Results(NamedTuple):
    """How the SAEs of a run were scored."""

    evaluation: pd.DataFrame
    """One row for each SAE, budget and layer that it reads."""
    rows: pd.DataFrame | None
    """The same metrics for every held-out row of each reading; None where they were not kept."""


def read_results(experiment: "Experiment") -> Results:
    """The run's `evaluation.parquet`, whole, and the `evaluation_rows.parquet` beside it.

    A run of the `tiny` preset that is not there, or not finished, is read from `results/tiny` if that was made with
    the same config.

    Raises:
        FileNotFoundError: neither place has it; the message says how to make it.
        ValueError: the rows are not those of the evaluation, or not all scored on the same tokens of one model.
        FileExistsError: they were made from another model or text than the run.
    """
    one_layer = experiment.config.layers is not None and len(experiment.config.layers) == 1  # no other to be read
    path = _finished(experiment, "evaluation.parquet", {"scratch"} if one_layer else {"scratch", "zero_shot"})
    results = Results(pd.read_parquet(path), None)
    check_origin(results.evaluation, path)
    if "eval_sha256" in results.evaluation:
        check_paired(results.evaluation)
    beside = path.with_name("evaluation_rows.parquet")
    if beside.is_file():
        results = results._replace(rows=pd.read_parquet(beside))
        check_rows(results)
    return results


def read_training(experiment: "Experiment") -> pd.DataFrame:
    """The run's `training.parquet`, from the places where `read_results` looks.

    Raises:
        FileNotFoundError: neither place has it; the message says how to make it.
    """
    path = _finished(experiment, "training.parquet", {"scratch"})
    table = pd.read_parquet(path)
    check_origin(table, path)
    return table


def read_maps(experiment: "Experiment") -> pd.DataFrame:
    """The run's `maps.parquet`, from the places where `read_results` looks; empty where no transfer starts by a map."""
    for path in places(experiment, "maps.parquet"):
        if path.is_file():
            table = pd.read_parquet(path)
            if set(table["config_sha256"]) == {experiment.config.sha256()}:
                check_origin(table, path)
                return table
    return pd.DataFrame(columns=["start", "source_layer", "act_layer", "data_seed", "tokens", "r2", "r2_back", "flops"])


def _finished(experiment: "Experiment", name: str, needed: set[str]) -> Path:
    """Where a table is that was made with this config and has the needed arms and both phases in it."""
    for path in places(experiment, name):
        if path.is_file():
            table = pd.read_parquet(path, columns=["arm", "config_sha256"])
            arms, same_config = set(table["arm"]), set(table["config_sha256"]) == {experiment.config.sha256()}
            # The second phase leaves transfers; where there is one layer only it leaves a control, or nothing.
            if same_config and arms >= needed and ("control" in arms or transfer_arms(table)):
                return path
    raise missing(experiment, f"{name} with both phases")


def table_of(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a table whose layers are whole numbers even where `source_layer` is missing."""
    table = pd.DataFrame(rows)
    layers = {name: "Int64" for name in ("source_layer", "sae_layer", "act_layer") if name in table}
    return table.astype(layers)


def check_paired(evaluation: pd.DataFrame) -> None:
    """Refuse an evaluation whose rows were not scored on the same tokens.

    Raises:
        ValueError: there is more than one evaluation hash or clean loss.
    """
    hashes, spread = evaluation["eval_sha256"].unique(), evaluation["ce_clean"].max() - evaluation["ce_clean"].min()
    if len(hashes) != 1:
        raise ValueError(
            f"rows were scored on {len(hashes)} sets of held-out tokens: the text has changed since the run began, and "
            "its SAEs have not all read the same; name another run"
        )
    if spread > CLEAN_LOSS_TOLERANCE:  # the same model and tokens, as the run's inputs say, in other arithmetic
        raise ValueError(
            f"rows were scored by other versions or on other machines: clean losses differ by {spread:.3g} nats; "
            "delete the run's evaluation/ folder, and all SAEs are scored alike"
        )


def check_finite(evaluation: pd.DataFrame) -> None:
    """Refuse scores that are no numbers, from which no mean and no target can be had.

    Raises:
        ValueError: the message names the SAE and the score.
    """
    means = [name for name in MEANS if name in evaluation]
    wrong = ~np.isfinite(evaluation[means].to_numpy(float))
    if wrong.any():
        place, metric = np.argwhere(wrong)[0]
        sae = evaluation.iloc[place]
        raise ValueError(
            f"{sae['arm']} L{sae['sae_layer']} seed {sae['seed']} at {sae['tokens']} tokens, spliced in at layer "
            f"{sae['act_layer']}, has {means[metric]}={sae[means[metric]]} on the held-out rows; start a run with "
            "precision='float32', or without this layer"
        )


def check_rows(results: Results) -> None:
    """Refuse rows that are not those of an evaluation: as many for each reading, with its metrics as their means.

    Raises:
        ValueError: the message names a metric.
    """
    evaluation, rows = results
    assert rows is not None
    metrics = [name for name in rows.columns if name not in (*READING, "row")]
    lengths = rows.groupby(READING).size().unique()
    means = rows.astype(dict.fromkeys(metrics, "float64")).groupby(READING)[metrics].mean()
    found = means.reindex(pd.MultiIndex.from_frame(evaluation[READING]))
    same = np.isclose(found, evaluation[metrics], rtol=SAME_MEAN, atol=SAME_MEAN).all(axis=0)
    if len(lengths) != 1 or not same.all():
        wrong = [name for name, alike in zip(metrics, same, strict=True) if not alike]
        raise ValueError(
            f"evaluation_rows.parquet, with {', '.join(map(str, lengths))} rows for a reading, is not of this "
            f"evaluation.parquet: {', '.join(wrong) or 'no metric'} differs; delete the run's evaluation/ folder and "
            "evaluate again"
        )


def concatenate(folder: Path) -> pd.DataFrame:
    """All parquet files of a folder as one table, in the order of their names."""
    return pd.concat([pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))], ignore_index=True)
