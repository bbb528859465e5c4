"""One process at a time works on a run.

In: a run's folder, and what is about to be done. Out: the folder to oneself for a while, or an error that names the
process which has it. The lock is the operating system's (`flock`, through the library filelock): it ends with its
process, even by `kill -9`, so that no stale lock has to be removed by hand. A batch run holds it for all of its
notebooks; a notebook that is run by hand holds it while it computes or writes.
"""

import os
import shlex
import socket
import sys
import threading
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from saelib.run.config import Run
from saelib.run.files import read_json, write_json

HELD = "SAELIB_HELD_RUN"  # in the environment of the programs that a batch run starts: which lock it holds for them


_ONE_THREAD = threading.Lock()  # of this process, while it takes the lock or lets it go
NOTED = {"process", "machine", "command", "since"}
SHOWN_COMMAND = 160  # characters of the command of the process that holds a run


class RunInUseError(RuntimeError):
    """Another process is at work on the run."""


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Have a run to oneself; may be held again inside, and in programs that the holder starts.

    A program that outlives the batch run which started it holds the run itself, if nobody else does by then.

    Args:
        folder: `runs/<run>`; need not be there yet.

    Raises:
        RunInUseError: another process has it; the message names it.
        FileExistsError: on many file systems the folder would be another run's.
    """
    refuse_double(folder)
    lock_file, holder_file = _files(folder)
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(lock_file, is_singleton=True, thread_local=False)
    if not _acquired(lock, holder_file):
        if os.environ.get(HELD) != _mark(lock_file, _holder(holder_file).get("process")):
            raise RunInUseError(_busy(folder.name, _holder(holder_file)))
        yield
        return
    try:
        yield
    finally:
        with _ONE_THREAD:
            if lock.lock_counter == 1:
                holder_file.unlink(missing_ok=True)
            lock.release()


@contextmanager
def writing(run: Run) -> Iterator[None]:
    """Hold a run and claim its folder, for as long as results are written to it.

    Raises:
        RunInUseError: another process has it; the message names it.
        FileExistsError: the folder holds a run with another config.
    """
    with hold(run.folder):
        run.claim()
        yield


@contextmanager
def hold_for_children(folder: Path) -> Iterator[None]:
    """Have a run to oneself and to every program that is started meanwhile: what a batch run does.

    Raises:
        RunInUseError: another process has it; the message names it.
    """
    lock_file, holder_file = _files(folder)
    with hold(folder):
        outer = os.environ.get(HELD)
        os.environ[HELD] = _mark(lock_file, _holder(holder_file).get("process"))
        try:
            yield
        finally:
            del os.environ[HELD]
            if outer is not None:
                os.environ[HELD] = outer


def refuse_double(folder: Path) -> None:
    """Refuse a new run whose folder would be another run's where a file system does not tell capitals apart.

    So it is on macOS and Windows by default, and for the two ways to write "é", and a dot at the end.

    Raises:
        FileExistsError: such a run is there; the message names it.
    """
    there = [path.name for path in folder.parent.iterdir()] if folder.parent.is_dir() else []
    for name in there if folder.name not in there else ():
        if _folded(name) == _folded(folder.name):
            raise FileExistsError(f"run={folder.name!r}: run {name!r} is there, and many file systems take both names "
                                  "for one folder; name another run")  # fmt: skip


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold().rstrip(".")


def _files(folder: Path) -> tuple[Path, Path]:
    """The lock, and the note of who has it; beside the runs, so that a run that is refused leaves no folder."""
    folder = folder.resolve()  # whatever links lead there
    place = folder.parent / ".locks"
    return place / f"{folder.name}.lock", place / f"{folder.name}.json"


def _acquired(lock: FileLock, holder_file: Path) -> bool:
    """Take the lock, with a note of who has it; False where another process has it."""
    with _ONE_THREAD:
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return False
        if lock.lock_counter == 1:
            write_json(holder_file, _this_process())
        return True


def _mark(lock_file: Path, process: int | None) -> str:
    """What the programs that a process starts find in their environment."""
    return f"{lock_file} of process {process}"


def _this_process() -> dict[str, Any]:
    return {
        "process": os.getpid(),
        "machine": socket.gethostname(),
        "command": " ".join(shlex.join(sys.orig_argv).split())[:SHOWN_COMMAND],
        "since": datetime.now().strftime("%Y-%m-%d %H:%M:%S"),
    }


def _holder(holder_file: Path) -> dict[str, Any]:
    """The note of the process that has the lock; empty while it has not yet written one, or where it is damaged."""
    try:
        note = read_json(holder_file)
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) and note.keys() >= NOTED else {}


def _busy(run: str, holder: Mapping[str, Any]) -> str:
    known = "process {process} on {machine} since {since} ({command})"
    who = known.format(**holder) if holder else "another process"
    return f"run {run!r} is in use by {who}: wait until it ends, stop it, or name another run"
