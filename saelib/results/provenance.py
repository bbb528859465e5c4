"""Where a number comes from: config, inputs, commit and versions, as columns of every table of results.

In: a run, and tables. Out: the columns, parquet files, and a check that a table was made from one set of inputs.
"""

import json
import subprocess
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from saelib.run.files import PROJECT, write_atomically
from saelib.run.identity import INPUTS, check_inputs, known_inputs
from saelib.run.parquet import write_parquet
from saelib.run.reading import as_object, naming_damage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from saelib.run.config import RunConfig

NUMBERED_PACKAGES = ("torch", "transformers", "transformer-lens", "numpy", "numba")  # those that decide numbers


def commit() -> str:
    """The project's git commit, with "+changes" where the work tree differs; "unknown" outside a checkout."""

    def git(*arguments: str) -> str:
        run = subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True, check=True)
        return run.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "--", "saelib") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def provenance(config: "RunConfig", inputs: "Mapping[str, str]") -> dict[str, str]:
    """Columns that every row of results carries.

    Args:
        inputs: content of what the rows were made from (`run.config.Run.inputs`).
    """
    versions = {name: _version(name) for name in NUMBERED_PACKAGES}
    return {
        "config_sha256": config.sha256(),
        INPUTS: json.dumps(dict(inputs), sort_keys=True),
        "commit": commit(),
        "versions": json.dumps(versions, sort_keys=True),
    }


def check_origin(table: pd.DataFrame, path: Path) -> None:
    """Refuse a table of results whose rows were made from several contents, or from others than its run.

    Tables of earlier releases do not say.

    Args:
        path: of the table, beside which the run's `config.json` lies.

    Raises:
        ValueError: rows of several origins stand in it.
        DamagedFileError: it does not say of which as `provenance` does.
        FileExistsError: the run's config has other inputs.
    """
    if INPUTS not in table:
        return
    known = known_inputs(path.with_name("config.json"))
    for line in table[INPUTS].dropna().unique():
        with naming_damage(path, f"no table of results: its column {INPUTS} cannot be read"):
            inputs = as_object(json.loads(line))
        check_inputs(f"{path} has rows", known, inputs)
    if table[INPUTS].nunique(dropna=False) > 1:
        raise ValueError(f"{path} has rows made from different models or texts; start another run")


def _version(package: str) -> str | None:
    """None where it is not installed: training works without numba."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def write_table(table: pd.DataFrame, path: Path, notes: "Mapping[bytes, bytes] | None" = None) -> None:
    """Write a table as parquet with checksums, atomically.

    Args:
        notes: kept in its schema (`run.parquet.read_notes`).
    """
    write_atomically(path, lambda temporary: write_parquet(table, temporary, notes))
