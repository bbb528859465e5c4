"""Whether a file was written again, and files from the future: neither asks what time it is."""

import os
import time
from pathlib import Path

from saelib.batch.clock import settle_times, state_of

HOUR = 3600


def test_a_file_that_is_written_again_is_in_another_state_though_the_clock_was_set_back(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    assert state_of(path) is None
    path.write_text("one")
    before = state_of(path)
    assert state_of(path) == before
    path.write_text("two")
    os.utime(path, (path.stat().st_mtime - HOUR,) * 2)
    assert state_of(path) not in (None, before)


def test_only_files_of_the_future_get_the_present_time(tmp_path: Path) -> None:
    now = time.time()
    for name, hours in (("old", -1), ("new", 1), ("newer", 2)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (now + hours * HOUR,) * 2)
    settle_times(tmp_path)
    old, new, newer = ((tmp_path / name).stat().st_mtime for name in ("old", "new", "newer"))
    assert abs(old - (now - HOUR)) < 1
    assert now <= new == newer <= time.time()
    settle_times(tmp_path / "not there")
