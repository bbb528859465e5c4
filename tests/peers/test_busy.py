"""The benchmark beside a busy program: its shares by hand, and its pieces of work."""

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
