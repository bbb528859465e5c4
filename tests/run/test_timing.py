"""Stretches of work are noted one by one, and read back in a fixed order."""

from pathlib import Path

from saelib.run.timing import TIMING, read_intervals, write_interval


def test_intervals_come_back_by_folder_and_in_time(tmp_path: Path) -> None:
    for phase, seconds in (("transfer", 3.0), ("scratch", 1.0), ("scratch", 2.0)):
        (tmp_path / phase).mkdir(exist_ok=True)
        write_interval(tmp_path / phase, {"phase": phase, "seconds": seconds})
    assert [(line["phase"], line["seconds"]) for line in read_intervals(tmp_path)] == [
        ("scratch", 1.0), ("scratch", 2.0), ("transfer", 3.0),
    ]  # fmt: skip
    assert len((tmp_path / "scratch" / TIMING).read_text().splitlines()) == 2


def test_a_run_without_notes_has_none(tmp_path: Path) -> None:
    assert read_intervals(tmp_path) == []
    assert read_intervals(tmp_path / "absent") == []
