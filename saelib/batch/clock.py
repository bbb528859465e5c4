"""The clock of a machine may be set back while a run goes on or between two: what a batch run does without it.

In: files. Out: whether a file was written again, and files that are not from the future: Snakemake compares the times
of a notebook and of those that it builds on, and fails a notebook that seems older than they are.
"""

import os
import time
from pathlib import Path

State = tuple[int, int, int]
"""Of a file: its number on the disk, its size and its time in nanoseconds; another one once it was written again."""


def state_of(path: Path) -> State | None:
    """What tells whether a file was written again; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def settle_times(folder: Path) -> None:
    """Give files right in a folder that are of the future the present time."""
    now = time.time()
    for path in folder.glob("*"):
        if path.stat().st_mtime > now:
            os.utime(path, (now, now))
