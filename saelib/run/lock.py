"""One process at a time works on a run.

In: a run's folder, and what is about to be done. Out: the folder to oneself for a while, or an error that names the
process which has it. The lock is the operating system's (`flock`, through the library filelock): it ends with its
process, even by `kill -9`, so that no stale lock has to be removed by hand. A batch run holds it for all of its
notebooks; a notebook that is run by hand holds it while it computes or writes. A program that works under the lock of
its batch run has one of its own beside it: where the batch run is killed alone, whoever comes next waits for it.
"""

import os
import shlex
import socket
import sys
import threading
import time
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from saelib.run.config import Run
from saelib.run.files import cache_folder, naming_full_disk, remove_leftovers, write_json
from saelib.run.reading import read_json

HELD = "SAELIB_HELD_RUN"  # in the environment of the programs that a batch run starts: which lock it holds for them


_ONE_THREAD = threading.Lock()  # of this process, while it takes the lock or lets it go
NOTED = {"process", "machine", "command", "since"}
SHOWN_COMMAND = 160  # characters of the command of the process that holds a run
LAST_SECONDS = 5  # a notebook's kernel looks every second whether the program that started it is still there
A_DAY = 24 * 60 * 60


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
    lock = _taken(lock_file, holder_file)
    if lock is None:
        with _working_beside(folder):
            yield
        return
    try:
        if lock.lock_counter == 1 and _is_alone(folder):
            remove_leftovers(folder)
            remove_leftovers(cache_folder(), seconds=A_DAY)  # which other runs are using
        yield
    finally:
        _let_go(lock, holder_file)


@contextmanager
def writing(run: Run) -> Iterator[None]:
    """Hold a run and claim its folder, for as long as results are written to it.

    Raises:
        RunInUseError: another process has it; the message names it.
        FileExistsError: the folder holds a run with another config.
        PermissionError: these are stored results of the repository, beside which no lock is made either.
    """
    if run.config.stored:
        run.claim()  # which refuses
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


def _files_of_programs(folder: Path) -> Path:
    """Where the programs that work beside the holder of a run have their locks and notes."""
    return _files(folder)[0].with_suffix(".programs")


@contextmanager
def _working_beside(folder: Path) -> Iterator[None]:
    """Work under the lock of the batch run that started this program.

    The program's own lock comes first: a new holder writes its note first and then looks for such locks, so that one
    of the two sees the other.
    """
    programs = _files_of_programs(folder)
    lock_file, note = programs / f"{os.getpid()}.lock", programs / f"{os.getpid()}.json"
    lock = _taken(lock_file, note)
    if lock is None:  # a process of the same number in another container
        raise RunInUseError(_busy(folder.name, _holder(note)))
    try:
        held_file, holder_file = _files(folder)
        holder = _holder(holder_file)
        if os.environ.get(HELD) != _mark(held_file, holder.get("process")):
            raise RunInUseError(_busy(folder.name, holder))
        yield
    finally:
        _let_go(lock, note)
        with _ONE_THREAD, suppress(OSError):  # on Windows while another process looks at it
            if not lock.is_locked:
                lock_file.unlink(missing_ok=True)


def _is_alone(folder: Path) -> bool:
    """Whether the holder of a run is the only one at work on it; else programs of its own batch run are.

    Raises:
        RunInUseError: a program is at work which another batch run has started, and does not end.
    """
    deadline = time.monotonic() + LAST_SECONDS
    while True:
        others = _programs(folder)
        strangers = [note for note in others if not note or note.get("told") != os.environ.get(HELD)]
        if not strangers:
            return not others
        if time.monotonic() > deadline:
            raise RunInUseError(_busy(folder.name, strangers[0]))
        time.sleep(0.1)


def _programs(folder: Path) -> list[dict[str, Any]]:
    """Notes of the programs that work under a batch run's lock, or did when it was killed; what dead ones left goes."""
    notes = []
    for lock_file in _files_of_programs(folder).glob("*.lock"):
        note = lock_file.with_suffix(".json")
        lock = FileLock(lock_file)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            notes.append(_holder(note))
        else:
            lock.release()
            note.unlink(missing_ok=True)
            lock_file.unlink(missing_ok=True)
    return notes


def _taken(lock_file: Path, note: Path) -> FileLock | None:
    """The lock, taken, with a note of who has it; None where another process has it."""
    with naming_full_disk(lock_file):
        lock_file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(lock_file, is_singleton=True, thread_local=False)
    with _ONE_THREAD:
        try:
            with naming_full_disk(lock_file):
                lock.acquire(blocking=False)
        except Timeout:
            return None
        try:
            if lock.lock_counter == 1:
                write_json(note, _this_process())
        except OSError:  # the disk is full
            lock.release()
            raise
        return lock


def _let_go(lock: FileLock, note: Path) -> None:
    """Free a lock; whoever took it first removes its note."""
    with _ONE_THREAD:
        if lock.lock_counter == 1:
            note.unlink(missing_ok=True)
        lock.release()


def _mark(lock_file: Path, process: int | None) -> str:
    """What the programs that a process starts find in their environment."""
    return f"{lock_file} of process {process}"


def _this_process() -> dict[str, Any]:
    return {
        "process": os.getpid(),
        "machine": socket.gethostname(),
        "command": " ".join(shlex.join(sys.orig_argv).split())[:SHOWN_COMMAND],
        "since": datetime.now().strftime("%Y-%m-%d %H:%M:%S"),
        "told": os.environ.get(HELD),
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
