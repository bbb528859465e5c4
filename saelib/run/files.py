"""Where files live and how they are written: atomic writes, SHA-256 sums, and the two folders that git ignores.

A file written here is either whole or absent: it is made beside its place, flushed to disk and renamed.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

Parsed = TypeVar("Parsed")

PROJECT = Path(__file__).resolve().parents[2]
WINDOWS = os.name == "nt"
CACHE = "cache"  # no run may be called so


def runs_folder() -> Path:
    """Folder of all runs: `$SAELIB_RUNS`, or `runs/` beside the library; the full path, whatever folder is entered."""
    return Path(os.environ.get("SAELIB_RUNS") or PROJECT / "runs").expanduser().absolute()


def cache_folder() -> Path:
    """Folder of things that can be made again (tokenised corpora): `cache/` inside the runs folder."""
    return runs_folder() / CACHE


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Have `write` make a file beside `path`, flush it, and rename it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        flush_to_disk(temporary)
        temporary.chmod(0o644)  # mkstemp makes private files; results are for everybody
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically; NaN and infinity are refused."""
    text = json.dumps(value, indent=2, allow_nan=False) + "\n"
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def read_json(path: Path) -> Any:
    """The JSON value in `path`.

    Raises:
        ValueError: the file is not JSON; the message names it.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not valid JSON ({error}); delete it and run again") from error


def write_json_lines(path: Path, values: Iterable[Any]) -> None:
    """Write one JSON value per line, atomically; NaN and infinity are refused."""
    lines = [json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n" for value in values]
    write_atomically(path, lambda temporary: temporary.write_text("".join(lines), encoding="utf-8"))


def read_json_lines(path: Path, parse: Callable[[Any], Parsed]) -> list[Parsed]:
    """What `parse` makes of the JSON value of each line.

    Raises:
        ValueError: a line is not JSON, or not what `parse` wants; the message names file and line.
    """
    parsed = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                parsed.append(parse(json.loads(line)))
            except (ValueError, TypeError, KeyError) as error:
                problem = f"{path}, line {number}, cannot be read ({type(error).__name__}: {error})"
                raise ValueError(f"{problem}; mend it, or delete the file to have it made again") from error
    return parsed


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
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        fill(temporary)
        temporary.chmod(0o755)
        for path in temporary.rglob("*"):
            flush_to_disk(path)
        if folder.exists():
            shutil.rmtree(folder, ignore_errors=True)
        try:
            temporary.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
        flush_to_disk(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
