"""Resume points that survive a kill at any moment.

In: tensors, a JSON value and wall times. Out: a folder `<tokens>/` with `state.safetensors`, `progress.json` and
`manifest.json` (SHA-256 of both). It is written beside its place, flushed and renamed; two whole ones are kept; the
newest whole one is read. Wall times lie in it too, unhashed as no two runs share them, so that `timing.jsonl` beside
the points can always be made from the newest.
"""

import shutil
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from saelib.run.files import replace_folder, write_json, write_json_lines
from saelib.run.manifest import find_damage, write_manifest
from saelib.run.reading import DamagedFileError, as_object, read_json_lines, read_json_object, read_tensors
from saelib.run.timing import TIMING

KEPT = 2
STATE, PROGRESS = "state.safetensors", "progress.json"

Interval = dict[str, Any]


class ResumePoint(NamedTuple):
    """What was saved, whole."""

    folder: Path
    tensors: dict[str, Tensor]
    progress: dict[str, Any]
    intervals: list[Interval]
    """Wall times of all stretches up to here; as far as they are known."""


def save_resume_point(
    folder: Path,
    tokens: int,
    tensors: dict[str, Tensor],
    progress: dict[str, Any],
    kept: int = KEPT,
    intervals: Iterable[Interval] = (),
) -> None:
    """Write `folder/<tokens>/` whole, then drop all others but the newest `kept - 1` whole ones, and note wall times.

    Args:
        intervals: wall times of all stretches up to here.
    """
    from safetensors.torch import save_file

    intervals = list(intervals)

    def fill(temporary: Path) -> None:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, temporary / STATE)
        write_json(temporary / PROGRESS, progress)
        write_manifest(temporary)
        if intervals:
            write_json_lines(temporary / TIMING, intervals)

    replace_folder(folder / str(tokens), fill)
    settle(folder / str(tokens), intervals, kept)


def settle(newest: Path, intervals: list[Interval], kept: int = KEPT) -> None:
    """What follows once a resume point is there, and again when training goes on from it, as a kill may come between.

    All others but the newest `kept - 1` whole ones are dropped, and the wall times beside them become the point's own.
    """
    for old in _superfluous(newest, kept - 1):
        shutil.rmtree(old)
    if intervals:
        write_json_lines(newest.parent / TIMING, intervals)


def newest_resume_point(folder: Path) -> ResumePoint | None:
    """The newest whole resume point in `folder`, or None; a damaged one is passed over with a warning."""
    for found in _newest_first(folder):
        damage = find_damage(found)
        try:
            if damage is None:
                return _read(found)
        except DamagedFileError as error:
            damage = str(error)
        warnings.warn(f"resume point {found} is damaged ({damage}); trying the one before it", stacklevel=2)
    return None


def _read(found: Path) -> ResumePoint:
    progress = read_json_object(found / PROGRESS)
    return ResumePoint(found, read_tensors(found / STATE), progress, _intervals(found))


def _intervals(found: Path) -> list[Interval]:
    """Wall times of a point, or of an earlier release beside it; no result depends on them."""
    for path in (found / TIMING, found.parent / TIMING):
        with suppress(FileNotFoundError, DamagedFileError):
            return read_json_lines(path, as_object)
    return []


def _superfluous(new: Path, kept: int) -> Iterator[Path]:
    """All points beside `new` but so many: the newest that are whole, as a damaged one is no way back."""
    for found in _newest_first(new.parent):
        if found == new:
            continue
        if kept and find_damage(found) is None:
            kept -= 1
        else:
            yield found


def _newest_first(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if path.name.isdigit()), key=lambda path: -int(path.name))
