"""Two folders of runs compared byte for byte, without what no two runs share: wall times, and who holds them.

In: folders. Out: the differences, a line for each. Temporary files are differences too, except in the cache, where
those of other processes may be at work.
"""

import difflib
import re
import shutil
from pathlib import Path

from saelib.run.files import CACHE
from saelib.run.timing import TIMING

WALL_TIMES = {TIMING}
OF_THE_CLOCK = (
    re.compile(rb"<tr><td>report written</td>.*?</tr>"),
    re.compile(rb'"seconds": [0-9.e+-]+'),
    re.compile(rb'"fine_tuning\.json": "[0-9a-f]{64}"'),  # in a manifest: the record of a tuning has its wall time
)
LOCKS = ".locks"  # the operating system ends a lock with its process; who held it is noted there
Contents = dict[str, bytes]


def contents(folder: Path) -> Contents:
    """Every file's bytes by its place."""
    files = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {place.as_posix(): _without_clock(path) for place, path in files.items() if not _is_no_result(place)}


def _without_clock(path: Path) -> bytes:
    content = path.read_bytes()
    for told in OF_THE_CLOCK if path.suffix in (".html", ".json") else ():
        content = told.sub(b"", content)
    return content


def _is_no_result(place: Path) -> bool:
    is_ones_own = place.parts[0] == CACHE and any(part.startswith(".") for part in place.parts)
    return place.name in WALL_TIMES or place.parts[0] == LOCKS or is_ones_own


def differences(found: Contents, right: Contents) -> list[str]:
    """What is missing, what is there in excess, and what is another."""
    return [
        *(f"{place} is missing" for place in sorted(right.keys() - found.keys())),
        *(f"{place} is there too" for place in sorted(found.keys() - right.keys())),
        *(f"{place} differs{_where(found[place], right[place])}" for place in sorted(found.keys() & right.keys())
          if found[place] != right[place]),
    ]  # fmt: skip


def _where(found: bytes, right: bytes) -> str:
    """The first line that differs, of a text."""
    try:
        lines = difflib.unified_diff(right.decode().splitlines(), found.decode().splitlines(), lineterm="", n=0)
    except UnicodeDecodeError:
        return f" ({len(found)} bytes, {len(right)} are right)"
    return ": " + " | ".join(line[:160] for line in list(lines)[3:5])


def restore(template: Path | None, folder: Path) -> None:
    """The folder anew, as the template is; empty without one."""
    shutil.rmtree(folder, ignore_errors=True)
    if template is None:
        folder.mkdir(parents=True)
    else:
        shutil.copytree(template, folder)
