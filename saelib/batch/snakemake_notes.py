"""Results of a run that Snakemake would take for up to date, though they are not: they are made again.

In: `runs/<run>/`, and in it `.snakemake/`, one JSON file for each result. Out: marks for Snakemake. Results are
unfinished whose note is not whole, after a kill, a full disk or a crash: without it whatever has changed since would
count for nothing. So are the notebooks that compute what somebody has deleted of a run's tables.
"""

from base64 import urlsafe_b64encode
from collections.abc import Iterable
from pathlib import Path

from saelib.batch.notebooks import NOTEBOOKS
from saelib.run.manifest import lost_parts
from saelib.run.reading import DamagedFileError

NOTES, UNFINISHED = ".snakemake/metadata", ".snakemake/incomplete"
PARTED = ("training", "evaluation", "evaluation_rows")  # tables in parts
RESULTS = (*(f"notebooks/{notebook.name}.ipynb" for notebook in NOTEBOOKS), "report.html")


def has_notes(folder: Path) -> bool:
    """Whether Snakemake has worked on a run; else it would take results that are there for up to date."""
    return (folder / NOTES).is_dir()


def doubt_results_without_note(folder: Path, results: Iterable[str] = RESULTS) -> None:
    """Mark results as unfinished where Snakemake's note of them is missing or not whole."""
    for result in results:
        name = urlsafe_b64encode(result.encode()).decode()  # as Snakemake calls the note
        if (folder / result).is_file() and not _is_whole(folder / NOTES / name):
            (folder / NOTES / name).unlink(missing_ok=True)  # Snakemake cannot read every damaged one
            _mark(folder, name)


def doubt_results_of_lost_parts(folder: Path) -> None:
    """Mark the notebooks as unfinished that make a table's parts, where one is lost; they make no other anew."""
    makers = [notebook.name for notebook in NOTEBOOKS if notebook.computes and notebook.configs == ("transfer",)]
    if any(_has_lost(folder / table) for table in PARTED):
        for result in (f"notebooks/{name}.ipynb" for name in makers):
            if (folder / result).is_file():
                _mark(folder, urlsafe_b64encode(result.encode()).decode())


def _has_lost(parts: Path) -> bool:
    try:
        return bool(lost_parts(parts))
    except DamagedFileError:  # the notebooks say so
        return True


def _mark(folder: Path, name: str) -> None:
    (folder / UNFINISHED).mkdir(parents=True, exist_ok=True)
    (folder / UNFINISHED / name).write_text("{}", encoding="utf-8")


def _is_whole(note: Path) -> bool:
    from snakemake.persistence import MetadataRecord

    try:
        return MetadataRecord.model_validate_json(note.read_bytes()).params is not None
    except (OSError, ValueError):
        return False
