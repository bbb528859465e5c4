"""After a failed batch run: which notebook stopped, where, and how to go on."""

import json
import os
import time
from pathlib import Path

from saelib.batch.failures import PARTIAL, failure_report

STOPPED = {"cell_type": "code", "outputs": [], "metadata": {"papermill": {"start_time": "2026-01-01"}}}
WAITING = {"cell_type": "code", "outputs": [], "metadata": {"papermill": {"start_time": None}}}
ERROR = {"output_type": "error", "ename": "ValueError", "evalue": "loss is nan"}


def partial(folder: Path, name: str, *cells: object, age: float = 0) -> Path:
    path = folder / f"{name}{PARTIAL}"
    path.write_text(json.dumps({"cells": [{"cell_type": "markdown"}, *cells]}))
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_the_report_after_a_failure_leaves_out_older_ones(tmp_path: Path) -> None:
    partial(tmp_path, "01_old", STOPPED, STOPPED, WAITING, age=100)
    killed = partial(tmp_path, "02_killed", STOPPED, STOPPED, WAITING)
    assert failure_report(tmp_path, time.time() - 50, "make reproduce").splitlines() == [
        "02_killed.ipynb stopped at In [2] without an error of its own (killed, or out of memory?)",
        f"See {killed}",
        "What is finished is kept. To continue: make reproduce",
    ]


def test_an_error_is_quoted_with_its_cell(tmp_path: Path) -> None:
    failed = partial(tmp_path, "03_failed", STOPPED, STOPPED | {"outputs": [{"output_type": "stream"}, ERROR]}, WAITING)
    partial(tmp_path, "04_waiting", WAITING)
    report = failure_report(tmp_path, 0, "make reproduce RUN=x").splitlines()
    assert report[:2] == ["03_failed.ipynb failed at In [2]: ValueError: loss is nan", f"See {failed}"]
    assert report[2].startswith("04_waiting.ipynb stopped before its first cell")
    assert report[-1].endswith("To continue: make reproduce RUN=x")


def test_a_notebook_that_was_cut_short_in_writing_is_named(tmp_path: Path) -> None:
    (tmp_path / f"05_cut{PARTIAL}").write_text('{"cells": [{"cell_ty')
    assert failure_report(tmp_path, 0, "make reproduce").startswith(
        "05_cut.ipynb was stopped while it was being written"
    )
