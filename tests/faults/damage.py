"""Damages of a file on disk, and which files of a run are tried.

In: a file. Out: the file damaged, as disks, copies and hands do it.
"""

import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from tests.faults.folders import LOCKS, WALL_TIMES

FOLDERS_APART = ("saes", "maps", "resume_points")
"""Below these, a folder is swapped with its sibling as a whole too, with the manifest in it."""


def absent(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def byte_flipped(path: Path) -> None:
    """One bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def number_changed(path: Path) -> None:
    """One bit of a parquet file, where a reader that compares no checksums finds another table and no error."""
    content, right = path.read_bytes(), pd.read_parquet(path)
    for place in range(4, len(content), 11):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        with suppress(Exception):  # whatever a reader without checksums stumbles over
            if not pd.read_parquet(path).equals(right):
                return


def half_zeroed(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))


def not_utf8(path: Path) -> None:
    """As an editor saves it that takes another encoding."""
    path.write_bytes(b"\xff\xfe" + path.read_bytes())


def swapped(path: Path) -> None:
    """With its sibling: the file of the same name, or of the same kind, that comes next."""
    other = sibling(path)
    assert other is not None
    aside = path.with_name(f"{path.name}.aside")
    for old, new in ((path, aside), (other, path), (aside, other)):
        shutil.move(old, new)


DAMAGES: Mapping[str, Callable[[Path], None]] = MappingProxyType({
    "absent": absent, "empty": empty, "truncated": truncated, "byte flipped": byte_flipped, "half zeroed": half_zeroed,
    "not UTF-8": not_utf8, "swapped": swapped, "number changed": number_changed,
})  # fmt: skip


def sibling(path: Path) -> Path | None:
    """Something of the same kind with another content, in the same folder or in one beside it."""
    near = [*path.parent.glob(f"*{path.suffix}"), *path.parent.parent.glob(f"*/{path.name}"),
            *path.parent.parent.parent.glob(f"*/*/{path.name}")]  # fmt: skip
    alike = [other for other in near if other != path and kind_of(other) == kind_of(path)]
    return next((other for other in alike if other.is_dir() or other.read_bytes() != path.read_bytes()), None)


def kind_of(path: Path) -> str:
    """The path without what tells one file of a kind from the next: numbers, arms, tasks, conditions."""
    return re.sub(r"\d+|forward|backward|scratch|transfer|end_ly|uppercase|(control-[a-z_]+|embedded)-.*?(?=/)", "*",
                  path.as_posix())  # fmt: skip


def tried(folder: Path) -> Iterable[tuple[Path, str]]:
    """A file of each kind below a folder of runs, with every damage that it can have; then whole folders."""
    files = [path for path in folder.rglob("*") if path.is_file() and not _is_left_out(path.relative_to(folder))]
    folders = [path.parent for path in files if path.relative_to(folder).parts[1] in FOLDERS_APART]
    for path in _one_of_each_kind(files):
        for name in DAMAGES:
            if (name != "swapped" or sibling(path)) and (name != "number changed" or path.suffix == ".parquet"):
                yield path.relative_to(folder), name
    for path in _one_of_each_kind(path for path in set(folders) if sibling(path)):
        yield path.relative_to(folder), "swapped"


def _is_left_out(place: Path) -> bool:
    """What no reader needs: locks, wall times, temporary files, and what notebooks show."""
    shown = {"values", "tables", "figures", "notebooks"} & {*place.parts} or place.suffix == ".html"
    return place.parts[0] == LOCKS or place.name in WALL_TIMES or any(map(is_temporary, place.parts)) or bool(shown)


def is_temporary(part: str) -> bool:
    return part.startswith(".")


def _one_of_each_kind(paths: Iterable[Path]) -> Iterable[Path]:
    """The one in the middle: neither the first nor the last layer, arm or token count."""
    ordered = sorted(paths, key=lambda path: (kind_of(path), path.as_posix()))
    for _, alike in groupby(ordered, key=kind_of):
        same = list(alike)
        yield same[len(same) // 2]
