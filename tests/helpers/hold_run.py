"""A program that holds a run as a batch run does, until its input ends: `python -m tests.helpers.hold_run FOLDER`.

It says "held" and what it tells the programs that it starts or, on standard error and with exit code 1, why it does
not hold the run.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from saelib.run.files import PROJECT
from saelib.run.lock import HELD, RunInUseError, hold_for_children


class Holder(NamedTuple):
    """A process that holds a run."""

    process: subprocess.Popen[str]
    told: str
    """What the programs that it starts find in `$SAELIB_HELD_RUN`."""

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        """`kill -9`."""
        self.process.kill()
        self.process.wait()


def command(folder: Path) -> list[str]:
    return [sys.executable, "-m", "tests.helpers.hold_run", str(folder)]


@contextmanager
def held_by_another(folder: Path) -> Iterator[Holder]:
    """A process that holds the run, until the block ends."""
    with subprocess.Popen(
        command(folder), cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        held, _, told = process.stdout.readline().rstrip().partition(" ")
        assert held == "held"
        yield Holder(process, told)
        process.kill()


def can_hold(folder: Path, **changes: str) -> bool:
    """Whether a program that is started now can hold the run; its environment is this one with changes."""
    done = subprocess.run(
        command(folder), cwd=PROJECT, env=os.environ | changes, input="", capture_output=True, text=True, check=False
    )
    assert (done.stdout[:5], done.returncode) in {("held ", 0), ("", 1)}, done.stderr
    return done.returncode == 0


if __name__ == "__main__":
    try:
        with hold_for_children(Path(sys.argv[1])):
            print("held", os.environ[HELD], flush=True)
            sys.stdin.read()
    except RunInUseError as error:
        sys.exit(str(error))
