"""A file of a run is damaged: the run shows the same as before, or says which file it is and what to do."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.faults.bench import RECOVERED, REFUSED, Bench, Verdict
from tests.faults.cases import EVERY, how_many, some
from tests.faults.damage import DAMAGES, tried
from tests.faults.folders import restore
from tests.faults.injection import Ending, in_child
from tests.faults.stages import RUN, STAGES, go_on, read
from tests.faults.tally import Outcome

DOCUMENTED = {"DamagedFileError", "FileNotFoundError", "FileExistsError", "ValueError"}
REMEDIES = ("delete", "name another", "make it", "train", "put ", "mend", "move it", "copy", "download", "start ")


EXPORTS = {1: ("evaluation.parquet", "training.parquet"), 2: ("htest.parquet",)}
"""Files of a run that other programs read, by paper: made again where they are damaged."""
NAMED = ((f"{RUN}/evaluation.parquet", "number changed"), (f"{RUN}/htest.parquet", "number changed"),
         (f"{RUN}/evaluation/*.parquet", "absent"))  # fmt: skip
"""Always among those that are tried: exports, which no reader of a run needs, and a part, which none may lack."""


def verdict(ending: Ending, right: dict[str, str], damaged: Path, exports: Iterable[str] = ()) -> Verdict:
    """What became of a run with a damaged file.

    Args:
        exports: how those differ from right ones, a line for each.
    """
    if ending.code == 0:
        other = [*(name for name in right if ending.said.get(name) != right[name]), *exports]
        return Verdict(Outcome.WRONG, f"other results: {', '.join(other)[:200]}") if other else RECOVERED
    whose = (damaged.name, str(damaged.parent), f"{damaged.parent.name}.parquet")
    names_it = any(name in ending.message for name in whose)
    if names_it and ending.kind in DOCUMENTED and any(remedy in ending.message for remedy in REMEDIES):
        return REFUSED
    return Verdict(Outcome.WRONG, str(ending))


def after_damage(bench: Bench, run: Path, file: Path, damage: str, goes_on: bool, right: dict[int, Any]) -> Verdict:
    """A damaged run that is read, or gone on with and then read."""
    paper = 2 if "htest" in file.as_posix() else 1
    restore(run, bench.place)
    DAMAGES[damage](bench.place / file)

    def work() -> dict[str, str]:
        if goes_on:
            go_on(bench.world, paper)
        return read(bench.world, paper)

    ending = in_child(work)
    return verdict(ending, right[paper], file, damaged_exports(bench, paper) if goes_on else ())


def damaged_exports(bench: Bench, paper: int) -> list[str]:
    """How the exports of a run that was gone on with differ from those of an undisturbed one, as others read them."""
    found, right = bench.place / RUN, bench.after(STAGES[-1]) / RUN
    return [f"{name} differs" for name in EXPORTS[paper] if _table(found / name) != _table(right / name)]


def _table(path: Path) -> str:
    """What a reader finds that compares no checksums."""
    try:
        return pd.read_parquet(path).to_json()
    except (OSError, ValueError) as error:
        return f"unreadable: {error}"


def is_not_asked(file: Path, damage: str) -> bool:
    """Whether the damage makes a run that was asked less, as one is that grows: whoever reads it sees fewer rows."""
    return damage == "absent" and file.match("replies/*/*.jsonl")


def chosen(run: Path, most: int) -> list[tuple[Path, str]]:
    """At most so many of the damages of a run's files, evenly, and with them those of `NAMED`."""
    pairs = list(tried(run))
    named = [next((pair for pair in pairs if pair[0].match(file) and pair[1] == damage), None)
             for file, damage in NAMED]  # fmt: skip
    return list(dict.fromkeys([*filter(None, named), *some(pairs, most)]))


def test_an_export_that_stays_damaged_is_wrong() -> None:
    right = {"evaluation": "a sum"}
    assert verdict(Ending(0, said=right), right, Path("evaluation.parquet")) == RECOVERED
    stays = verdict(Ending(0, said=right), right, Path("evaluation.parquet"), ["evaluation.parquet differs"])
    assert stays == (Outcome.WRONG, "other results: evaluation.parquet differs")


def test_exports_and_a_part_are_always_tried(bench: Bench) -> None:
    files = [file for file, damage in chosen(bench.after(STAGES[-1]), 1)]
    assert [file.match(pattern) for file, (pattern, _) in zip(files, NAMED, strict=False)] == [True] * 3
    restore(bench.after(STAGES[-1]), bench.place)
    assert damaged_exports(bench, 1) == damaged_exports(bench, 2) == []
    for file in files[:2]:
        DAMAGES["number changed"](bench.place / file)
    assert damaged_exports(bench, 1) == ["evaluation.parquet differs"]
    assert damaged_exports(bench, 2) == ["htest.parquet differs"]


def damages(bench: Bench, kind: str, run: Path, goes_on: bool, most: int) -> list[str]:
    """Damage files of a run one after the other; what was wrong."""
    restore(bench.after(STAGES[-1]), bench.place)
    right = {paper: in_child(partial(read, bench.world, paper)).said for paper in (1, 2)}
    trials = {f"{file}, {damage}": partial(after_damage, bench, run, file, damage, goes_on, right)
              for file, damage in chosen(run, most) if goes_on or not is_not_asked(file, damage)}  # fmt: skip
    return bench.try_all(kind, trials)


@how_many(4, EVERY)
def test_a_finished_run_with_a_damaged_file_is_right_or_refused(bench: Bench, most: int) -> None:
    assert not damages(bench, "damaged file, read", bench.after(STAGES[-1]), False, most)


@how_many(4, 80)
def test_a_finished_run_with_a_damaged_file_is_gone_on_with(bench: Bench, most: int) -> None:
    assert not damages(bench, "damaged file, gone on with", bench.after(STAGES[-1]), True, most)


@how_many(2, 15)
@pytest.mark.parametrize("name", ["train transfer", "evaluate transfer", "H-Test asks"])
def test_a_run_half_done_with_a_damaged_file_is_right_or_refused(bench: Bench, name: str, most: int) -> None:
    stage = next(stage for stage in STAGES if stage.name == name)
    assert not damages(bench, "damaged file, half done", bench.half(stage), True, most)
