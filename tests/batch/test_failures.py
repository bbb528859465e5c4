"""After a failed batch run: which notebook stopped, where, and how to go on."""

import json
import os
from pathlib import Path

import pytest

from saelib.batch.failures import PARTIAL, failure_report, partial_notebooks

STOPPED = {"cell_type": "code", "outputs": [], "metadata": {"papermill": {"start_time": "2026-01-01"}}}
WAITING = {"cell_type": "code", "outputs": [], "metadata": {"papermill": {"start_time": None}}}
ERROR = {"output_type": "error", "ename": "ValueError", "evalue": "loss is nan"}


def partial(folder: Path, name: str, *cells: object) -> Path:
    path = folder / f"{name}{PARTIAL}"
    path.write_text(json.dumps({"cells": [{"cell_type": "markdown"}, *cells]}))
    return path


@pytest.mark.parametrize("hour", [-1, 0, 1])
def test_the_report_after_a_failure_leaves_out_older_ones_wherever_the_clock_was_set(tmp_path: Path, hour: int) -> None:
    partial(tmp_path, "01_old", STOPPED, STOPPED, WAITING)
    killed = partial(tmp_path, "02_killed", STOPPED)
    begun = killed.stat().st_mtime
    earlier = partial_notebooks(tmp_path)
    partial(tmp_path, "02_killed", STOPPED, STOPPED, WAITING)
    os.utime(killed, (begun + 3600 * hour,) * 2)
    assert failure_report(tmp_path, earlier, "make reproduce").splitlines() == [
        "02_killed.ipynb stopped at In [2] without an error of its own (killed, or out of memory?)",
        f"See {killed}",
        "What is finished is kept. To continue: make reproduce",
    ]


def test_an_error_is_quoted_with_its_cell(tmp_path: Path) -> None:
    failed = partial(tmp_path, "03_failed", STOPPED, STOPPED | {"outputs": [{"output_type": "stream"}, ERROR]}, WAITING)
    partial(tmp_path, "04_waiting", WAITING)
    report = failure_report(tmp_path, {}, "make reproduce RUN=x").splitlines()
    assert report[:2] == ["03_failed.ipynb failed at In [2]: ValueError: loss is nan", f"See {failed}"]
    assert report[2].startswith("04_waiting.ipynb stopped before its first cell")
    assert report[-1].endswith("To continue: make reproduce RUN=x")


def test_what_a_server_has_said_does_not_steer_the_terminal(tmp_path: Path) -> None:
    partial(tmp_path, "03_failed", STOPPED | {"outputs": [ERROR | {"evalue": "no\x1b]0;owned\x07\nand so on \u202eb"}]})
    assert failure_report(tmp_path, {}, "make reproduce").startswith(
        "03_failed.ipynb failed at In [1]: ValueError: no\\x1b]0;owned\\x07\nand so on \\u202eb\n"
    )


@pytest.mark.parametrize(
    "cut", [b"", b'{"cells": [{"cell_ty', b"\xff", b"null", b"{}", b'{"cells": [{"cell_type": "code"}]}']
)
def test_a_notebook_that_was_cut_short_in_writing_is_named(tmp_path: Path, cut: bytes) -> None:
    (tmp_path / f"05_cut{PARTIAL}").write_bytes(cut)
    assert failure_report(tmp_path, {}, "make reproduce").startswith(
        "05_cut.ipynb was stopped while it was being written"
    )
