"""Run competitors, each in a process of its own, in alternating rounds.

In: competitors and the folder of the inputs. Out: `Run`s, each with what else was going on while it ran. Rounds go
A B C A B C rather than A A B B C C: a machine that slows down in between slows everybody.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.competitors import BUSY_PROGRAMS, Competitor
from benchmarks.inputs import write_work
from benchmarks.machine import busy_core_seconds, other_cores
from benchmarks.workload import Workload

PROJECT = Path(__file__).resolve().parents[1]
PEERS_PYTHON = PROJECT / ".venv-peers" / "bin" / "python"
# No competitor may look for a hub or a dashboard while it is timed.
QUIET = {"HF_HUB_OFFLINE": "1", "WANDB_MODE": "disabled", "TOKENIZERS_PARALLELISM": "false", "PYTHONWARNINGS": "ignore"}

Result = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """One process of one competitor."""

    competitor: Competitor
    work: Workload
    round: int
    """Counted from 1."""
    result: Result
    """What it reported."""
    other_cores: float | None
    """Cores that other programs used meanwhile, a neighbour too; None where the machine does not tell."""


def run(
    competitor: Competitor, work: Workload, folder: Path, peers_python: Path = PEERS_PYTHON, round_: int = 1
) -> Run:
    """Run one competitor and read the JSON line that it prints last.

    Raises:
        RuntimeError: it failed; the message holds the end of what it wrote.
    """
    write_work(work, folder)
    python = str(peers_python) if competitor.peer else sys.executable
    command = [python, "-m", f"benchmarks.{competitor.module}", str(folder), competitor.measure]
    with running_neighbour(competitor.neighbour):
        before, start, own = busy_core_seconds(), time.perf_counter(), children_cpu_seconds()
        done = subprocess.run(command, cwd=PROJECT, env=os.environ | QUIET, capture_output=True, text=True, check=False)
        others = other_cores(before, time.perf_counter() - start, children_cpu_seconds() - own)
    if done.returncode:
        raise RuntimeError(f"{competitor.key} failed ({' '.join(command)}):\n{done.stderr[-3000:]}")
    return Run(competitor, work, round_, json.loads(done.stdout.splitlines()[-1]), others)


@contextmanager
def running_neighbour(name: str | None) -> Iterator[None]:
    """One of `BUSY_PROGRAMS` for as long as the block lasts; None is no program."""
    if name is None:
        yield
        return
    started = subprocess.Popen([sys.executable, "-c", BUSY_PROGRAMS[name]], env=os.environ | {"OMP_NUM_THREADS": "1"})
    try:
        yield
    finally:
        started.kill()
        started.wait()


def children_cpu_seconds() -> float:
    """User and system time of the processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def alternate(
    competitors: Sequence[Competitor],
    rounds: int,
    run_one: Callable[[Competitor, int], Run],
    before_round: Callable[[], object],
) -> Iterator[Run]:
    """Every competitor once, then every competitor again.

    Args:
        run_one: from a competitor and the number of the round.
        before_round: called before each round, to wait until the machine is at rest.
    """
    for number in range(1, rounds + 1):
        before_round()
        for competitor in competitors:
            print(f"round {number} of {rounds}: {competitor.title} ...", file=sys.stderr, flush=True)
            yield run_one(competitor, number)
