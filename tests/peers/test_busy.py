"""The benchmark beside a busy program: its shares by hand, its pieces of work, and its neighbour that ends."""

import subprocess
import sys

import pytest

from benchmarks import busy


def test_a_fair_share_is_an_even_split_of_the_cores() -> None:
    found = {"threads": 2, "alone": 1.0, "slow": 1.5, "slower": 3.0}
    assert busy.kept_of_fair_share(found, "slow", cores=2) == pytest.approx(1.0)  # three threads on two cores
    assert busy.kept_of_fair_share(found, "slower", cores=2) == pytest.approx(0.5)
    assert busy.kept_of_fair_share(found, "slow", cores=8) == pytest.approx(1 / 1.5)  # room for everybody


def test_the_table_has_a_row_for_each_stage_and_way_of_waiting() -> None:
    found = {"threads": 2, "alone": 0.1} | dict.fromkeys(busy.NEIGHBOURS, 0.15)
    page = busy.markdown({("harvest", "spinning"): found, ("harvest", "passive"): found}, cores=2, machine="one")
    rows = [line for line in page.splitlines() if line.startswith("| harvest")]
    assert rows[0] == "| harvest | spinning | 2 | 100 | 150 ms, 1.00 | 150 ms, 1.00 |"
    assert len(rows) == 2


@pytest.mark.parametrize("stage", busy.STAGES)
def test_every_piece_can_be_done_again(stage: str) -> None:
    work = busy.STAGES[stage]()
    work()
    assert busy.median_seconds(work, repeats=1) > 0


def test_a_neighbour_ends_with_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(busy, "WARM_UP_SECONDS", 0.0)
    started: list[subprocess.Popen] = []
    popen = subprocess.Popen

    def start(words: list[str]) -> subprocess.Popen:
        started.append(popen(words))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    with busy.neighbour("while True: pass"):
        assert started[0].args == [sys.executable, "-c", "while True: pass"]
        assert started[0].poll() is None
    assert started[0].returncode
    with busy.neighbour(None):
        assert len(started) == 1
