"""Results that the repository keeps of a preset, for who wants to see numbers without a run: only when asked for.

In: a config. Out: their folder, whether they are of this config, and the words that say whose they are. A run never
takes its numbers from here unless its config says `stored`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from saelib.run.files import PROJECT
from saelib.run.reading import read_json_object, read_table

if TYPE_CHECKING:
    from saelib.run.config import RunConfig

RESULTS = PROJECT / "results"
REMEDY = "put it back as it was (`git restore results`)"
SHOWN = 12  # characters of a commit


def stored_folder(config: "RunConfig") -> Path:
    """Where results of its preset are kept, if they are."""
    return RESULTS / config.preset


def is_stored(config: "RunConfig") -> bool:
    """Whether the repository keeps results of this very config; values that notebooks recorded say of which."""
    paths, wanted = (stored_folder(config) / "values").glob("*.json"), config.sha256()
    return any(read_json_object(path, REMEDY).get("config_sha256") == wanted for path in paths)


def check_stored(config: "RunConfig", place: str = "values") -> None:
    """See that what is asked for is kept.

    Args:
        place: the folder of a preset that holds such results, where some are kept.

    Raises:
        FileNotFoundError: the repository has no results of this config; the message says which it has.
    """
    if not is_stored(config):
        kept = sorted(path.parent.name for path in RESULTS.glob(f"*/{place}"))
        those = f"those of the preset {' and '.join(kept)} as it is" if kept else "none"
        raise FileNotFoundError(
            f"stored=True: {stored_folder(config)} has no results of this config; the repository keeps {those}; leave "
            "out stored to compute others"
        )


def whose(folder: Path) -> str:
    """Words for stored results: by which commits the tables were made that say so.

    Raises:
        DamagedFileError: a table is not what was written.
    """
    tables = [read_table(path, remedy=REMEDY) for path in sorted(folder.glob("*.parquet"))]
    commits = sorted({commit for table in tables if "commit" in table for commit in table["commit"]})
    return f"stored results of the repository, made by commit {' and '.join(one[:SHOWN] for one in commits)}"
