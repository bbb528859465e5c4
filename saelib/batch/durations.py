"""How long the notebooks of a run took and what the run weighs, measured, so that the next one says what it will take.

In: seconds of each notebook as it ends. Out: lines in `runs/<run>/notebooks/timing.jsonl`, which is only added to:
notebooks may end at the same moment. `make publish` keeps the default run's.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from saelib.batch.notebooks import NOTEBOOKS
from saelib.batch.settings import Settings
from saelib.run.files import runs_folder
from saelib.run.stored import RESULTS
from saelib.run.timing import TIMING, read_intervals, write_interval

DURATIONS = f"notebooks/{TIMING}"


class Durations(NamedTuple):
    """What a complete run took."""

    source: Path
    """Folder of the run, or of its stored results."""
    cores: int
    seconds: Mapping[str, float]
    """Of each notebook: of its longest execution, since a later one finds what an earlier one computed."""
    bytes: int
    """Of the run's folder when it was complete."""


def note_duration(folder: Path, notebook: str, seconds: float) -> None:
    """Keep how long a notebook took."""
    _note(folder, notebook=notebook, seconds=round(seconds, 1), cores=os.cpu_count())


def note_size(folder: Path) -> None:
    """Keep what a complete run weighs."""
    _note(folder, bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()))


def size_of_notes(folder: Path) -> int:
    """How long the file of notes is: what is noted from now on stands behind it."""
    path = folder / DURATIONS
    return path.stat().st_size if path.is_file() else 0


def ended_since(folder: Path, size: int) -> set[str]:
    """Notebooks that have ended since the file of notes was so long."""
    path = folder / DURATIONS
    lines = path.read_bytes()[size:].decode(errors="replace").splitlines() if path.is_file() else []
    return {notebook.name for notebook in NOTEBOOKS if any(f'"{notebook.name}"' in line for line in lines)}


def known_durations(settings: Settings) -> Durations | None:
    """Of this run, else of the preset's own run on this machine, else as published; None where none was complete."""
    for folder in (settings.folder, runs_folder() / settings.preset, RESULTS / settings.preset):
        lines = read_intervals(folder)
        notes = [line for line in lines if "notebook" in line]
        sizes = [line["bytes"] for line in lines if "bytes" in line]
        if notes and sizes:
            seconds: dict[str, float] = {}
            for note in notes:
                seconds[note["notebook"]] = max(seconds.get(note["notebook"], 0.0), note["seconds"])
            return Durations(folder, notes[-1]["cores"], seconds, sizes[-1])
    return None


def _note(folder: Path, **note: object) -> None:
    (folder / "notebooks").mkdir(parents=True, exist_ok=True)
    write_interval(folder / "notebooks", note)
