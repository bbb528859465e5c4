"""Two processes at once on one run: one does it, the other is told who has it; and the folder is that of one alone."""

import os
from functools import partial

import pytest

from tests.faults.bench import Bench, Verdict, wrong_if
from tests.faults.cases import how_many, of_stages, spread
from tests.faults.injection import Ending, in_child, pause, start
from tests.faults.stages import Stage
from tests.faults.tally import Outcome


def said_clearly(ending: Ending, holder: int | None = None) -> str:
    """What is wrong about how a second process ended: it finds the work done, or who is at it, once that is noted."""
    who = ("another process", "process " if holder is None else f"process {holder} ")
    clear = ending.kind == "RunInUseError" and any(name in ending.message for name in who)
    return "" if ending.code == 0 or clear else str(ending)


def beside_another(bench: Bench, stage: Stage, at: int) -> Verdict:
    """A process that comes while another one is in the middle of the stage."""
    bench.put_before(stage)
    (reached, says), (waits, go) = os.pipe(), os.pipe()
    first = start(lambda: stage.work(bench.world), bench.place, pause(at, says, waits))
    os.read(reached, 1)
    second = in_child(lambda: stage.work(bench.world))
    os.write(go, b".")
    ending = first.ending()
    for descriptor in (reached, says, waits, go):
        os.close(descriptor)
    if ending.code:
        return Verdict(Outcome.WRONG, f"the first one {ending}")
    return wrong_if(said_clearly(second, first.process) or bench.problem_after(stage))


def both_at_once(bench: Bench, stage: Stage) -> Verdict:
    """Two processes that begin together."""
    bench.put_before(stage)
    endings = [child.ending() for child in [start(lambda: stage.work(bench.world)) for _ in range(2)]]
    return wrong_if("; ".join(filter(None, map(said_clearly, endings))) or bench.problem_after(stage))


@how_many(1, 3)
@of_stages
def test_a_second_process_waits_or_is_told_who_is_at_work(bench: Bench, stage: Stage, most: int) -> None:
    points = bench.operations(stage)
    middles = spread(points, most + 2)[1:-1]
    trials = {f"{stage.name}, beside operation {at} of {points}": partial(beside_another, bench, stage, at)
              for at in middles}  # fmt: skip
    assert not bench.try_all("two processes, one in the middle", trials)


@pytest.mark.faults
@of_stages
def test_two_processes_that_begin_together_do_no_harm(bench: Bench, stage: Stage) -> None:
    trials = {f"{stage.name}, {number}": partial(both_at_once, bench, stage) for number in range(2)}
    assert not bench.try_all("two processes that begin together", trials)
