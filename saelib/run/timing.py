"""How long stretches of a run took: one JSON line for each, in `timing.jsonl`.

In: what was done, and in how many seconds. Out: a file that is added to, and that a phase which goes on from a resume
point sets back to it; no result depends on it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saelib.run.files import naming_full_disk

TIMING = "timing.jsonl"


def write_interval(folder: Path, interval: Mapping[str, Any]) -> None:
    """Add a stretch of work to `folder/timing.jsonl`.

    Raises:
        OSError: it cannot be written; of a full disk as `write_atomically`.
    """
    with naming_full_disk(folder / TIMING), (folder / TIMING).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(interval) + "\n")


def read_intervals(folder: Path) -> list[dict[str, Any]]:
    """All stretches noted in the folders right below `folder`, by the name of their folder, then in time.

    A line that a killed process left half, or that is damaged, is passed over.
    """
    lines = (line for path in sorted(folder.glob(f"*/{TIMING}")) for line in path.read_bytes().splitlines())
    return [interval for interval in map(_interval, lines) if interval]


def _interval(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
