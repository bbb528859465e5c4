"""Tidy tables with their provenance.

In: rows of results. Out: parquet files in which every row says which config, code, packages and evaluation rows made
it, and tables read back with a check that all rows were scored against the same clean loss.
"""

import json
import subprocess
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from saelib.run.files import PROJECT, write_atomically

if TYPE_CHECKING:
    from saelib.run.config import RunConfig

NUMBERED_PACKAGES = ("torch", "transformers", "transformer-lens", "numpy")  # those that decide numbers
CLEAN_LOSS_TOLERANCE = 1e-9  # nats; the clean pass is the same computation in every part of an evaluation


def commit() -> str:
    """The project's git commit, with "+changes" where the work tree differs; "unknown" outside a checkout."""

    def git(*arguments: str) -> str:
        run = subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True, check=True)
        return run.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "--", "saelib") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def provenance(config: "RunConfig") -> dict[str, str]:
    """Columns that every row of results carries."""
    versions = {name: metadata.version(name) for name in NUMBERED_PACKAGES}
    return {"config_sha256": config.sha256(), "commit": commit(), "versions": json.dumps(versions, sort_keys=True)}


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as parquet, atomically."""
    write_atomically(path, lambda temporary: table.to_parquet(temporary, index=False))


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
