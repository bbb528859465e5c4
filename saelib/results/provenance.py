"""Where a number comes from: config, commit and versions, as columns of every table of results.

In: a config, and tables. Out: the columns, and parquet files.
"""

import json
import subprocess
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from saelib.run.files import PROJECT, write_atomically

if TYPE_CHECKING:
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


def provenance(config: "RunConfig") -> dict[str, str]:
    """Columns that every row of results carries."""
    versions = {name: _version(name) for name in NUMBERED_PACKAGES}
    return {"config_sha256": config.sha256(), "commit": commit(), "versions": json.dumps(versions, sort_keys=True)}


def _version(package: str) -> str | None:
    """None where it is not installed: training works without numba."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as parquet, atomically."""
    write_atomically(path, lambda temporary: table.to_parquet(temporary, index=False))
