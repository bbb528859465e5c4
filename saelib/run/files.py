"""Where files live and how they are written: names, atomic writes, SHA-256 sums, and the two folders that git ignores.

A file written here is either whole or absent: it is made beside its place under a name that ends in `.temporary`,
flushed to disk and renamed. What a killed process leaves under such a name is deleted by who next has the run.
"""

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
WINDOWS = os.name == "nt"
CACHE = "cache"  # no run may be called so
TEMPORARY = ".temporary"  # at the end of the name of what is not yet written to its end
NAME = re.compile(r"[^\W_][\w.-]*")  # with a "-" in front, programs take it for an option
LONGEST_NAME = 100  # signs; most file systems allow 255 bytes, and locks and temporary files add to it


def runs_folder() -> Path:
    """Folder of all runs: `$SAELIB_RUNS`, or `runs/` beside the library; the full path, whatever folder is entered.

    Raises:
        ValueError: `$SAELIB_RUNS` can be no folder.
    """
    named = os.environ.get("SAELIB_RUNS", "")
    try:
        folder = Path(named if named.strip() else PROJECT / "runs").expanduser().absolute()
    except RuntimeError as error:  # ~nobody
        raise ValueError(f"SAELIB_RUNS={named!r}: {error} Give the folder's full path.") from error
    if folder.is_file():
        raise ValueError(f"SAELIB_RUNS={named!r} is a file; give a folder, which is made where it is not there")
    return folder


def cache_folder() -> Path:
    """Folder of things that can be made again (tokenised corpora): `cache/` inside the runs folder."""
    return runs_folder() / CACHE


def path_part(name: str, what: str = "") -> str:
    """The name, if it can be that of one file or folder, wherever names come from: it leads nowhere else.

    Args:
        what: it names, as the beginning of the message; empty where whoever calls says that.

    Raises:
        ValueError: it cannot.
    """
    start = f"{what}={name!r}: " if what else ""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(f"{start}use letters, digits, '.', '_' and '-', first a letter or a digit; it names a folder")
    if len(name) > LONGEST_NAME or len(name.encode()) > 2 * LONGEST_NAME:
        raise ValueError(f"{start}has {len(name)} signs, and a folder's name at most {LONGEST_NAME}")
    return name


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Have `write` make a file beside `path`, flush it, and rename it into place.

    Raises:
        OSError: it cannot be written; of a full disk, with `ENOSPC` and the path, whatever library wrote.
    """
    with naming_full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=TEMPORARY)
        os.close(handle)
    temporary = Path(name)
    try:
        with naming_full_disk(path):
            write(temporary)
            flush_to_disk(temporary)
        temporary.chmod(0o644)  # mkstemp makes private files; results are for everybody
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def naming_full_disk(path: Path) -> Iterator[None]:
    """Have a full disk said as such, with the place meant: libraries in C and Rust raise errors of their own.

    Raises:
        OSError: with `ENOSPC`, the remedy and the path.
    """
    try:
        yield
    except Exception as error:
        is_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        if not is_full and not any(words in str(error) for words in ("No space left on device", "os error 28")):
            raise
        remedy = "the disk or the quota is full; free some space and run again, what is finished is kept"
        raise OSError(errno.ENOSPC, remedy, str(path)) from error


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically; NaN and infinity are refused."""
    text = json.dumps(value, indent=2, allow_nan=False) + "\n"
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json_lines(path: Path, values: Iterable[Any]) -> None:
    """Write one JSON value per line, atomically; NaN and infinity are refused."""
    lines = [json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n" for value in values]
    # half of a surrogate pair, which is no UTF-8, is written as its JSON escape
    content = "".join(lines).encode("utf-8", "backslashreplace")
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def flush_to_disk(path: Path) -> None:
    """fsync one file or folder, so that a rename that follows cannot outrun its contents."""
    if WINDOWS and path.is_dir():  # there, folders cannot be flushed, and files only by who may write them
        return
    descriptor = os.open(path, os.O_RDWR if WINDOWS else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def replace_folder(folder: Path, fill: Callable[[Path], Any]) -> None:
    """Have `fill` make a folder beside `folder`, flush every file in it, and rename it into place.

    Where two processes make the same folder at the same moment, the first one's stays: both made the same.

    Raises:
        OSError: as `write_atomically`.
    """
    with naming_full_disk(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=TEMPORARY))
    new, old = temporary / "new", temporary / "old"
    try:
        with naming_full_disk(folder):
            new.mkdir(mode=0o755)
            fill(new)
            for path in (*new.rglob("*"), new):
                flush_to_disk(path)
        with suppress(FileNotFoundError):  # there is none, or another process was first
            folder.rename(old)  # whole, so that a process that is killed now leaves no half of it
        try:
            new.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
        flush_to_disk(folder.parent)
    finally:
        _put_back(temporary, folder)
        shutil.rmtree(temporary, ignore_errors=True)


def _put_back(temporary: Path, folder: Path) -> None:
    """Have the old folder in its place again, where the new one did not get there: it may be all that there is."""
    old = temporary / "old"
    if old.is_dir() and not folder.exists():
        old.rename(folder)


def remove_leftovers(folder: Path, seconds: float = 0) -> None:
    """Delete what killed processes were writing anywhere inside a folder; for whoever has it alone.

    A folder that was moved aside for a new one, which did not get there, is put back first.

    Args:
        seconds: age from which on it is taken for left over, where others may be writing.
    """
    newest = time.time() - seconds
    for path in sorted(folder.rglob(f".*{TEMPORARY}"), reverse=True):  # what is inside another one comes first
        with suppress(FileNotFoundError):  # another process was faster
            if seconds and path.lstat().st_mtime > newest:
                continue
            if path.is_dir():
                _put_back(path, path.with_name(_name_meant(path)))
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def _name_meant(temporary: Path) -> str:
    """Of what was to be written: "64" of ".64.k2x_81qa.temporary"."""
    return temporary.name.removesuffix(TEMPORARY)[1:].rpartition(".")[0]
