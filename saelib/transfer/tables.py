"""The tables of an experiment: made, joined, checked, and read again.

In: rows of results, and the parquet files of a run. Out: tidy tables in which all SAEs were scored alike.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from saelib.results.text import thousands
from saelib.results.values import missing, places

if TYPE_CHECKING:
    from saelib.transfer.experiment import Experiment

CLEAN_LOSS_TOLERANCE = 1e-9  # nats; the clean pass is the same computation in every part of an evaluation
NEEDED_ARMS = {"training": {"scratch", "control"}, "evaluation": {"scratch", "control", "zero_shot"}}


def read_results(experiment: "Experiment", name: str = "evaluation") -> pd.DataFrame:
    """The run's `evaluation.parquet` or `training.parquet`, whole: with both phases in it.

    A run of the `tiny` preset that is not there, or not finished, is read from `results/tiny` if that was made with
    the same config.

    Raises:
        FileNotFoundError: neither place has it; the message says how to make it.
    """
    for path in places(experiment, f"{name}.parquet"):
        if path.is_file():
            table = pd.read_parquet(path)
            same_config = set(table["config_sha256"]) == {experiment.config.sha256()}
            if same_config and set(table["arm"]) >= NEEDED_ARMS[name]:
                return table
    raise missing(experiment, f"{name}.parquet with both phases")


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
    if len(hashes) != 1 or spread > CLEAN_LOSS_TOLERANCE:
        raise ValueError(
            f"rows were scored on {len(hashes)} sets of held-out tokens, clean losses differ by {spread:.3g} nats; "
            "delete the run's evaluation/ folder and evaluate again"
        )


def concatenate(folder: Path) -> pd.DataFrame:
    """All parquet files of a folder as one table, in the order of their names."""
    return pd.concat([pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))], ignore_index=True)


def tokens_table(needed: pd.DataFrame) -> pd.DataFrame:
    """Tokens to target, one row for each layer: means over seeds, or how many seeds arrive where not all do.

    Args:
        needed: what `convergence.tokens_to_target` gives.
    """
    lines = []
    for (direction, layer), group in needed.groupby(["direction", "act_layer"], observed=True):
        line: dict[str, Any] = {"direction": direction, "layer": layer}
        for arm, seeds in group.groupby("arm"):
            arrived = int(seeds["reached"].sum())
            everybody = arrived == len(seeds)
            text = thousands(seeds["tokens_needed"].mean()) if everybody else f"{arrived} of {len(seeds)} arrive"
            line["transfer" if arm == direction else str(arm)] = text
        lines.append(line)
    columns = ["direction", "layer", "transfer", "control", "scratch"]
    return pd.DataFrame(lines)[columns].sort_values(["direction", "layer"], ascending=[False, True])
