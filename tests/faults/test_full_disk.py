"""The disk is full at any moment of a stage: the error says so and where; with more space it goes on, and ends equal.

Two ways: from a certain file operation on there is no space for anything new, as the operating system would say; and a
real disk of a certain size, which fills up in the middle of a file.
"""

import errno
import os
from functools import partial
from pathlib import Path

import pytest

from tests.faults.bench import Bench, Verdict, wrong_if
from tests.faults.cases import how_many, of_stages, spread
from tests.faults.injection import Ending, disk_full, in_child
from tests.faults.small_disk import can_mount, mount, resize
from tests.faults.stages import STAGES, Stage
from tests.faults.tally import Outcome

LARGE = 256 * 2**20  # bytes


def said_clearly(ending: Ending, place: Path) -> str:
    """What is wrong about how a stage met a full disk: it ends by the system's error, with the file and the remedy."""
    clear = ending.kind == "OSError" and f"[Errno {errno.ENOSPC}]" in ending.message
    clear = clear and str(place) in ending.message and "free some space" in ending.message
    return "" if ending.code == 0 or clear else str(ending)


def after_no_space(bench: Bench, stage: Stage, at: int) -> Verdict:
    """A stage that can make nothing new from an operation on, and once more with space."""
    bench.put_before(stage)
    first = in_child(lambda: stage.work(bench.world), bench.place, disk_full(at))
    return wrong_if(said_clearly(first, bench.place) or bench.problem_after(stage))


def on_small_disk(bench: Bench, stage: Stage, share: float) -> Verdict:
    """A stage on a disk that has a share of the space that it takes, and once more with more space."""

    def work() -> str:
        disk = bench.place.parent
        mount(disk, LARGE)
        bench.put_before(stage)
        before = _used(disk)
        resize(disk, before + int(share * _grows(bench, stage)))
        first = in_child(lambda: stage.work(bench.world))
        resize(disk, LARGE)
        return said_clearly(first, bench.place) or bench.problem_after(stage)

    bench.place.parent.mkdir(parents=True, exist_ok=True)
    ending = in_child(work)
    return Verdict(Outcome.WRONG, str(ending)) if ending.code else wrong_if(ending.said)


def _used(disk: Path) -> int:
    state = os.statvfs(disk)
    return (state.f_blocks - state.f_bfree) * state.f_frsize


def _grows(bench: Bench, stage: Stage) -> int:
    """Bytes on a disk that a stage adds, in whole pages."""
    before, after = ({} if number < 0 else bench.right(STAGES[number])
                     for number in (STAGES.index(stage) - 1, STAGES.index(stage)))  # fmt: skip
    return sum(-(-len(content) // 4096) * 4096 for name, content in after.items() if before.get(name) != content)


@how_many(1, 3)
@of_stages
def test_a_stage_without_space_goes_on_once_there_is_some(bench: Bench, stage: Stage, most: int) -> None:
    points = bench.operations(stage)
    trials = {f"{stage.name}, full from operation {at} of {points}": partial(after_no_space, bench, stage, at)
              for at in spread(points, most)}  # fmt: skip
    assert not bench.try_all("no space from an operation on", trials)


@how_many(1, 3)
@of_stages
def test_a_stage_on_a_small_disk_goes_on_on_a_larger_one(bench: Bench, stage: Stage, most: int, tmp_path: Path) -> None:
    if not can_mount(tmp_path):
        pytest.skip("this machine does not let a user mount a file system in memory (user namespaces)")
    shares = [(part + 0.5) / most for part in range(most)]
    trials = {f"{stage.name}, {share:.1%} of its space": partial(on_small_disk, bench, stage, share)
              for share in shares}  # fmt: skip
    assert not bench.try_all("small disk", trials)
