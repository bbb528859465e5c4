"""The clock is wrong: files come from the future, or the clock was set back meanwhile; no result depends on either."""

import os
import time
from functools import partial
from pathlib import Path

import pytest

from tests.faults.bench import Bench, Verdict, wrong_if
from tests.faults.folders import contents, differences, restore
from tests.faults.injection import in_child
from tests.faults.stages import STAGES, Stage
from tests.faults.tally import Outcome

YEARS = 10 * 365.25 * 86_400  # seconds
NOW = time.time()
CLOCKS = {"files from the future": (NOW + YEARS, NOW), "clock set back": (NOW, NOW - YEARS),
          "files from before the clock": (0.0, NOW), "clock at its beginning": (NOW, 1.0)}  # fmt: skip
"""When the files that are there were written, and what the clock says then."""
HALVES = ("train transfer", "H-Test asks", pytest.param("evaluate transfer", marks=pytest.mark.faults))


def date(folder: Path, when: float) -> None:
    """Have all files and folders be written at a moment."""
    for path in folder.rglob("*"):
        os.utime(path, (when, when))


def at_another_time(bench: Bench, stage: Stage, half: Path, written: float, now: float) -> Verdict:
    """A run half done that goes on when the clock says something else."""
    restore(half, bench.place)
    date(bench.place, written)

    def work() -> None:
        time.time = lambda: now
        stage.work(bench.world)

    ending = in_child(work)
    if ending.code:
        return Verdict(Outcome.WRONG, str(ending))
    return wrong_if("; ".join(differences(contents(bench.place), bench.right(stage))[:4]))


@pytest.mark.parametrize("name", HALVES)
def test_a_run_goes_on_whatever_the_clock_says(bench: Bench, name: str) -> None:
    stage = next(stage for stage in STAGES if stage.name == name)
    half = bench.half(stage)
    trials = {f"{name}, {clock}": partial(at_another_time, bench, stage, half, *times)
              for clock, times in CLOCKS.items()}  # fmt: skip
    assert not bench.try_all("clock", trials)
