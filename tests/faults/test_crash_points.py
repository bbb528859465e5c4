"""A process ends before any of its file operations; the next one finishes the stage, and all files are equal."""

import random
import time
from functools import partial

from tests.faults.bench import Bench, Verdict, wrong_if
from tests.faults.cases import EVERY, how_many, of_stages, spread
from tests.faults.injection import CRASHED, Fault, crash, in_child, start
from tests.faults.stages import STAGES, WHOLE, Stage
from tests.faults.tally import Outcome


def after_crash(bench: Bench, stage: Stage, fault: Fault) -> Verdict:
    """A stage with a fault, and once more without."""
    bench.put_before(stage)
    first = in_child(partial(stage.work, bench.world), bench.place, fault)
    if first.code != CRASHED:
        return Verdict(Outcome.WRONG, str(first))
    return wrong_if(bench.problem_after(stage))


def crashes(bench: Bench, stage: Stage, most: int, torn: bool) -> list[str]:
    points = bench.operations(stage)
    trials = {f"{stage.name}, operation {at} of {points}": partial(after_crash, bench, stage, crash(at, torn))
              for at in spread(points, most)}  # fmt: skip
    return bench.try_all(f"{'torn write' if torn else 'kill'}: {stage.name}", trials)


@how_many(2, EVERY)
@of_stages
def test_a_stage_that_was_killed_ends_equal(bench: Bench, stage: Stage, most: int) -> None:
    assert not crashes(bench, stage, most, torn=False)


@how_many(1, 5)
@of_stages
def test_a_stage_with_a_torn_write_ends_equal(bench: Bench, stage: Stage, most: int) -> None:
    assert not crashes(bench, stage, most, torn=True)


def after_kill(bench: Bench, seconds: float) -> Verdict:
    """A whole run that is killed after some seconds, and once more as long as it takes."""
    bench.put_before(STAGES[0])
    child = start(partial(WHOLE.work, bench.world))
    time.sleep(seconds)
    child.kill()
    child.ending()
    return wrong_if(bench.problem_after(WHOLE))


@how_many(1, 6)
def test_a_run_that_was_killed_at_any_time_ends_equal(bench: Bench, most: int) -> None:
    began = time.monotonic()
    bench.put_before(STAGES[0])
    in_child(partial(WHOLE.work, bench.world))
    whole, chance = time.monotonic() - began, random.Random(most)
    trials = {f"kill {number}": partial(after_kill, bench, chance.uniform(0, whole)) for number in range(most)}
    assert not bench.try_all("kill -9 at any time", trials)
