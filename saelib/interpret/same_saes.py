"""Whether a part of a table is still of the SAEs that are there now.

In: a part, and its SAEs. Out: nothing, or an error that names the remedy.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from saelib.interpret.interpretation import Interpretation
from saelib.interpret.subjects import Subject

if TYPE_CHECKING:
    import pandas as pd


def check_same_saes(interpretation: Interpretation, part: "pd.DataFrame", place: Path, *subjects: Subject) -> None:
    """Refuse a part that was made of other SAEs than those that are there now; deleted ones are taken as they were.

    Args:
        part: with a column `sae_sha256`, `interpretation.sha256(*subjects)` in every row.
        place: of its file.

    Raises:
        ValueError: it was; the message names the file and the remedy.
    """
    if interpretation.config.stored or not all(interpretation.folder_of(one).is_dir() for one in subjects):
        return
    if len(part) and set(part["sae_sha256"]) != {interpretation.sha256(*subjects)}:
        raise ValueError(
            f"{place} was made of another SAE than {' and '.join(map(str, subjects))} as it is now; put the SAE back "
            f"as it was, or delete {interpretation.interpret_folder}, and all in it is made again"
        )
