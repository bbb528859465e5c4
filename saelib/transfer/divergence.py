"""How many SAEs of a run diverged, in words, for wherever its numbers stand.

In: the folder of a run. Out: a clause, empty where all is well.
"""

from pathlib import Path

from saelib.transfer.checks import DIVERGED
from saelib.transfer.finished import logs_of


def left_out(run_folder: Path) -> str:
    """What numbers of a run leave out: SAEs that diverged, with what is compared with them."""
    try:
        log = logs_of(run_folder).together()
    except FileNotFoundError:
        return ""
    if DIVERGED not in log:
        return ""
    sae = ["arm", "sae_layer", "seed"]
    lost, trained = (len(rows.drop_duplicates(sae)) for rows in (log[log[DIVERGED].notna()], log))
    return (
        f"without the {lost} of {trained} SAEs that diverged, and without the same layer and replicate in what is "
        "compared with them"
    )
