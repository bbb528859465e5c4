"""How long stretches of a run took: one JSON line for each, in `timing.jsonl`.

In: what was done, and in how many seconds. Out: a file that is only ever added to; no result depends on it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TIMING = "timing.jsonl"


def write_interval(folder: Path, interval: Mapping[str, Any]) -> None:
    """Add a stretch of work to `folder/timing.jsonl`."""
    with (folder / TIMING).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(interval) + "\n")


def read_intervals(folder: Path) -> list[dict[str, Any]]:
    """All stretches noted in the folders right below `folder`, by the name of their folder, then in time."""
    return [
        json.loads(line)
        for path in sorted(folder.glob(f"*/{TIMING}"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
