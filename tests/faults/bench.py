"""Where faults are tried: a small run, finished once, and lanes in which trials run side by side.

In: trials. Out: what became of each, counted. A trial may do to its lane's runs folder what it likes, and begins by
putting there what a run has before, or after, a stage.
"""

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.faults.folders import Contents, contents, differences, restore
from tests.faults.injection import crash, in_child, start
from tests.faults.stages import STAGES, Stage, World
from tests.faults.tally import Outcome, Tally

LANES = min(2, os.cpu_count() or 1)
HOUR = 3600.0


class Verdict(NamedTuple):
    """What became of a fault."""

    outcome: Outcome
    why: str = ""
    """What is wrong, where something is."""


RECOVERED, REFUSED = Verdict(Outcome.RECOVERED), Verdict(Outcome.REFUSED)
Trial = Callable[[], Verdict]


def wrong_if(problem: str) -> Verdict:
    """Recovered, unless there is a problem."""
    return Verdict(Outcome.WRONG, problem) if problem else RECOVERED


class Bench:
    """A run in all its stages, and a place for trials."""

    def __init__(self, world: World, folder: Path, tally: Tally) -> None:
        """Nothing is made yet."""
        self.world, self.folder, self.tally = world, folder, tally
        self._kept, self._lanes = folder / "kept", folder / "lanes"
        self._operations: dict[Stage, int] = {}

    @property
    def place(self) -> Path:
        """The runs folder of this lane."""
        return Path(os.environ["SAELIB_RUNS"])

    def finish(self) -> None:
        """Do all stages in this process, undisturbed, and keep the runs folder after each."""
        restore(None, self.place)
        for stage in STAGES:
            stage.work(self.world)
            restore(self.place, self._kept / stage.name)

    def put_before(self, stage: Stage) -> None:
        """The lane's runs folder as it is right before a stage."""
        number = STAGES.index(stage)
        restore(self._kept / STAGES[number - 1].name if number else None, self.place)

    def half(self, stage: Stage) -> Path:
        """The runs folder that a process leaves which is killed in the middle of a stage; to be read only."""
        kept = self._kept / f"half of {stage.name}"
        if not kept.is_dir():
            middle = self.operations(stage) * 2 // 3
            self.put_before(stage)
            in_child(lambda: stage.work(self.world), self.place, crash(middle))
            restore(self.place, kept)
        return kept

    def after(self, stage: Stage) -> Path:
        """The runs folder as an undisturbed run leaves it after a stage; to be read only."""
        return self._kept / stage.name

    def right(self, stage: Stage) -> Contents:
        """What an undisturbed run has after a stage."""
        return contents(self.after(stage))

    def problem_after(self, stage: Stage) -> str:
        """Start a stage again, to its end; what is wrong then, empty where nothing is."""
        again = in_child(partial(stage.work, self.world))
        if again.code:
            return f"started again, it {again}"
        return "; ".join(differences(contents(self.place), self.right(stage))[:4])

    def operations(self, stage: Stage) -> int:
        """How many file operations a stage has; counted once."""
        if stage not in self._operations:
            self._operations[stage] = self._count_operations(stage)
        return self._operations[stage]

    def _count_operations(self, stage: Stage) -> int:
        counted: list[int] = []

        def work() -> int:
            stage.work(self.world)
            return len(counted)

        self.put_before(stage)
        ending = in_child(work, self.place, lambda number, _: counted.append(number))
        assert ending.code == 0, ending.trace
        return int(ending.said)

    def try_all(self, kind: str, trials: Mapping[str, Trial]) -> list[str]:
        """Do trials side by side, and count them; returns what was wrong, by the trial's name."""
        lanes = [list(trials)[lane::LANES] for lane in range(LANES)]
        children = [start(partial(self._work, lane, [trials[name] for name in lanes[lane]])) for lane in range(LANES)]
        found: dict[str, list[str]] = {}
        for names, child in zip(lanes, children, strict=True):
            ending = child.ending(HOUR)
            assert ending.code == 0, f"{ending} {ending.trace}"
            found |= dict(zip(names, ending.said, strict=True))
        for outcome, _ in found.values():
            self.tally.add(kind, Outcome(outcome))
        return [f"{name}: {why}" for name, (outcome, why) in found.items() if outcome == Outcome.WRONG]

    def _work(self, lane: int, trials: list[Trial]) -> list[Verdict]:
        os.environ["SAELIB_RUNS"] = str(self._lanes / str(lane) / "runs")
        return [trial() for trial in trials]
