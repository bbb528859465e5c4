"""Stretches of work are noted one by one, and read back in a fixed order."""

from pathlib import Path

import pytest

from saelib.run.timing import TIMING, read_intervals, write_interval

FULL = Path("/dev/full")


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


def test_a_line_that_is_none_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    write_interval(tmp_path / "scratch", {"seconds": 1.0})
    with (tmp_path / "scratch" / TIMING).open("ab") as stream:
        stream.write(b'3\n\xff\n\n{"seconds": 2.0}\n{"seconds": 3')
    assert read_intervals(tmp_path) == [{"seconds": 1.0}, {"seconds": 2.0}]


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full, which is a disk without space")
def test_a_full_disk_is_said(tmp_path: Path) -> None:
    (tmp_path / TIMING).symlink_to(FULL)
    with pytest.raises(OSError, match=f"free some space and run again, .*{TIMING}"):
        write_interval(tmp_path, {"seconds": 1.0})
