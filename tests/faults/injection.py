"""Faults at a chosen file operation of a process: the process ends there, or the operation fails, or it waits.

In: work to do, and a fault. Out: how a child process with the fault ended. The child is a fork of this process, in
which all libraries are loaded already, so that a trial takes the time of its work alone. File operations are seen by an
audit hook (PEP 578), which hears of every one that Python does, whoever calls it, before it is done. What C code writes
(safetensors, parquet) lies between two of them; `fsync` changes nothing that a killed process leaves behind.
"""

import ctypes
import errno
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

CRASHED = 70  # exit code of a child that a fault has ended
MAY_TAKE = 120.0  # seconds; whoever takes longer hangs
CHANGES = {"os.rename": 1, "os.remove": 0, "os.mkdir": 0, "os.rmdir": 0, "os.truncate": 0}
"""Audit events of operations that change something, and where among the arguments the place is that changes."""
COUNTED_FROM = {"os.rename": 3, "os.remove": 1, "os.mkdir": 2, "os.rmdir": 1}
"""Where the descriptor of the folder is from which that place is counted; -1 there means none."""
DIES_WITH_PARENT = 1  # PR_SET_PDEATHSIG
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Operation(NamedTuple):
    """Something that is about to be done to a file or folder."""

    name: str
    path: Path

    @property
    def changes(self) -> bool:
        """Whether anything is another afterwards: a folder that is there is not made again."""
        there = os.path.lexists(self.path)
        return there != (self.name == "os.mkdir") or self.name in ("open", "os.rename")


class Ending(NamedTuple):
    """How a child ended."""

    code: int
    """0, or `CRASHED`, or 1 by an error; a negative one names a signal."""
    kind: str = ""
    """Type of the error."""
    message: str = ""
    trace: str = ""
    said: Any = None
    """What its work returned, as JSON holds it."""

    def __str__(self) -> str:
        """One line."""
        return f"ended by {self.code} {self.kind}: {self.message}"


Fault = Callable[[int, Operation], None]
"""What happens before the operation of that number, from 1."""


def crash(at: int, torn: bool = False) -> Fault:
    """The process ends before its `at`-th operation, as by `kill -9`.

    Args:
        torn: the file that was last opened for writing keeps the first half of its bytes, as after a power cut.
    """
    written: list[Path] = []

    def fault(number: int, operation: Operation) -> None:
        if number == at:
            if torn and written and written[-1].is_file():
                os.truncate(written[-1], written[-1].stat().st_size // 2)
            os._exit(CRASHED)
        if operation.name == "open":
            written.append(operation.path)

    return fault


def disk_full(at: int) -> Fault:
    """From the `at`-th operation on there is no space for anything new; what is there can be removed and renamed."""

    def fault(number: int, operation: Operation) -> None:
        if number >= at and operation.name in ("open", "os.mkdir") and not os.path.lexists(operation.path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(operation.path))

    return fault


def pause(at: int, reached: int, go: int) -> Fault:
    """The process says so at its `at`-th operation, and waits; both by pipes."""

    def fault(number: int, _: Operation) -> None:
        if number == at:
            os.write(reached, b".")
            os.read(go, 1)

    return fault


class Child(NamedTuple):
    """A fork of this process at work."""

    process: int
    pipe: int

    def ending(self, may_take: float = MAY_TAKE) -> Ending:
        """Wait for it; one that hangs is killed, and says so by its signal."""
        deadline = time.monotonic() + may_take
        while os.waitid(os.P_PID, self.process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if time.monotonic() > deadline:
                self.kill()
            time.sleep(0.002)
        _, status = os.waitpid(self.process, 0)
        with os.fdopen(self.pipe) as stream:
            said = stream.read()
        return Ending(*json.loads(said)) if said else Ending(os.waitstatus_to_exitcode(status))

    def kill(self) -> None:
        """`kill -9`."""
        os.kill(self.process, signal.SIGKILL)


def start(work: Callable[[], Any], below: Path | None = None, fault: Fault | None = None) -> Child:
    """Begin work in a fork of this process, with a fault among its file operations in the folder `below`."""
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        ctypes.CDLL(None).prctl(DIES_WITH_PARENT, signal.SIGKILL)
        _work_and_exit(work, below, fault, writing)
    os.close(writing)
    return Child(child, reading)


def in_child(work: Callable[[], Any], below: Path | None = None, fault: Fault | None = None) -> Ending:
    """`start`, and the end of it."""
    return start(work, below, fault).ending()


def _work_and_exit(work: Callable[[], Any], below: Path | None, fault: Fault | None, pipe: int) -> None:
    code, ending = 1, Ending(1)
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nowhere, descriptor)
        if below is not None and fault is not None:
            watch(below, fault)
        code, ending = 0, Ending(0, said=work())
    except BaseException as error:  # noqa: BLE001 (whatever ends a child is what its parent asks about)
        ending = Ending(1, type(error).__name__, str(error), traceback.format_exc())
    with open(pipe, "w") as stream:
        stream.write(json.dumps(ending))
    os._exit(code)


def watch(below: Path, fault: Fault) -> None:
    """Call `fault` before each operation of this process that changes something below a folder, for good."""
    count, below = 0, below.resolve()

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        operation = _operation(event, arguments)
        if operation is not None and operation.path.is_relative_to(below) and operation.changes:
            count += 1
            fault(count, operation)

    sys.addaudithook(hear)


def _operation(event: str, arguments: tuple[Any, ...]) -> Operation | None:
    if event == "open":
        path, _, flags = arguments
        writes = isinstance(path, str | bytes | os.PathLike) and flags & WRITES
        return Operation(event, Path.cwd() / os.fsdecode(path)) if writes else None
    if event not in CHANGES:
        return None
    folder = arguments[COUNTED_FROM[event]] if event in COUNTED_FROM else -1
    start = Path(f"/proc/self/fd/{folder}").readlink() if folder >= 0 else Path.cwd()
    return Operation(event, start / os.fsdecode(arguments[CHANGES[event]]))
