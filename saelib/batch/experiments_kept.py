"""The experiments of the papers beside what each preset that is kept has found: one table for all of them.

In: the folders `results/<preset>/` that `publish` made. Out: the table, for README (`results/experiments.md`).
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from saelib.batch.experiments import Values, experiments_table
from saelib.batch.notebooks import NOTEBOOKS
from saelib.run.reading import read_json, read_json_object
from saelib.run.stored import REMEDY
from saelib.transfer.published import MODEL

AGREES = "what agrees"  # its column in the table of one preset


def experiments_of(folders: Sequence[Path]) -> pd.DataFrame:
    """A row for each experiment, as `experiments_table` has them; what agrees has a column for each preset.

    Args:
        folders: of the presets, in the order of the columns.

    Raises:
        DamagedFileError: a file is not what was written.
    """
    papers = any(MODEL in read_json_object(folder / "config.json", REMEDY)["language_model"] for folder in folders)
    tables = [experiments_table(kept_values(folder), papers) for folder in folders]
    found = {f"preset {folder.name}": table[AGREES] for folder, table in zip(folders, tables, strict=True)}
    return tables[0].drop(columns=AGREES).assign(**found)


def kept_values(folder: Path) -> Values:
    """What the notebooks recorded in a preset's run; one that it was made without is absent.

    Raises:
        DamagedFileError: a file is not what was written.
    """
    paths = {notebook.name: folder / "values" / f"{notebook.name}.json" for notebook in NOTEBOOKS}
    return {
        name: read_json(path, lambda found: dict(found["values"]), REMEDY)
        for name, path in paths.items()
        if path.is_file()
    }
